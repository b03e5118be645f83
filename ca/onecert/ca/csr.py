"""Certificate requests (PKCS#10, RFC 2986): from bytes to a request whose maker holds the key.

Subject and extensions of the request are ignored: what stands in a certificate comes from the approved order.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.ca import der
from onecert.ca.errors import (
    RequestDigestError,
    RequestMalformedError,
    RequestSignatureError,
    UnsupportedKeyError,
)
from onecert.ca.keys import check_key
from onecert.ca.signing import PublicKey, spki_der

CSR_MAX_CHARACTERS = 16384
_DIGESTS = frozenset({"sha256", "sha384", "sha512"})
_OIDS = x509.SignatureAlgorithmOID
_ECDSA = frozenset({_OIDS.ECDSA_WITH_SHA256, _OIDS.ECDSA_WITH_SHA384, _OIDS.ECDSA_WITH_SHA512})


@dataclass(frozen=True)
class CertificateRequest:
    """A request that could be read; nothing about it is checked yet."""

    csr: x509.CertificateSigningRequest
    public_key: object


@dataclass(frozen=True)
class CheckedKey:
    """A public key with proof of possession that obeys the key rules of the profile."""

    public_key: PublicKey
    spki_der: bytes

    @cached_property
    def sha256(self) -> str:
        """Names the key: the SHA-256 of its SubjectPublicKeyInfo, in hex."""
        return hashlib.sha256(self.spki_der).hexdigest()


def load_request(csr_pem: str) -> CertificateRequest:
    """Read exactly one request in PEM form.

    Raises:
        RequestMalformedError: not one PKCS#10 request, or longer than 16 KiB.
        UnsupportedKeyError: a kind of key that we cannot even read, such as SM2.
    """
    if len(csr_pem) > CSR_MAX_CHARACTERS or csr_pem.count("-----BEGIN") != 1:
        raise RequestMalformedError
    try:
        csr = x509.load_pem_x509_csr(csr_pem.encode("ascii"))
        return CertificateRequest(csr, csr.public_key())
    except UnsupportedAlgorithm as exc:
        raise UnsupportedKeyError(_unreadable_kind(csr_pem)) from exc
    except (ValueError, TypeError) as exc:
        raise RequestMalformedError from exc


def check_request(request: CertificateRequest, key_kinds: tuple[str, ...]) -> CheckedKey:
    """Check the key rules and the proof of possession.

    Raises:
        UnsupportedKeyError, WeakKeyError: see `keys.check_key`.
        RequestDigestError: signed with SHA-1 or MD5.
        RequestSignatureError: not signed with the key inside.
    """
    check_key(request.public_key, key_kinds)
    try:
        digest = request.csr.signature_hash_algorithm
        if digest is not None and digest.name not in _DIGESTS:
            raise RequestDigestError(digest.name)
        valid = _is_signed_by_its_key(request)
    except (UnsupportedAlgorithm, ValueError, TypeError) as exc:
        raise RequestSignatureError from exc
    if not valid:
        raise RequestSignatureError
    public_key: PublicKey = request.public_key  # type: ignore[assignment]  # check_key knows only these kinds
    return CheckedKey(public_key, spki_der(public_key))


def _is_signed_by_its_key(request: CertificateRequest) -> bool:
    csr, key = request.csr, request.public_key
    algorithm = csr.signature_hash_algorithm
    if not isinstance(key, ec.EllipticCurvePublicKey) or algorithm is None:
        return csr.is_signature_valid
    # The key was read already: to read it again, as the library does, costs a third of the verification.
    # That the algorithm is ECDSA is part of its name (RFC 5758, section 3.2).
    if csr.signature_algorithm_oid not in _ECDSA:
        return False
    try:
        key.verify(csr.signature, csr.tbs_certrequest_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def _unreadable_kind(csr_pem: str) -> str:
    # The curve of SM2 (GM/T 0006): worth naming, because many USB keys make such requests.
    body = b"".join(csr_pem.encode("ascii").splitlines()[1:-1])
    return "SM2" if der.oid("1.2.156.10197.1.301") in base64.b64decode(body) else "?"
