"""The key of an attribute authority on the token, and the request for its certificate."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from onecert.hsm import KeyAlgorithm, PrivateKey, Token, TokenError
from onecert.pmi.errors import TokenGoneError
from onecert.pmi.issuing.signing import algorithm_of
from onecert.verifier.attribute_certificate.asn1 import AAControls

__all__ = ["make_request", "sign_request"]


_AA_CONTROLS = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.6")


def make_request(
    token: Token,
    label: str,
    algorithm: KeyAlgorithm,
    *,
    name: str,
    organization: str,
    may_give: Iterable[str] = (),
) -> bytes:
    """Make the key if it is not there, and return a request for its certificate (PEM).

    Args:
        may_give: dotted identifiers of the attributes that its certificate shall let it give, in the
            extension aaControls (RFC 5755, section 7.4); none: the certificate says nothing.

    Raises:
        TokenGoneError: the token does not answer.
    """
    parts = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        x509.NameAttribute(NameOID.COMMON_NAME, name),
    ]
    return sign_request(token, label, algorithm, x509.Name(parts), may_give=may_give)


def sign_request(
    token: Token, label: str, algorithm: KeyAlgorithm, subject: x509.Name, *, may_give: Iterable[str] = ()
) -> bytes:
    """Like `make_request`, for a name that is given whole: that of the certificate to be renewed."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    permitted = [x509.ObjectIdentifier(oid) for oid in sorted(set(may_give))]
    if permitted:
        controls = AAControls(path_length=None, permitted=permitted, excluded=None, permit_unspecified=False)
        value = x509.UnrecognizedExtension(_AA_CONTROLS, asn1.encode_der(controls))
        builder = builder.add_extension(value, critical=False)
    try:
        key: PrivateKey = token.find_key(label) or token.generate_key(label, algorithm)
        request = builder.sign(key, algorithm_of(key.public_key()).hash)
    except TokenError as exc:
        raise TokenGoneError(token.label) from exc
    return request.public_bytes(Encoding.PEM)
