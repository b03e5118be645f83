"""What a certificate shows by itself: RFC 5280, sections 6.1.3 (a)(2) and 6.1.4 (k) to (o)."""

from __future__ import annotations

from datetime import datetime

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import RefusedError
from onecert.verifier.extensions import PROCESSED
from onecert.verifier.path.inputs import PathParameters
from onecert.verifier.path.strict import check_profile
from onecert.verifier.signatures import check_spki, parse_algorithm

__all__ = ["KEY_CERT_SIGN", "check_alone", "check_dates", "check_is_ca", "check_unknown_extensions"]

KEY_CERT_SIGN = 5


def check_alone(target: ParsedCertificate, parameters: PathParameters, at: datetime) -> None:
    """What the target shows by itself, whatever its path: dates, extensions, purpose, algorithm, key."""
    check_dates(target, at)
    check_unknown_extensions(target, parameters)
    if parameters.strict:
        check_profile(target)
    parameters.purpose.check(target)
    try:
        parameters.algorithms.check(parse_algorithm(target.algorithm_der), at)
        check_spki(target.spki_der, parameters.algorithms)
    except RefusedError as exc:
        exc.certificate = target.certificate
        raise


def check_is_ca(certificate: ParsedCertificate, at: datetime) -> None:
    """Cheap grounds to refuse a certificate as an issuer: dates, basic constraints, key usage."""
    # 6.1.4 (k); a version 1 certificate has no extensions and is no CA either.
    if not certificate.is_ca:
        raise RefusedError(
            "NOT_A_CA",
            certificate=certificate.certificate,
            source="RFC 5280, section 6.1.4 (k)",
            subject=certificate.subject_text,
        )
    # 6.1.4 (n)
    usage = certificate.key_usage
    if usage is not None and KEY_CERT_SIGN not in usage:
        raise RefusedError(
            "CA_KEY_USAGE",
            certificate=certificate.certificate,
            source="RFC 5280, section 6.1.4 (n)",
            subject=certificate.subject_text,
        )
    check_dates(certificate, at)


def check_dates(certificate: ParsedCertificate, at: datetime) -> None:
    """Section 6.1.3 (a)(2); both ends belong to the validity period."""
    if at < certificate.not_before:
        raise RefusedError(
            "CERT_NOT_YET_VALID",
            certificate=certificate.certificate,
            source="RFC 5280, section 6.1.3 (a)(2)",
            subject=certificate.subject_text,
            not_before=certificate.not_before,
        )
    if at > certificate.not_after:
        raise RefusedError(
            "CERT_EXPIRED",
            certificate=certificate.certificate,
            source="RFC 5280, section 6.1.3 (a)(2)",
            subject=certificate.subject_text,
            not_after=certificate.not_after,
        )


def check_unknown_extensions(certificate: ParsedCertificate, parameters: PathParameters) -> None:
    """Sections 6.1.4 (o) and 6.1.5 (f)."""
    for oid, extension in certificate.extensions.items():
        if extension.critical and oid not in PROCESSED and oid not in parameters.processed_extensions:
            raise RefusedError(
                "UNKNOWN_CRITICAL_EXTENSION",
                certificate=certificate.certificate,
                source="RFC 5280, section 4.2",
                subject=certificate.subject_text,
                oid=oid,
            )
