"""Certificates about which there is no revocation information: the extension noRevAvail, RFC 9608."""

from __future__ import annotations

from onecert.verifier.certificate import ParsedCertificate

__all__ = ["NO_REVOCATION", "contradicts_no_revocation", "has_no_revocation"]

NO_REVOCATION = "2.5.29.56"
_CRL_POINTS, _FRESHEST = "2.5.29.31", "2.5.29.46"
_ACCESS, _OCSP = "1.3.6.1.5.5.7.1.1", "1.3.6.1.5.5.7.48.1"


def has_no_revocation(certificate: ParsedCertificate) -> bool:
    """Tell whether nobody can answer for this certificate, so that its status is not looked for.

    Not so for a certificate that contradicts itself; then the safer reading counts.
    """
    return NO_REVOCATION in certificate.extensions and not contradicts_no_revocation(certificate)


def contradicts_no_revocation(certificate: ParsedCertificate) -> bool:
    """Tell whether it is a CA certificate or points to revocation information (RFC 9608, section 3)."""
    access = certificate.extensions.get(_ACCESS)
    return (
        certificate.is_ca
        or _CRL_POINTS in certificate.extensions
        or _FRESHEST in certificate.extensions
        or (access is not None and any(method == _OCSP for method, _ in access.value))
    )
