"""Asking a timestamp authority: the request, its answer, the way over HTTP. RFC 3161, sections 2.4 and 3.4.

Nothing here reaches out by itself: the address is asked through the ``Fetch`` that is handed in.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onecert.verifier.attribute_certificate.encoding import tlv
from onecert.verifier.der import BIT_STRING, INTEGER, OCTET_STRING, SEQUENCE, DerError, Reader
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError, SignatureInvalidError
from onecert.verifier.signed_form.digests import algorithm_der, digest
from onecert.verifier.signed_form.timestamp_token import TOKEN_MAX_BYTES, load_timestamp

if TYPE_CHECKING:
    from onecert.verifier.fetch import Fetch

__all__ = ["TimestampClient", "TimestampRequest", "read_timestamp_response", "request_timestamp"]

_NONCE_BITS = 64
# PKIFailureInfo, RFC 3161, section 2.4.2.
_FAILURES = {
    0: "badAlg",
    2: "badRequest",
    5: "badDataFormat",
    14: "timeNotAvailable",
    15: "unacceptedPolicy",
    16: "unacceptedExtension",
    17: "addInfoNotAvailable",
    25: "systemFailure",
}
_STATUSES = {
    0: "granted",
    1: "grantedWithMods",
    2: "rejection",
    3: "waiting",
    4: "revocationWarning",
    5: "revocationNotification",
}


@dataclass(frozen=True, kw_only=True)
class TimestampRequest:
    """``der`` goes to the authority; the rest is compared with what comes back."""

    der: bytes
    hash_algorithm: str
    imprint: bytes
    nonce: int


def request_timestamp(
    data: bytes, *, hash_algorithm: str = "sha256", policy_der: bytes = b"", nonce: int | None = None
) -> TimestampRequest:
    """A request for ``data``, with a nonce, asking for the authority's certificate.

    Args:
        hash_algorithm: sha256, sha384, sha512 or sm3.
        policy_der: DER OBJECT IDENTIFIER of the policy that is wanted; empty for the authority's own.
        nonce: a number of at most 64 bits; drawn at random by default.
    """
    number = secrets.randbits(_NONCE_BITS) if nonce is None else nonce
    imprint = digest(hash_algorithm, data)
    der = tlv(
        SEQUENCE,
        b"\x02\x01\x01",
        tlv(SEQUENCE, algorithm_der(hash_algorithm), tlv(OCTET_STRING, imprint)),
        policy_der,
        tlv(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big")),
        b"\x01\x01\xff",
    )
    return TimestampRequest(der=der, hash_algorithm=hash_algorithm, imprint=imprint, nonce=number)


def read_timestamp_response(data: bytes, request: TimestampRequest) -> bytes:
    """The token in an answer to ``request``; its signature is *not* checked here.

    Raises:
        MalformedError: ``TOO_LARGE``, ``TIMESTAMP_MALFORMED``.
        CouldNotCheckError: ``TIMESTAMP_REFUSED``, with the authority's own reason.
        RefusedError: ``TIMESTAMP_NONCE``; SignatureInvalidError: ``TIMESTAMP_IMPRINT``.
    """
    if len(data) > TOKEN_MAX_BYTES:
        raise MalformedError("TOO_LARGE", kind="timestamp", max=TOKEN_MAX_BYTES)
    try:
        token_der = _response(data)
    except (DerError, UnicodeDecodeError) as exc:
        raise MalformedError(
            "TIMESTAMP_MALFORMED", source="RFC 3161, section 2.4.2", detail=str(exc)[:200]
        ) from exc
    token = load_timestamp(token_der)
    if token.nonce != request.nonce:
        raise RefusedError("TIMESTAMP_NONCE", source="RFC 3161, section 2.4.2")
    if token.hash_algorithm != request.hash_algorithm or not hmac.compare_digest(
        token.imprint, request.imprint
    ):
        raise SignatureInvalidError("TIMESTAMP_IMPRINT", source="RFC 3161, section 2.4.2")
    return token_der


def _response(data: bytes) -> bytes:
    outer = Reader(data)
    response = outer.enter(SEQUENCE)
    outer.done()
    info = response.enter(SEQUENCE)
    status = info.integer()
    texts: list[str] = []
    if info.peek() == SEQUENCE:
        strings = info.enter(SEQUENCE)
        while strings:
            texts.append(strings.contents(0x0C).decode("utf-8"))
    failures = sorted(info.named_bits(BIT_STRING)) if info.peek() == BIT_STRING else []
    info.done()
    if status not in {0, 1}:
        raise CouldNotCheckError(
            "TIMESTAMP_REFUSED",
            source="RFC 3161, section 2.4.2",
            status=_STATUSES.get(status, str(status)),
            failure=", ".join(_FAILURES.get(bit, str(bit)) for bit in failures) or "-",
            detail=" ".join(texts)[:200],
        )
    token_der = response.raw()
    response.done()
    return token_der


class TimestampClient:
    """One authority: data in, token out. Hand it to ``make_evidence`` and ``renew_evidence``."""

    def __init__(self, url: str, fetch: Fetch, *, nonce: Callable[[], int] | None = None) -> None:
        self._url = url
        self._fetch = fetch
        self._nonce = nonce

    def __call__(self, data: bytes, hash_algorithm: str = "sha256") -> bytes:
        """A token for ``data``.

        Raises:
            CouldNotCheckError: ``FETCH_FAILED``, ``TIMESTAMP_REFUSED``.
            RefusedError: the answer is none to this request.
        """
        request = request_timestamp(
            data, hash_algorithm=hash_algorithm, nonce=None if self._nonce is None else self._nonce()
        )
        # Only who asks an authority pays for the network's modules.
        from onecert.verifier.fetch import FetchRequest  # noqa: PLC0415

        asked = FetchRequest(
            url=self._url,
            max_bytes=TOKEN_MAX_BYTES,
            body=request.der,
            content_type="application/timestamp-query",
        )
        return read_timestamp_response(self._fetch(asked).data or b"", request)
