"""Public keys of certificates and requests, of the kinds that `cryptography` does not read too (SM2)."""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.ca import der
from onecert.ca.errors import UnsupportedKeyError
from onecert.ca.signatures.algorithms import PublicKey, algorithm_of, spki_der
from onecert.hsm import Sm2PublicKey as OwnSm2PublicKey
from onecert.verifier.errors import VerifyError
from onecert.verifier.signatures import load_public_key, verify_signature
from onecert.verifier.sm2 import Sm2PublicKey

__all__ = [
    "is_for_key",
    "is_issued_by",
    "key_digest",
    "key_of_certificate",
    "key_of_request",
    "load_key",
]


def key_of_certificate(certificate: x509.Certificate) -> PublicKey:
    """Read the subject's public key, of a kind that signs here.

    Raises:
        UnsupportedKeyError: another kind of key.
        ValueError: malformed.
    """
    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm:
        return load_key(_subject_key_der(certificate))
    algorithm_of(key)
    return key  # type: ignore[return-value]  # algorithm_of refuses all others


def key_of_request(csr: x509.CertificateSigningRequest) -> object:
    """Read the public key of a request (RFC 2986); of any kind that can be read.

    Raises:
        UnsupportedKeyError: not even to be read.
        ValueError: malformed.
    """
    try:
        return csr.public_key()
    except UnsupportedAlgorithm:
        return load_key(der.elements(der.content_of(csr.tbs_certrequest_bytes))[2][2])


def load_key(spki: bytes) -> PublicKey:
    """Read a SubjectPublicKeyInfo in DER.

    Raises:
        UnsupportedKeyError: of a kind that does not sign here.
        ValueError: malformed, such as a point off its curve.
    """
    try:
        key = load_public_key(spki)
    except VerifyError as exc:
        if exc.code == "UNSUPPORTED_ALGORITHM":
            raise UnsupportedKeyError("?") from exc
        raise ValueError(str(exc)) from exc
    algorithm_of(key)
    return key  # type: ignore[return-value]  # algorithm_of refuses all others


def is_for_key(certificate: x509.Certificate, public_key: PublicKey) -> bool:
    """Whether a certificate, of whomever, is for this key."""
    return _subject_key_der(certificate) == spki_der(public_key)


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's name and key are on a certificate; with every algorithm that verifiers accept."""
    (*_tbs, tbs), (*_algorithm, algorithm), _signature = der.elements(
        der.content_of(certificate.public_bytes(Encoding.DER))
    )
    try:
        key = load_public_key(_subject_key_der(issuer))
        verify_signature(key, algorithm, certificate.signature, tbs)
    except VerifyError:
        return False
    return certificate.issuer == issuer.subject


def _subject_key_der(certificate: x509.Certificate) -> bytes:
    return der.elements(der.content_of(certificate.tbs_certificate_bytes))[6][2]


def key_digest(public_key: PublicKey) -> bytes:
    """The SHA-1 of a key's bits (RFC 5280, section 4.2.1.2), not taken from its encoding: for the lint."""
    if isinstance(public_key, Sm2PublicKey | OwnSm2PublicKey):
        point = public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return hashlib.sha1(point, usedforsecurity=False).digest()
    return x509.SubjectKeyIdentifier.from_public_key(public_key).digest
