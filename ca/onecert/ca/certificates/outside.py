"""Certificates as others send them: PEM, DER, or a "certs-only" message (RFC 8551, section 3.8)."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from onecert.ca.errors import CeremonyFileError

__all__ = ["read_certificates"]

CERTIFICATES_MAX = 64


def read_certificates(content: bytes) -> list[x509.Certificate]:
    """Read certificates as others send them: PEM, one in DER, or a certs-only message in either form.

    Raises:
        CeremonyFileError: nothing of that kind, or more than 64.
    """
    found: list[x509.Certificate] = []
    for read in (
        x509.load_pem_x509_certificates,
        lambda data: [x509.load_der_x509_certificate(data)],
        pkcs7.load_der_pkcs7_certificates,
        pkcs7.load_pem_pkcs7_certificates,
    ):
        try:
            found = read(content)
        except Exception:  # noqa: S112 - each reader fails in its own ways on what is another's
            continue
        break
    if not 0 < len(found) <= CERTIFICATES_MAX:
        raise CeremonyFileError(
            [f"no certificates in PEM, DER or PKCS#7 form, or more than {CERTIFICATES_MAX}"]
        )
    for certificate in found:
        try:
            certificate.public_bytes(serialization.Encoding.DER)
            list(certificate.extensions)
        except (ValueError, x509.DuplicateExtension) as exc:
            raise CeremonyFileError([f"a certificate cannot be read: {exc}"]) from exc
    return found
