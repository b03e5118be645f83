"""A certificate request (PKCS#10, RFC 2986): read, bounded, its proof of possession checked, previewed.

    request = load_request(pem_or_der)      # RequestFault when it cannot be used, with code and next step
    request.key, request.subject, request.notes

The names inside the request are shown and not used: what goes into the certificate is what a second person
approved. Attributes that ask for extensions are named in a note for the same reason.
"""

import base64
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.ra.errors import FieldFault
from onecert.server.languages import _

# An RSA-4096 request with a long subject has about 1,800 octets; 16 KiB leaves room for attributes.
MAX_OCTETS = 16 * 1024
SHORTEST_PRIVATE_KEY = 40  # octets: SEC 1 of P-256 without parameters has 51
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096
_CURVES: Mapping[str, str] = MappingProxyType({"secp256r1": "P-256", "secp384r1": "P-384"})
_BLOCK = re.compile(
    rb"-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----.*?-----END (?:NEW )?CERTIFICATE REQUEST-----", re.S
)
_WEAK_HASHES = frozenset({"md5", "sha1"})
_SMALL_PRIMES = math.prod(p for p in range(3, 2000) if all(p % d for d in range(2, int(p**0.5) + 1)))


class RequestFault(Exception):  # noqa: N818 - carries a fault to a form; RequestFileError is the HTTP error
    """The request cannot be used; `fault` says why and what to do."""

    def __init__(self, fault: FieldFault) -> None:
        super().__init__(fault.code)
        self.fault = fault


@dataclass(frozen=True)
class CertificateRequest:
    """A request whose signature was verified with its own key, and whose key is strong enough."""

    pem: str
    subject: str
    key: str
    key_sha256: str
    signature: str
    notes: tuple[str, ...]


def load_request(data: str | bytes) -> CertificateRequest:
    """Read one request in PEM or DER.

    Raises:
        RequestFault: CSR_TOO_LONG, CSR_MALFORMED, CSR_NOT_ONE, CSR_SIGNATURE, CSR_WEAK_HASH, KEY_TYPE or
        KEY_WEAK.
    """
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    if len(raw) > MAX_OCTETS:
        raise _fault(
            "CSR_TOO_LONG", _("The file is too long for a certificate request."), _("Choose the .csr file.")
        )
    request = _parse(raw)
    _check_signature(request)
    public = _public_key(request)
    key = _describe_key(public)
    pem = request.public_bytes(Encoding.PEM).decode("ascii")
    return CertificateRequest(
        pem=pem,
        subject=_describe_subject(request.subject),
        key=key,
        key_sha256=key_sha256(public),
        signature=_hash_name(request),
        notes=tuple(_notes(request)),
    )


def key_sha256(key: Any) -> str:
    """Hex SHA-256 of the SubjectPublicKeyInfo: one key, one value, whatever request holds it."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _parse(raw: bytes) -> x509.CertificateSigningRequest:
    hint = _(
        "Have the applicant's software make the request again and paste all of it, with both marker lines."
    )
    try:
        der = _as_der(raw)
        if b"PRIVATE KEY" in raw or _begins_like_a_private_key(der):
            raise _fault(
                "CSR_PRIVATE_KEY",
                _("This file holds a private key. A private key must never leave the applicant."),
                _("Do not save it. Have the applicant make a new key and send only the request (.csr)."),
            )
        if der:
            return x509.load_der_x509_csr(der)
        blocks = _BLOCK.findall(raw)
        if len(blocks) > 1:
            raise _fault(
                "CSR_NOT_ONE", _("There is more than one request in the file."), _("Send one at a time.")
            )
        if not blocks:
            raise _fault("CSR_MALFORMED", _("This is not a certificate request (PKCS#10)."), hint)
        return x509.load_pem_x509_csr(blocks[0])
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise _fault("CSR_MALFORMED", _("This is not a certificate request (PKCS#10)."), hint) from exc


def _as_der(raw: bytes) -> bytes:
    """The DER of what has no PEM markers: the octets themselves, or base64 in lines; else empty."""
    if b"-----" in raw:
        return b""
    if raw[:1] == b"0" and not raw[:8].isalnum():
        return raw
    try:
        return base64.b64decode(b"".join(raw.split()), validate=True)
    except ValueError:
        return b""


def _begins_like_a_private_key(der: bytes) -> bool:
    """A SEQUENCE that begins with a version, as in PKCS#8, PKCS#1, SEC 1 and PKCS#12, and in no request."""
    if der[:1] != b"0" or len(der) < SHORTEST_PRIVATE_KEY:
        return False
    length_octets = der[1] & 0x7F if der[1] & 0x80 else 0
    return der[2 + length_octets : 3 + length_octets] == b"\x02"


def _check_signature(request: x509.CertificateSigningRequest) -> None:
    # First the hash: what signed it with SHA-1 cannot even be verified everywhere.
    if _hash_name(request) in _WEAK_HASHES:
        raise _fault(
            "CSR_WEAK_HASH",
            _("The request is signed with %(hash)s, which can be forged."),
            _("Have it made again with SHA-256 or stronger."),
            hash=_hash_name(request).upper(),
        )
    hint = _("The request was changed on its way, or made wrongly. Have the applicant make it again.")
    text = _("The signature of the request is wrong: it does not prove that the applicant has the key.")
    try:
        sound = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise _fault("CSR_SIGNATURE", text, hint) from exc
    if not sound:
        raise _fault("CSR_SIGNATURE", text, hint)


def _hash_name(request: x509.CertificateSigningRequest) -> str:
    try:
        algorithm = request.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""
    return algorithm.name if algorithm else "ed25519"


def _describe_key(key: Any) -> str:
    hint = _("Use RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519.")
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            raise _fault(
                "KEY_WEAK", _("An RSA key of %(bits)s bits is not accepted."), hint, bits=key.key_size
            )
        # CA/Browser Forum baseline 6.1.6: odd exponent of at least 2^16+1; the modulus has no small factor.
        if (
            numbers.e < 65537
            or numbers.e % 2 == 0
            or numbers.n % 2 == 0
            or math.gcd(numbers.n, _SMALL_PRIMES) > 1
        ):
            raise _fault("KEY_WEAK", _("The RSA key is made wrongly (exponent or modulus)."), hint)
        return f"RSA-{key.key_size}"
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, Ed25519PublicKey):
        return "Ed25519"
    raise _fault("KEY_TYPE", _("This kind of key is not accepted."), hint)


def _public_key(request: x509.CertificateSigningRequest) -> Any:
    try:
        return request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise _fault(
            "KEY_TYPE",
            _("This kind of key is not accepted."),
            _("Use RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519."),
        ) from exc


def _describe_subject(subject: x509.Name) -> str:
    try:
        return subject.rfc4514_string() or "-"
    except (ValueError, TypeError):
        return "?"


def _notes(request: x509.CertificateSigningRequest) -> list[str]:
    """What the request asks for and will not get."""
    try:
        asked = len(request.extensions)
    except (ValueError, TypeError, x509.DuplicateExtension):
        return [_("The request asks for extensions that cannot be read; they are ignored.")]
    return [_("Extensions asked for in the request are ignored; the CA's profile decides.")] if asked else []


def _fault(code: str, text: str, hint: str, **facts: Any) -> RequestFault:
    return RequestFault(FieldFault("csr", code, text, hint, facts))
