"""The key of an attribute authority on the token, and the request for its certificate."""

from __future__ import annotations

import base64

from cryptography import x509
from cryptography.x509.oid import NameOID

from onecert.hsm import KeyAlgorithm, TokenError
from onecert.pmi.errors import TokenGoneError
from onecert.pmi.issuing.signing import algorithm_of, assemble, public_key_der, raw_sign
from onecert.pmi.tokens import PmiToken
from onecert.verifier.attribute_certificate.encoding import tlv
from onecert.verifier.der import SEQUENCE

__all__ = ["make_request", "sign_request"]

_BEGIN, _END = "-----BEGIN CERTIFICATE REQUEST-----\n", "-----END CERTIFICATE REQUEST-----\n"
_VERSION = bytes.fromhex("020100")


def make_request(
    token: PmiToken, label: str, algorithm: KeyAlgorithm, *, name: str, organization: str
) -> bytes:
    """Make the key if it is not there, and return a request for its certificate (PEM).

    What its certificate shall let it give (aaControls) is said to the CA by the people who approve it.

    Raises:
        TokenGoneError: the token does not answer.
    """
    parts = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        x509.NameAttribute(NameOID.COMMON_NAME, name),
    ]
    return sign_request(token, label, algorithm, x509.Name(parts))


def sign_request(token: PmiToken, label: str, algorithm: KeyAlgorithm, subject: x509.Name) -> bytes:
    """Like `make_request`, for a name that is given whole: that of the certificate to be renewed."""
    key = token.find_or_make(label, algorithm)
    # CertificationRequestInfo (RFC 2986, section 4.1); `cryptography` has no SM2 and would not sign it.
    content = tlv(SEQUENCE, _VERSION, subject.public_bytes(), public_key_der(key), tlv(0xA0))
    try:
        signature = raw_sign(key, content)
    except TokenError as exc:
        raise TokenGoneError(token.label) from exc
    der = assemble(content, algorithm_of(key.public_key()).identifier_der, signature)
    return f"{_BEGIN}{base64.encodebytes(der).decode('ascii')}{_END}".encode("ascii")
