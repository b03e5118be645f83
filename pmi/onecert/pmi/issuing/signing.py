"""The one place where an authority's key is used: on bytes on record, and never believed unchecked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.hsm import PrivateKey as TokenKey
from onecert.hsm import Sm2PrivateKey, TokenError
from onecert.hsm import Sm2PublicKey as OwnSm2PublicKey
from onecert.hsm.sm2 import generate_in_memory
from onecert.pmi.errors import SignatureFaultError, TokenGoneError
from onecert.pmi.issuing.checking import SignatureChecks
from onecert.verifier.attribute_certificate.encoding import tlv
from onecert.verifier.der import BIT_STRING, SEQUENCE
from onecert.verifier.errors import VerifyError
from onecert.verifier.signatures import PublicKey, spki_der, verify_signature
from onecert.verifier.sm2 import Sm2PublicKey

__all__ = ["P256", "PrivateKey", "Signer", "SigningAlgorithm", "ThrowAwayKeys", "algorithm_of"]

log = logging.getLogger(__name__)

# On the token, or sealed by it; or in memory, for drafts.
PrivateKey = TokenKey | Sm2PrivateKey


@dataclass(frozen=True, kw_only=True)
class SigningAlgorithm:
    """How a kind of key signs: the AlgorithmIdentifier in DER, and how to make a throw-away key."""

    identifier_der: bytes
    hash: hashes.SHA256 | hashes.SHA384 | None
    throw_away: Callable[[], PrivateKey]


_RSA = SigningAlgorithm(
    identifier_der=bytes.fromhex("300d06092a864886f70d01010b0500"),
    hash=hashes.SHA256(),
    throw_away=lambda: rsa.generate_private_key(65537, 2048),
)
P256 = SigningAlgorithm(
    identifier_der=bytes.fromhex("300a06082a8648ce3d040302"),
    hash=hashes.SHA256(),
    throw_away=lambda: ec.generate_private_key(ec.SECP256R1()),
)
_P384 = SigningAlgorithm(
    identifier_der=bytes.fromhex("300a06082a8648ce3d040303"),
    hash=hashes.SHA384(),
    throw_away=lambda: ec.generate_private_key(ec.SECP384R1()),
)
_ED25519 = SigningAlgorithm(
    identifier_der=bytes.fromhex("300506032b6570"), hash=None, throw_away=Ed25519PrivateKey.generate
)


# GM/T 0015 allows parameters of NULL too; openssl and most others leave them out.
_SM2 = SigningAlgorithm(
    identifier_der=bytes.fromhex("300a06082a811ccf55018375"), hash=None, throw_away=generate_in_memory
)


def algorithm_of(key: object) -> SigningAlgorithm:
    """Return the one way in which this public key's owner signs here."""
    if isinstance(key, rsa.RSAPublicKey):
        return _RSA
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _P384 if key.curve.key_size == 384 else P256
    if isinstance(key, Ed25519PublicKey):
        return _ED25519
    if isinstance(key, Sm2PublicKey | OwnSm2PublicKey):
        return _SM2
    raise TypeError(f"no way to sign with {type(key).__name__}")


def raw_sign(key: PrivateKey, data: bytes) -> bytes:
    """Sign with the key's one algorithm."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(algorithm_of(key.public_key()).hash or hashes.SHA256()))
    return key.sign(data)


def raw_sign_many(key: PrivateKey, data: Sequence[bytes]) -> list[bytes]:
    """Sign several, as ``raw_sign`` does one."""
    series = getattr(key, "sign_many", None)
    if series is None or not isinstance(key, ec.EllipticCurvePrivateKey):
        return [raw_sign(key, each) for each in data]
    signatures: list[bytes] = series(data, ec.ECDSA(algorithm_of(key.public_key()).hash or hashes.SHA256()))
    return signatures


def public_key_der(key: PrivateKey) -> bytes:
    """Return the SubjectPublicKeyInfo of a key."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def assemble(content_der: bytes, identifier_der: bytes, signature: bytes) -> bytes:
    """Put what is signed, the algorithm and the signature together, as in certificates and lists."""
    return tlv(SEQUENCE, content_der, identifier_der, tlv(BIT_STRING, b"\x00", signature))


