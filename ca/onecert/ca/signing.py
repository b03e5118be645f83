"""Signature algorithms by key, for every kind of private key: in memory or on a token.

One table (RFC 3279, 4055, 5758, 8410), so that another algorithm is one more row. SM2 is not in it yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

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


def algorithm_of(public_key: object) -> SignatureAlgorithm:
    """Tell the one algorithm with which this key signs here.

    Raises:
        UnsupportedKeyError: no row for this kind of key.
    """
    if isinstance(public_key, rsa.RSAPublicKey):
        return _RSA_SHA256
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        if public_key.curve.name == "secp256r1":
            return _ECDSA_SHA256
        if public_key.curve.name == "secp384r1":
            return _ECDSA_SHA384
    if isinstance(public_key, Ed25519PublicKey):
        return _ED25519
    raise UnsupportedKeyError(key_kind(public_key))


def key_kind(public_key: object) -> str:
    """Name a public key as profiles do: `rsa-2048`, `p-256`, `ed25519`; other kinds by their class."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"rsa-{public_key.key_size}"
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return {"secp256r1": "p-256", "secp384r1": "p-384"}.get(public_key.curve.name, public_key.curve.name)
    if isinstance(public_key, Ed25519PublicKey):
        return "ed25519"
    return type(public_key).__name__


def sign(key: PrivateKey, data: bytes) -> bytes:
    """Sign with the key's one algorithm."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(hashes.SHA384() if key.curve.key_size == 384 else hashes.SHA256()))
    return key.sign(data)


def is_signature_valid(public_key: object, signature: bytes, data: bytes) -> bool:
    """Check a signature made by `sign`; any failure is False."""
    try:
        if isinstance(public_key, rsa.RSAPublicKey):
            public_key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(public_key, ec.EllipticCurvePublicKey):
            hashed = hashes.SHA384() if public_key.curve.key_size == 384 else hashes.SHA256()
            public_key.verify(signature, data, ec.ECDSA(hashed))
        elif isinstance(public_key, Ed25519PublicKey):
            public_key.verify(signature, data)
        else:
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
    """Keys that sign drafts for the lint and nothing else; made once per algorithm, never stored."""

    def __init__(self) -> None:
        self._keys: dict[str, PrivateKey] = {}

    def sign(self, algorithm: SignatureAlgorithm, tbs_der: bytes) -> bytes:
        key = self._keys.get(algorithm.name)
        if key is None:
            key = self._keys.setdefault(algorithm.name, algorithm.throw_away())
        return signed(tbs_der, algorithm, sign(key, tbs_der))
