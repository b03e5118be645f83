"""Certificate requests (PKCS#10, RFC 2986): from bytes to a request whose maker holds the key.

SM2 keys (GM/T 0015) are signed for with the usual identifier, as everybody's are (GM/T 0009, section 10).
Subject and extensions of the request are ignored: what stands in a certificate comes from the approved order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from onecert.ca.certificates.keys import check_key
from onecert.ca.errors import (
    RequestDigestError,
    RequestMalformedError,
    RequestSignatureError,
    RequestSm2IdError,
    UnsupportedKeyError,
)
from onecert.ca.signatures.algorithms import PublicKey, algorithm_of, spki_der
from onecert.ca.signatures.public_keys import key_of_request
from onecert.verifier.sm2 import EmptyIdError, Sm2PublicKey

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
        UnsupportedKeyError: a kind of key that we cannot even read.
    """
    if len(csr_pem) > CSR_MAX_CHARACTERS or csr_pem.count("-----BEGIN") != 1:
        raise RequestMalformedError
    try:
        csr = x509.load_pem_x509_csr(csr_pem.encode("ascii"))
        return CertificateRequest(csr, key_of_request(csr))
    except UnsupportedAlgorithm as exc:
        raise UnsupportedKeyError("?") from exc
    except (ValueError, TypeError) as exc:
        raise RequestMalformedError from exc


def check_request(request: CertificateRequest, key_kinds: tuple[str, ...]) -> CheckedKey:
    """Check the key rules and the proof of possession.

    Raises:
        UnsupportedKeyError, WeakKeyError: see `keys.check_key`.
        RequestDigestError: signed with SHA-1 or MD5.
        RequestSignatureError: not signed with the key inside.
        RequestSm2IdError: signed with SM2 and an empty identifier.
    """
    check_key(request.public_key, key_kinds)
    return proven_key(request)


def proven_key(request: CertificateRequest) -> CheckedKey:
    """Check the proof of possession alone, of a key that `keys.check_key` has passed.

    Raises:
        RequestDigestError, RequestSignatureError, RequestSm2IdError: see `check_request`.
    """
    try:
        valid = _is_signed_by_its_key(request)
    except (UnsupportedAlgorithm, ValueError, TypeError) as exc:
        raise RequestSignatureError from exc
    if not valid:
        raise RequestSignatureError
    public_key: PublicKey = request.public_key  # type: ignore[assignment]  # check_key knows only these kinds
    return CheckedKey(public_key, spki_der(public_key))


def _is_signed_by_its_key(request: CertificateRequest) -> bool:
    csr, key = request.csr, request.public_key
    if isinstance(key, Sm2PublicKey):
        return _is_signed_with_sm2(csr, key)
    algorithm = csr.signature_hash_algorithm
    if algorithm is not None and algorithm.name not in _DIGESTS:
        raise RequestDigestError(algorithm.name)
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


def _is_signed_with_sm2(csr: x509.CertificateSigningRequest, key: Sm2PublicKey) -> bool:
    if csr.signature_algorithm_oid.dotted_string != algorithm_of(key).oid:
        return False
    try:
        key.verify(csr.signature, csr.tbs_certrequest_bytes)
    except EmptyIdError as exc:
        # What openssl 3.0 makes without "-sigopt distid:1234567812345678".
        raise RequestSm2IdError from exc
    except InvalidSignature:
        return False
    return True
