"""The status of one certificate by OCSP: RFC 6960, sections 3.2 and 4.2.2.2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.revocation.evidence import RevocationPolicy
from onecert.verifier.revocation.ocsp import OcspResponse, SingleAnswer

__all__ = ["OcspAnswer", "check_by_ocsp"]


@dataclass(frozen=True, slots=True)
class OcspAnswer:
    """A believed answer, "good" or "revoked"."""

    single: SingleAnswer
    response: OcspResponse


def check_by_ocsp(
    certificate: ParsedCertificate,
    issuer_spki_der: bytes,
    responses: tuple[OcspResponse, ...],
    *,
    policy: RevocationPolicy,
    at: datetime,
    check_responder: Callable[[OcspResponse], None],
) -> OcspAnswer:
    """Find the status.

    Args:
        check_responder: raises unless the issuer, or a responder that it authorised, has signed.

    Raises:
        CouldNotCheckError: no answer about this certificate can be believed; ``OCSP_UNKNOWN`` when the
        responder
            itself does not know it.
    """
    believed: list[OcspAnswer] = []
    failures: list[VerifyError] = []
    for response in responses:
        singles = [
            single
            for single in response.answers
            if single.matches(certificate.serial, certificate.issuer_der, issuer_spki_der)
        ]
        if not singles:
            continue
        try:
            _check_response(response, policy, at)
            for single in singles:
                _check_single(single, response, policy, at)
            check_responder(response)
        except VerifyError as exc:
            failures.append(exc)
            continue
        believed += [OcspAnswer(single, response) for single in singles]
    if not believed:
        if failures:
            raise failures[0]
        raise CouldNotCheckError(
            "OCSP_NO_MATCH" if responses else "NO_EVIDENCE", issuer=certificate.issuer_text
        )

    # Several answers: the newest counts, and two different ones of one moment count for nothing.
    newest = max(answer.single.this_update for answer in believed)
    latest = [answer for answer in believed if answer.single.this_update == newest]
    if len({answer.single.status for answer in latest}) > 1:
        raise CouldNotCheckError("REVOCATION_CONFLICT", subject=certificate.subject_text)
    answer = latest[0]
    if answer.single.status == "unknown":
        raise CouldNotCheckError(
            "OCSP_UNKNOWN", source="RFC 6960, section 2.2", subject=certificate.subject_text
        )
    return answer


def _check_response(response: OcspResponse, policy: RevocationPolicy, at: datetime) -> None:
    if response.unknown_critical is not None:
        raise CouldNotCheckError("OCSP_CRITICAL_EXTENSION", oid=response.unknown_critical)
    if policy.nonce is not None and response.nonce != policy.nonce:
        raise CouldNotCheckError("OCSP_NONCE", source="RFC 8954")
    if response.produced_at > at + policy.clock_skew:
        raise CouldNotCheckError("OCSP_FUTURE", this_update=response.produced_at)


def _check_single(
    single: SingleAnswer, response: OcspResponse, policy: RevocationPolicy, at: datetime
) -> None:
    if single.unknown_critical is not None:
        raise CouldNotCheckError("OCSP_CRITICAL_EXTENSION", oid=single.unknown_critical)
    if (
        single.this_update > at + policy.clock_skew
        or single.this_update > response.produced_at + policy.clock_skew
    ):
        raise CouldNotCheckError("OCSP_FUTURE", this_update=single.this_update)
    until = single.next_update if single.next_update is not None else single.this_update + policy.ocsp_max_age
    if at > until or until < single.this_update:
        raise CouldNotCheckError("OCSP_STALE", next_update=until)
