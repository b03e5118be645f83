"""A signed OCSP answer: written, signed with the responder's key, verified and linted before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from onecert.ca.delegates import Delegate
from onecert.ca.errors import SignatureFaultError
from onecert.ca.ocsp import CertId, Status, check_answer, response_data, single_response, successful
from onecert.ca.signer import Signer
from onecert.ca.signing import algorithm_of, is_signature_valid, sign

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
    singles = [
        single_response(cert_id, status, this_update=at, next_update=next_update) for cert_id, status in about
    ]
    data = response_data(responder.key_hash, singles, produced_at=at, nonce_value_der=nonce_value_der)
    signature = sign(signer.key(responder.key_label), data)
    if not is_signature_valid(responder.public_key, signature, data):
        raise SignatureFaultError(responder.key_label)
    check_answer(
        encoded_answer(responder, data, signature),
        data,
        singles=len(singles),
        at=at,
        not_after=responder.not_after,
    )
    return SignedAnswer(data_der=data, signature=signature, this_update=at, next_update=next_update)


def encoded_answer(responder: Delegate, data_der: bytes, signature: bytes) -> bytes:
    """The answer as it is sent, with the responder's certificate in it."""
    return successful(data_der, algorithm_of(responder.public_key), signature, responder.certificate_der)
