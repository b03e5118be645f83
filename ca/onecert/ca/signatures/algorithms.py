"""Signature algorithms by key, for every kind of private key: in memory, on a token, or sealed.

One table (RFC 3279, 4055, 5758, 8410, 9881; GM/T 0006 and 0015 for SM2): another algorithm is one more row.
The key chooses: RSA and P-256 sign with SHA-256, P-384 with SHA-384, SM2 with SM3, the others as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from onecert.ca import der
from onecert.ca.errors import UnsupportedKeyError
from onecert.hsm import Sm2PrivateKey
from onecert.hsm import Sm2PublicKey as OwnSm2PublicKey
from onecert.hsm.sm2 import generate_in_memory
from onecert.verifier.sm2 import Sm2PublicKey

MlDsaPrivateKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
MlDsaPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
PrivateKey = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey | Sm2PrivateKey | MlDsaPrivateKey
)
PublicKey = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | Ed25519PublicKey
    | Sm2PublicKey
    | OwnSm2PublicKey
    | MlDsaPublicKey
)


@dataclass(frozen=True, kw_only=True)
class SignatureAlgorithm:
    """One way to sign.

    Args:
        identifier_der: the AlgorithmIdentifier.
        throw_away: makes a key of this kind that is never stored.
        hash: what the data is hashed with; None when the key needs the data itself.
        how, how_hashed: what the key wants to be told besides the data, or its hash, and the signature.
        message_digest: the hash of a CMS message that is signed so (RFC 5754, 8419, 9882; GM/T 0010).
    """

    name: str
    oid: str
    identifier_der: bytes
    throw_away: Callable[[], PrivateKey]
    hash: hashes.HashAlgorithm | None = None
    how: tuple[Any, ...] = ()
    how_hashed: tuple[Any, ...] = ()
    message_digest: str = "sha512"


def _ecdsa(name: str, oid: str, curve: ec.EllipticCurve, digest: hashes.HashAlgorithm) -> SignatureAlgorithm:
    return SignatureAlgorithm(
        name=name,
        oid=oid,
        identifier_der=der.sequence(der.oid(oid)),
        throw_away=lambda: ec.generate_private_key(curve),
        hash=digest,
        how=(ec.ECDSA(digest),),
        how_hashed=(ec.ECDSA(Prehashed(digest)),),
        message_digest=digest.name,
    )


def _pure(
    name: str, oid: str, throw_away: Callable[[], PrivateKey], message_digest: str = "sha512"
) -> SignatureAlgorithm:
    """The data goes to the key as it is; the AlgorithmIdentifier has no parameters."""
    return SignatureAlgorithm(
        name=name,
        oid=oid,
        identifier_der=der.sequence(der.oid(oid)),
        throw_away=throw_away,
        message_digest=message_digest,
    )


_RSA_SHA256 = SignatureAlgorithm(
    name="sha256WithRSAEncryption",
    oid="1.2.840.113549.1.1.11",
    identifier_der=der.sequence(der.oid("1.2.840.113549.1.1.11"), der.NULL_DER),
    throw_away=lambda: rsa.generate_private_key(65537, 2048),
    hash=hashes.SHA256(),
    how=(padding.PKCS1v15(), hashes.SHA256()),
    how_hashed=(padding.PKCS1v15(), Prehashed(hashes.SHA256())),
    message_digest="sha256",
)
_CURVES: Mapping[str, tuple[str, SignatureAlgorithm]] = {
    "secp256r1": (
        "p-256",
        _ecdsa("ecdsa-with-SHA256", "1.2.840.10045.4.3.2", ec.SECP256R1(), hashes.SHA256()),
    ),
    "secp384r1": (
        "p-384",
        _ecdsa("ecdsa-with-SHA384", "1.2.840.10045.4.3.3", ec.SECP384R1(), hashes.SHA384()),
    ),
}
# One algorithm for every key of these classes; None: the curve decides.
_ROWS: tuple[tuple[str, SignatureAlgorithm | None, tuple[type, ...]], ...] = (
    ("rsa", _RSA_SHA256, (rsa.RSAPublicKey, rsa.RSAPrivateKey)),
    ("ec", None, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)),
    (
        "ed25519",
        _pure("Ed25519", "1.3.101.112", Ed25519PrivateKey.generate),
        (Ed25519PublicKey, Ed25519PrivateKey),
    ),
    (
        "sm2",
        # openssl and most others leave the parameters out; GM/T 0015 allows both.
        _pure("SM2-with-SM3", "1.2.156.10197.1.501", generate_in_memory, "sm3"),
        (Sm2PublicKey, OwnSm2PublicKey, Sm2PrivateKey),
    ),
    *(
        (
            f"ml-dsa-{size}",
            _pure(f"ML-DSA-{size}", f"2.16.840.1.101.3.4.3.{arc}", private.generate),
            (public, private),
        )
        for size, arc, public, private in (
            (44, 17, mldsa.MLDSA44PublicKey, mldsa.MLDSA44PrivateKey),
            (65, 18, mldsa.MLDSA65PublicKey, mldsa.MLDSA65PrivateKey),
            (87, 19, mldsa.MLDSA87PublicKey, mldsa.MLDSA87PrivateKey),
        )
    ),
)
_known: dict[type, tuple[str, SignatureAlgorithm | None]] = {}


def _row(key: object) -> tuple[str, SignatureAlgorithm | None]:
    kind = type(key)
    row = _known.get(kind)
    if row is None:
        # Asking abstract classes for their instances costs as much as hashing a certificate.
        found = (row for row in _ROWS if issubclass(kind, row[2]))
        name, algorithm, _classes = next(found, ("", None, ()))
        row = _known[kind] = (name, algorithm)
    return row


def algorithm_of(key: Any) -> SignatureAlgorithm:
    """Tell the one algorithm with which this key signs here.

    Raises:
        UnsupportedKeyError: no row for this kind of key.
    """
    family, algorithm = _row(key)
    if algorithm is not None:
        return algorithm
    if family == "ec":
        found = _CURVES.get(key.curve.name)
        if found is not None:
            return found[1]
    raise UnsupportedKeyError(key_kind(key))


def key_kind(key: Any) -> str:
    """Name a key as profiles do: `rsa-2048`, `p-256`, `ed25519`, `sm2`; other kinds by their class."""
    family, _algorithm = _row(key)
    if family == "rsa":
        return f"rsa-{key.key_size}"
    if family == "ec":
        curve: str = key.curve.name
        return _CURVES[curve][0] if curve in _CURVES else curve
    return family or type(key).__name__


def throw_away_key(kind: str) -> PrivateKey:
    """Make a key of this kind that is in memory only, for drafts and previews.

    Raises:
        UnsupportedKeyError: there is no such kind.
    """
    if kind.startswith("rsa-"):
        return rsa.generate_private_key(65537, int(kind.removeprefix("rsa-")))
    rows = [(name, algorithm) for name, algorithm, _classes in _ROWS]
    for name, algorithm in (*rows, *_CURVES.values()):
        if name == kind and algorithm is not None:
            return algorithm.throw_away()
    raise UnsupportedKeyError(kind)


@dataclass(frozen=True)
class Hashed:
    """Data hashed already, with the hash of the key that will sign it."""

    digest: bytes
    algorithm: hashes.HashAlgorithm


def hashed(public_key: Any, *parts: bytes) -> Hashed | bytes:
    """Hash data once for `sign` and `is_signature_valid`; some algorithms need the data itself.

    Args:
        parts: the data, in one piece or several.
    """
    algorithm = algorithm_of(public_key).hash
    if algorithm is None:
        return b"".join(parts)
    digest = hashlib.new(algorithm.name)
    for part in parts:
        digest.update(part)
    return Hashed(digest.digest(), algorithm)


def sign(key: Any, data: bytes | Hashed) -> bytes:
    """Sign with the key's one algorithm."""
    algorithm = algorithm_of(key)
    signature: bytes
    if isinstance(data, Hashed):
        signature = key.sign(data.digest, *algorithm.how_hashed)
    else:
        signature = key.sign(data, *algorithm.how)
    return signature


def sign_all(key: Any, data: Sequence[bytes | Hashed]) -> list[bytes]:
    """Sign several, as `sign` does one; a key on a token makes a series of them."""
    series = getattr(key, "sign_many", None)
    if series is None or any(isinstance(each, Hashed) for each in data):
        return [sign(key, each) for each in data]
    signatures: list[bytes] = series(data, *algorithm_of(key).how)
    return signatures


def is_signature_valid(public_key: Any, signature: bytes, data: bytes | Hashed) -> bool:
    """Check a signature made by `sign`; any failure is False."""
    try:
        algorithm = algorithm_of(public_key)
        if isinstance(data, Hashed):
            public_key.verify(signature, data.digest, *algorithm.how_hashed)
        else:
            public_key.verify(signature, data, *algorithm.how)
    except (InvalidSignature, UnsupportedKeyError):
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