class ThrowAwayKeys:
    """Keys that sign drafts for the lint and nothing else; made once per algorithm, never stored.

    The lint reads a certificate and never its signature's value, so that a key signs once and its signature
    stands on every draft: no draft is ever a certificate of anybody.
    """

    def __init__(self) -> None:
        self._keys: dict[bytes, PrivateKey] = {}
        self._signatures: dict[bytes, bytes] = {}

    def key(self, algorithm: SigningAlgorithm) -> PrivateKey:
        """Return the throw-away key of this kind."""
        found = self._keys.get(algorithm.identifier_der)
        if found is None:
            found = self._keys.setdefault(algorithm.identifier_der, algorithm.throw_away())
        return found

    def sign(self, algorithm: SigningAlgorithm, content_der: bytes) -> bytes:
        """Return the content with a signature that nobody will ever accept."""
        signature = self._signatures.get(algorithm.identifier_der)
        if signature is None:
            made = raw_sign(self.key(algorithm), b"a draft, not a certificate")
            signature = self._signatures.setdefault(algorithm.identifier_der, made)
        return assemble(content_der, algorithm.identifier_der, signature)


class Signer:
    """Signs with the keys of the token ``pmi``. Keys are found at first use and kept loaded.

    Args:
        find_key: ``Token.load_key``; raises hsm's TokenError.
        token: its name, for the error.
        checks: of the signatures of many.
    """

    def __init__(
        self, find_key: Callable[[str], PrivateKey], *, token: str, checks: SignatureChecks | None = None
    ) -> None:
        self._find = find_key
        self._token = token
        self._checks = checks or SignatureChecks(0)
        self._keys: dict[str, PrivateKey] = {}

    def key(self, label: str) -> PrivateKey:
        """Find a key of the token. Raises TokenGoneError when it is not there now."""
        found = self._keys.get(label)
        if found is None:
            try:
                found = self._keys.setdefault(label, self._find(label))
            except TokenError as exc:
                log.warning("key not reachable", extra={"token": self._token, "key": label})
                raise TokenGoneError(self._token) from exc
        return found

    def sign(self, authority: str, label: str, public_key: PublicKey, content_der: bytes) -> bytes:
        """Sign bytes that are on record; return them with algorithm and signature, verified.

        Raises:
            TokenGoneError: not now.
            SignatureFaultError: the signature does not fit the authority's certificate.
        """
        key = self.key(label)
        try:
            signature = raw_sign(key, content_der)
        except TokenError as exc:
            log.warning("token did not sign", extra={"token": self._token, "key": label})
            raise TokenGoneError(self._token) from exc
        algorithm = algorithm_of(public_key)
        try:
            verify_signature(public_key, algorithm.identifier_der, signature, content_der)
        except VerifyError as exc:
            raise SignatureFaultError(authority) from exc
        return assemble(content_der, algorithm.identifier_der, signature)

    def sign_many(
        self, authority: str, label: str, public_key: PublicKey, contents: Sequence[bytes]
    ) -> list[bytes]:
        """Like ``sign``, for many; a token makes a series of them.

        Raises:
            TokenGoneError, SignatureFaultError: as ``sign``; nothing of it is given out.
        """
        key = self.key(label)
        try:
            signatures = raw_sign_many(key, contents)
        except TokenError as exc:
            log.warning("token did not sign", extra={"token": self._token, "key": label})
            raise TokenGoneError(self._token) from exc
        identifier = algorithm_of(public_key).identifier_der
        if not self._checks.are_good(public_key, identifier, signatures, contents):
            raise SignatureFaultError(authority)
        return [
            assemble(content, identifier, signature)
            for signature, content in zip(signatures, contents, strict=True)
        ]

    def is_key_of(self, label: str, public_key: PublicKey) -> bool:
        """Tell whether the token's key with this label belongs to this public key."""
        return public_key_der(self.key(label)) == spki_der(public_key)
