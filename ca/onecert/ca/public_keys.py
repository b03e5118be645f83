"""Public keys of certificates and requests, of the kinds that `cryptography` does not read too (SM2)."""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.ca import der
from onecert.ca.errors import UnsupportedKeyError
from onecert.ca.signing import PublicKey, algorithm_of
from onecert.hsm import Sm2PublicKey as OwnSm2PublicKey
from onecert.verifier.errors import VerifyError
from onecert.verifier.signatures import load_public_key
from onecert.verifier.sm2 import Sm2PublicKey

__all__ = ["key_digest", "key_of_certificate", "key_of_request", "load_key"]


def key_of_certificate(certificate: x509.Certificate) -> PublicKey:
    """Read the subject's public key, of a kind that signs here.

    Raises:
        UnsupportedKeyError: another kind of key.
        ValueError: malformed.
    """
    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm:
        reader = der.Reader(certificate.tbs_certificate_bytes).enter()
        for _field in ("version", "serial", "signature", "issuer", "validity", "subject"):
            reader.element()
        return load_key(reader.element()[2])
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
        reader = der.Reader(csr.tbs_certrequest_bytes).enter()
        for _field in ("version", "subject"):
            reader.element()
        return load_key(reader.element()[2])


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


def key_digest(public_key: PublicKey) -> bytes:
    """The SHA-1 of a key's bits (RFC 5280, section 4.2.1.2), not taken from its encoding: for the lint."""
    if isinstance(public_key, Sm2PublicKey | OwnSm2PublicKey):
        point = public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return hashlib.sha1(point, usedforsecurity=False).digest()
    return x509.SubjectKeyIdentifier.from_public_key(public_key).digest
