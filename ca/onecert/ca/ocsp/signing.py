"""A signed OCSP answer: written, signed with the responder's key, verified and linted before it is used.

Every signature is verified before the answer leaves. The lint reads the first answer of each shape back with
another parser: answers of one shape have the same octets but for times, serials, nonces and signatures of the
same lengths, which cannot change how the rest is read. The times of each answer are checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from onecert.ca.authorities.delegates import Delegate
from onecert.ca.certificates.lint_rules import fault
from onecert.ca.errors import LintError, SignatureFaultError
from onecert.ca.ocsp.messages import (
    CertId,
    Status,
    around_answer,
    check_answer,
    response_data,
    single_response,
)
from onecert.ca.ocsp.stored_answers import AnswerFrame
from onecert.ca.signatures.algorithms import is_signature_valid, sign
from onecert.ca.signatures.signer import Signer

# Shapes whose first answer was read back; clients decide some of their lengths.
SHAPES_MAX = 4096

__all__ = ["SignedAnswer", "encoded_answer", "signed_answer"]


@dataclass(frozen=True, kw_only=True)
class SignedAnswer:
    """The ResponseData in DER, its signature, and its times."""

    data_der: bytes
    signature: bytes
    this_update: datetime
    next_update: datetime


def signed_answer(
    signer: Signer,
    responder: Delegate,
    about: Sequence[tuple[CertId, Status]],
    *,
    at: datetime,
    lifetime: timedelta,
    nonce_value_der: bytes | None = None,
) -> SignedAnswer:
    """Sign what is recorded about some certificates at this moment.

    Raises:
        TokenError, CaError: it could not be signed, or what was signed is wrong.
    """
    next_update = min(at + lifetime, responder.not_after)
    if at >= next_update:
        raise LintError([fault("answer-times")])
    data = _data(responder, about, at, next_update, nonce_value_der)
    signature = sign(signer.key(responder.key_label), data)
    if not is_signature_valid(responder.public_key, signature, data):
        raise SignatureFaultError(responder.key_label)
    shape = (
        responder.certificate_der,
        len(signature),
        len(nonce_value_der or b""),
        *[
            (len(cert_id.raw), status.known, status.reason if status.revoked_at else "")
            for cert_id, status in about
        ],
    )
    if shape not in _linted:
        check_answer(
            encoded_answer(responder, data, signature),
            data,
            singles=len(about),
            at=at,
            not_after=responder.not_after,
        )
        if len(_linted) >= SHAPES_MAX:
            _linted.clear()
        _linted.add(shape)
    return SignedAnswer(data_der=data, signature=signature, this_update=at, next_update=next_update)


_linted: set[tuple[object, ...]] = set()


def _data(
    responder: Delegate,
    about: Sequence[tuple[CertId, Status]],
    at: datetime,
    next_update: datetime,
    nonce_value_der: bytes | None,
) -> bytes:
    """The `ResponseData`; about one certificate, from what was written once for this second."""
    if len(about) == 1:
        ((cert_id, status),) = about
        raw, nonce = cert_id.raw, nonce_value_der or b""
        before, between = around_answer(
            responder.key_hash,
            status,
            at=at,
            next_update=next_update,
            cert_id_octets=len(raw),
            nonce_octets=len(nonce),
        )
        return b"".join((before, raw, between, nonce))
    singles = [
        single_response(cert_id, status, this_update=at, next_update=next_update) for cert_id, status in about
    ]
    return response_data(responder.key_hash, singles, produced_at=at, nonce_value_der=nonce_value_der)


def encoded_answer(responder: Delegate, data_der: bytes, signature: bytes) -> bytes:
    """The answer as it is sent, with the responder's certificate in it."""
    return _frame(responder.certificate_der).around(data_der, signature)


@lru_cache(maxsize=64)
def _frame(responder_der: bytes) -> AnswerFrame:
    return AnswerFrame(responder_der)
