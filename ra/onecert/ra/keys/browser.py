"""The request of a key that a browser made: the server writes what is signed, the browser signs it.

WebCrypto signs octets and knows no ASN.1, and a request needs little of it: the server builds the
CertificationRequestInfo (RFC 2986, section 4.1) around the browser's SubjectPublicKeyInfo, the browser looks
that its own key is inside and signs exactly these octets, and the server puts the request together, which is
then checked as any other. The private key never leaves the browser.
"""

from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509.oid import NameOID

from onecert.ra.errors import BrowserKeyRefusedError
from onecert.verifier.attribute_certificate.encoding import tlv
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import der_signature

__all__ = ["assemble", "load_browser_key", "request_info", "request_name"]

MAX_SPKI, MAX_SIGNATURE = 1024, 512
SEQUENCE, BIT_STRING, ATTRIBUTES = 0x30, 0x03, 0xA0
_VERSION_0 = bytes.fromhex("020100")
# RFC 5758, section 3.2: no parameters. RFC 4055, section 5: parameters are NULL.
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
_NAMES = (
    ("state_or_province", NameOID.STATE_OR_PROVINCE_NAME),
    ("locality", NameOID.LOCALITY_NAME),
    ("organization_name", NameOID.ORGANIZATION_NAME),
    ("organizational_unit", NameOID.ORGANIZATIONAL_UNIT_NAME),
)


def load_browser_key(spki_der: bytes) -> EllipticCurvePublicKey | RSAPublicKey:
    """The public key, P-256 or RSA-2048, in its one DER encoding.

    Raises:
        BrowserKeyRefusedError: anything else.
    """
    if len(spki_der) > MAX_SPKI:
        raise BrowserKeyRefusedError("BROWSER_KEY_FORM")
    try:
        key = load_der_public_key(spki_der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise BrowserKeyRefusedError("BROWSER_KEY_FORM") from exc
    is_p256 = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    is_rsa = isinstance(key, RSAPublicKey) and key.key_size == 2048
    if not (is_p256 or is_rsa) or _spki(key) != spki_der:
        raise BrowserKeyRefusedError("BROWSER_KEY_FORM")
    assert isinstance(key, EllipticCurvePublicKey | RSAPublicKey)  # noqa: S101  looked at above
    return key


def request_name(name: str, values: Mapping[str, str]) -> x509.Name:
    """The subject of the request, for people: what is issued is what is approved."""
    attributes = [x509.NameAttribute(NameOID.COUNTRY_NAME, "CN")]
    attributes += [
        x509.NameAttribute(oid, text[:64]) for field, oid in _NAMES if (text := values.get(field, "").strip())
    ]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, name.strip()[:64] or "-"))
    return x509.Name(attributes)


def request_info(key: EllipticCurvePublicKey | RSAPublicKey, subject: x509.Name) -> bytes:
    """The DER of CertificationRequestInfo: version 0, subject, key, no attributes."""
    return tlv(SEQUENCE, _VERSION_0, subject.public_bytes(), _spki(key), tlv(ATTRIBUTES))


def assemble(key: EllipticCurvePublicKey | RSAPublicKey, info: bytes, signature: bytes) -> bytes:
    """The DER of the request; `signature` as WebCrypto gives it (ECDSA: r and s, 64 octets).

    Whether the signature is right is not checked here: the request is, as any other.

    Raises:
        BrowserKeyRefusedError: the signature has not the form of one.
    """
    algorithm = _RSA_SHA256
    if len(signature) > MAX_SIGNATURE:
        raise BrowserKeyRefusedError("BROWSER_KEY_FORM")
    if isinstance(key, EllipticCurvePublicKey):
        algorithm = _ECDSA_SHA256
        try:
            signature = der_signature(key, signature)
        except (VerifyError, ValueError) as exc:
            raise BrowserKeyRefusedError("BROWSER_KEY_FORM") from exc
    return tlv(SEQUENCE, info, algorithm, tlv(BIT_STRING, b"\0", signature))


def _spki(key: Any) -> bytes:
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
