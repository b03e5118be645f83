"""Signature algorithms by key, for every kind of private key: in memory or on a token.

One table (RFC 3279, 4055, 5758, 8410), so that another algorithm is one more row. SM2 is not in it yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from onecert.ca import der
from onecert.ca.errors import UnsupportedKeyError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey


@dataclass(frozen=True, kw_only=True)
class SignatureAlgorithm:
    """One way to sign: its name, its AlgorithmIdentifier in DER, and how to make a throw-away key for it."""

    name: str
    oid: str
    identifier_der: bytes
    throw_away: Callable[[], PrivateKey]


_RSA_SHA256 = SignatureAlgorithm(
    name="sha256WithRSAEncryption",
    oid="1.2.840.113549.1.1.11",
    identifier_der=der.sequence(der.oid("1.2.840.113549.1.1.11"), der.NULL_DER),
    throw_away=lambda: rsa.generate_private_key(65537, 2048),
)
_ECDSA_SHA256 = SignatureAlgorithm(
    name="ecdsa-with-SHA256",
    oid="1.2.840.10045.4.3.2",
    identifier_der=der.sequence(der.oid("1.2.840.10045.4.3.2")),
    throw_away=lambda: ec.generate_private_key(ec.SECP256R1()),
)
_ECDSA_SHA384 = SignatureAlgorithm(
    name="ecdsa-with-SHA384",
    oid="1.2.840.10045.4.3.3",
    identifier_der=der.sequence(der.oid("1.2.840.10045.4.3.3")),
    throw_away=lambda: ec.generate_private_key(ec.SECP384R1()),
)
_ED25519 = SignatureAlgorithm(
    name="Ed25519",
    oid="1.3.101.112",
    identifier_der=der.sequence(der.oid("1.3.101.112")),
    throw_away=Ed25519PrivateKey.generate,
)


def _family(key: object) -> str:
    kind = type(key)
    family = _known.get(kind)
    if family is None:
        # Asking abstract classes for their instances costs as much as hashing a certificate.
        family = next((name for name, classes in _FAMILIES.items() if issubclass(kind, classes)), "")
        _known[kind] = family
    return family


_known: dict[type, str] = {}
_FAMILIES: dict[str, tuple[type, ...]] = {
    "rsa": (rsa.RSAPublicKey, rsa.RSAPrivateKey),
    "ec": (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey),
    "ed25519": (Ed25519PublicKey, Ed25519PrivateKey),
}
_ECDSA_256, _ECDSA_384 = ec.ECDSA(hashes.SHA256()), ec.ECDSA(hashes.SHA384())
_PKCS1, _SHA256 = padding.PKCS1v15(), hashes.SHA256()


def algorithm_of(public_key: Any) -> SignatureAlgorithm:
    """Tell the one algorithm with which this key signs here.

    Raises:
        UnsupportedKeyError: no row for this kind of key.
    """
    match _family(public_key):
        case "rsa":
            return _RSA_SHA256
        case "ec" if public_key.curve.name == "secp256r1":
            return _ECDSA_SHA256
        case "ec" if public_key.curve.name == "secp384r1":
            return _ECDSA_SHA384
        case "ed25519":
            return _ED25519
    raise UnsupportedKeyError(key_kind(public_key))


def key_kind(public_key: Any) -> str:
    """Name a public key as profiles do: `rsa-2048`, `p-256`, `ed25519`; other kinds by their class."""
    match _family(public_key):
        case "rsa":
            return f"rsa-{public_key.key_size}"
        case "ec":
            curve: str = public_key.curve.name
            return {"secp256r1": "p-256", "secp384r1": "p-384"}.get(curve, curve)
        case "ed25519":
            return "ed25519"
    return type(public_key).__name__


@dataclass(frozen=True)
class Hashed:
    """Data hashed already, with the hash of the key that will sign it."""

    digest: bytes
    algorithm: hashes.HashAlgorithm


def hashed(public_key: Any, data: bytes) -> Hashed | bytes:
    """Hash data once for `sign` and `is_signature_valid`; Ed25519 needs the data itself."""
    family = _family(public_key)
    if family not in {"rsa", "ec"}:
        return data
    is_384 = family == "ec" and public_key.curve.key_size == 384
    algorithm: hashes.HashAlgorithm = hashes.SHA384() if is_384 else hashes.SHA256()
    return Hashed(hashlib.new(algorithm.name, data).digest(), algorithm)


def sign(key: Any, data: bytes | Hashed) -> bytes:
    """Sign with the key's one algorithm."""
    signature: bytes
    match _family(key):
        case "rsa" if isinstance(data, Hashed):
            signature = key.sign(data.digest, _PKCS1, Prehashed(data.algorithm))
        case "ec" if isinstance(data, Hashed):
            signature = key.sign(data.digest, ec.ECDSA(Prehashed(data.algorithm)))
        case "rsa":
            signature = key.sign(data, _PKCS1, _SHA256)
        case "ec":
            signature = key.sign(data, _ECDSA_384 if key.curve.key_size == 384 else _ECDSA_256)
        case _:
            signature = key.sign(data)
    return signature


def is_signature_valid(public_key: Any, signature: bytes, data: bytes | Hashed) -> bool:
    """Check a signature made by `sign`; any failure is False."""
    try:
        match _family(public_key):
            case "rsa" if isinstance(data, Hashed):
                public_key.verify(signature, data.digest, _PKCS1, Prehashed(data.algorithm))
            case "ec" if isinstance(data, Hashed):
                public_key.verify(signature, data.digest, ec.ECDSA(Prehashed(data.algorithm)))
            case "rsa":
                public_key.verify(signature, data, _PKCS1, _SHA256)
            case "ec":
                hashed = _ECDSA_384 if public_key.curve.key_size == 384 else _ECDSA_256
                public_key.verify(signature, data, hashed)
            case "ed25519":
                public_key.verify(signature, data)
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def signed(tbs_der: bytes, algorithm: SignatureAlgorithm, signature: bytes) -> bytes:
    """Put certificate, CRL or OCSP answer together: what is signed, with which algorithm, the signature."""
    return der.sequence(tbs_der, algorithm.identifier_der, der.bit_string(signature))


def spki_der(public_key: PublicKey) -> bytes:
    """Encode a public key as SubjectPublicKeyInfo in DER."""
    return public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


class ThrowAwayKeys:
    """Keys that sign drafts for the lint and nothing else; made once per algorithm, never stored.

    The lint reads a certificate and never its signature's value, so that a key signs once and its signature
    stands on every draft: no draft is ever a valid certificate, of anybody.
    """

    def __init__(self) -> None:
        self._signatures: dict[str, bytes] = {}

    def sign(self, algorithm: SignatureAlgorithm, tbs_der: bytes) -> bytes:
        """Make a draft readable as a certificate."""
        signature = self._signatures.get(algorithm.name)
        if signature is None:
            made = sign(algorithm.throw_away(), b"a draft, not a certificate")
            signature = self._signatures.setdefault(algorithm.name, made)
        return signed(tbs_der, algorithm, signature)
