"""Timestamp requests, as the CA reads them: by the strict parser, and by the octets of most clients."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import product

from fuzz.material import T
from fuzz.rules import require
from onecert.ca import der
from onecert.ca.timestamps.frames import usual_request
from onecert.ca.timestamps.messages import (
    IMPRINT_OCTETS,
    RequestRefused,
    load_request,
    refusal,
    timestamp_info,
)

IS_DER = True

_NONCES = (b"", der.integer(1), der.integer((1 << 64) - 1), der.integer(1 << 250))
_POLICIES = (b"", der.oid("1.3.6.1.4.1.58888.8.4.1"))


def seeds() -> Iterable[bytes]:
    """With every hash, and with and without everything that is optional."""
    wishes = (b"", der.TRUE)
    for (oid_der, octets), policy, nonce, wish in product(IMPRINT_OCTETS.items(), _POLICIES, _NONCES, wishes):
        imprint = der.sequence(der.sequence(oid_der, der.NULL_DER), der.octet_string(bytes(octets)))
        yield der.sequence(der.integer(1), imprint, policy, nonce, wish)


def run(data: bytes) -> None:
    """What is recognised reads as by the strict parser; what is stamped is what was sent."""
    usual = usual_request(data)
    try:
        request = load_request(data)
    except RequestRefused as exc:
        require(usual is None, "recognised, and refused")
        require(refusal(exc.failure), "a refusal without an answer")
        return
    if usual is not None:
        require(usual == request, "recognised as something else")
    second = timedelta(seconds=1)
    info = timestamp_info(request, policy="1.2.3", serial=1, at=T, accuracy=second, ordering=False)
    require(request.imprint_der in data and request.imprint_der in info, "another imprint is stamped")
    require(request.nonce_der in data and info.endswith(request.nonce_der), "another nonce is stamped")
