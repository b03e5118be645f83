"""OCSP answers about attribute certificates (RFC 6960; RFC 5755, section 6, and 4.3.5 for the pointer).

``CertID`` names the attribute authority: hashes of its name and of its key, as for a CA. An answer counts if
the authority's own key signed it, or a responder with id-kp-OCSPSigning that the CA of the authority's own
certificate named: an attribute authority is not a CA and cannot certify one itself. Left out: nonces.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from onecert.verifier.attribute_certificate.acrl import Revocation
from onecert.verifier.attribute_certificate.parse import AttributeCertificate
from onecert.verifier.attribute_certificate.trust import AttributeTrust, TrustedAuthority
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.names import canonical_name, display_name
from onecert.verifier.revocation.ocsp import OcspResponse, load_ocsp
from onecert.verifier.revocation.ocsp_check import ResponderCheck, check_by_ocsp
from onecert.verifier.revocation.policy import RevocationPolicy
from onecert.verifier.signatures import AlgorithmPolicy, PublicKey, load_public_key, verify_signature

OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
MAX_ANSWERS = 16
_SOURCE = "RFC 6960, section 4.2.2.2"
_POLICY = RevocationPolicy()


@dataclass(frozen=True, slots=True)
class _Asked:
    """The certificate as a question to a responder."""

    serial: int
    issuer_der: bytes
    not_after: datetime
    issuer_text: str
    subject_text: str


def find_answer(
    answers: Sequence[OcspResponse | bytes],
    certificate: AttributeCertificate,
    authority: TrustedAuthority,
    *,
    trust: AttributeTrust,
    at: datetime,
    algorithms: AlgorithmPolicy,
) -> Revocation | str | None:
    """Find the status in answers from anybody.

    Returns:
        A revocation that is in force at ``at``; None: a believable answer says good; a text: nobody can tell.
    """
    loaded: list[OcspResponse] = []
    failure = "no OCSP answer"
    for answer in answers[:MAX_ANSWERS]:
        try:
            loaded.append(answer if isinstance(answer, OcspResponse) else load_ocsp(answer))
        except VerifyError as exc:
            failure = exc.code

    def check_responder(response: OcspResponse) -> datetime | None:
        return _check_responder(response, authority, trust, at, algorithms)

    revocation = _revoked_by_then(loaded, certificate, authority, at, check_responder)
    if revocation is not None or not loaded:
        return revocation or failure
    end = certificate.not_after or at
    issuer = authority.name_der
    asked = _Asked(certificate.serial, issuer, end, display_name(issuer), certificate.serial_hex)
    try:
        found = check_by_ocsp(
            asked, authority.public_key_der, loaded, policy=_POLICY, at=at, check_responder=check_responder
        )
    except VerifyError as exc:
        return exc.code
    single = found.single
    if single.revoked_at is not None and single.revoked_at <= at:
        return Revocation(single.revoked_at, single.reason)
    return None


def _revoked_by_then(
    responses: Sequence[OcspResponse],
    certificate: AttributeCertificate,
    authority: TrustedAuthority,
    at: datetime,
    check_responder: ResponderCheck,
) -> Revocation | None:
    """An answer that is newer than the moment still tells what was revoked at it."""
    for response in responses:
        for single in response.answers:
            revoked_at = single.revoked_at
            if revoked_at is None or revoked_at > at or single.this_update <= at:
                continue
            if single.matches(certificate.serial, authority.name_der, authority.public_key_der):
                with suppress(VerifyError):
                    check_responder(response)
                    return Revocation(revoked_at, single.reason)
    return None


def _check_responder(
    response: OcspResponse,
    authority: TrustedAuthority,
    trust: AttributeTrust,
    at: datetime,
    algorithms: AlgorithmPolicy,
) -> datetime | None:
    """Raise unless somebody entitled signed; answer until when a delegated responder is.

    Raises:
        CouldNotCheckError: ``OCSP_RESPONDER``; or what the path of the responder's certificate raises.
        RefusedError: the signature is wrong.
    """
    if response.is_from(canonical_name(authority.name_der), authority.public_key_der):
        _check_signature(response, authority.public_key, algorithms, at)
        return None
    for certificate in response.certificates:
        if not response.is_from(certificate.subject, certificate.spki_der):
            continue
        if not _is_named_beside(certificate, authority) or trust.check_responder is None:
            continue
        trust.check_responder(certificate, at)
        _check_signature(response, load_public_key(certificate.spki_der), algorithms, at)
        return certificate.not_after
    raise CouldNotCheckError("OCSP_RESPONDER", source=_SOURCE, detail=response.responder_text)


def _is_named_beside(certificate: ParsedCertificate, authority: TrustedAuthority) -> bool:
    """Tell whether the CA of the authority's own certificate made this one for a responder.

    The path of the certificate is checked by ``AttributeTrust.check_responder``.
    """
    own = authority.certificate
    if own is None or certificate.is_ca or own.authority_key_id is None:
        return False
    if OCSP_SIGNING not in (certificate.extended_key_usage or ()):
        return False
    return certificate.authority_key_id == own.authority_key_id and certificate.issuer == own.issuer


def _check_signature(
    response: OcspResponse, key: PublicKey, algorithms: AlgorithmPolicy, at: datetime
) -> None:
    verify_signature(key, response.algorithm_der, response.signature, response.tbs, policy=algorithms, at=at)
