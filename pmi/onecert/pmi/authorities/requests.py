"""The key of an attribute authority on the token, and the request for its certificate."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509.oid import NameOID

from onecert.hsm import KeyAlgorithm, TokenError
from onecert.pmi.errors import TokenGoneError
from onecert.pmi.issuing.signing import algorithm_of, assemble, public_key_der, raw_sign
from onecert.pmi.tokens import PmiToken
from onecert.verifier.attribute_certificate.asn1 import AAControls, ExtensionSyntax
from onecert.verifier.attribute_certificate.encoding import tlv
from onecert.verifier.der import SEQUENCE, SET

__all__ = ["make_request", "sign_request"]


_AA_CONTROLS = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.6")
_BEGIN, _END = "-----BEGIN CERTIFICATE REQUEST-----\n", "-----END CERTIFICATE REQUEST-----\n"
_VERSION = bytes.fromhex("020100")
_EXTENSION_REQUEST = bytes.fromhex("06092a864886f70d01090e")


def make_request(
    token: PmiToken,
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
    token: PmiToken, label: str, algorithm: KeyAlgorithm, subject: x509.Name, *, may_give: Iterable[str] = ()
) -> bytes:
    """Like `make_request`, for a name that is given whole: that of the certificate to be renewed."""
    key = token.find_or_make(label, algorithm)
    # CertificationRequestInfo (RFC 2986, section 4.1); `cryptography` has no SM2 and would not sign it.
    content = tlv(
        SEQUENCE, _VERSION, subject.public_bytes(), public_key_der(key), tlv(0xA0, _extensions(may_give))
    )
    try:
        signature = raw_sign(key, content)
    except TokenError as exc:
        raise TokenGoneError(token.label) from exc
    der = assemble(content, algorithm_of(key.public_key()).identifier_der, signature)
    return f"{_BEGIN}{base64.encodebytes(der).decode('ascii')}{_END}".encode("ascii")


def _extensions(may_give: Iterable[str]) -> bytes:
    """The attribute extensionRequest (RFC 2985, section 5.4.2), when there is something to request."""
    permitted = [x509.ObjectIdentifier(oid) for oid in sorted(set(may_give))]
    if not permitted:
        return b""
    controls = AAControls(path_length=None, permitted=permitted, excluded=None, permit_unspecified=False)
    wanted = ExtensionSyntax(oid=_AA_CONTROLS, critical=False, value=asn1.encode_der(controls))
    return tlv(SEQUENCE, _EXTENSION_REQUEST, tlv(SET, tlv(SEQUENCE, asn1.encode_der(wanted))))
