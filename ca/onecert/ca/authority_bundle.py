"""The bundle of an authority's certificates, served as `/<authority>.p7c`: its own and those others gave it.

A "certs-only" CMS message (RFC 5652, section 5.1, without signers; RFC 8551, section 3.8; RFC 5280, section
4.2.2.1 says that it stands behind caIssuers). Whoever builds a path through a bridge or from another root
finds the cross-certificate there.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from onecert.ca import der
from onecert.ca.errors import CeremonyFileError

__all__ = ["bundle_der", "read_certificates"]

CERTIFICATES_MAX = 64
_DATA, _SIGNED_DATA = der.oid("1.2.840.113549.1.7.1"), der.oid("1.2.840.113549.1.7.2")


def bundle_der(certificates_der: Iterable[bytes]) -> bytes:
    """Write a certs-only message; the same certificates give the same bytes."""
    unique = dict.fromkeys(certificates_der)
    signed_data = der.sequence(
        der.integer(1),
        der.tlv(der.SET, b""),
        der.sequence(_DATA),
        # SET OF, so sorted; [0] IMPLICIT.
        der.explicit(0, *sorted(unique)),
        der.tlv(der.SET, b""),
    )
    return der.sequence(_SIGNED_DATA, der.explicit(0, signed_data))


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
