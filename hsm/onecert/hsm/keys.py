"""Private keys on a token, as subclasses of cryptography's private keys: every builder of cryptography
accepts them.

Signatures: RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 8017), ECDSA (FIPS 186-5), Ed25519 (RFC 8032), with SHA-256,
SHA-384 and SHA-512; ML-DSA (FIPS 204) without context. The data is hashed here and the token signs the
digest: SoftHSM has no ``CKM_ECDSA_SHA256``, and a CRL of 40 MB need not travel to the token. Left out:
decryption and key agreement (these are signing keys), and every way to the private parts.
"""

from collections.abc import Sequence
from typing import Any, NoReturn, cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed, encode_dss_signature
from cryptography.utils import Buffer
from pkcs11 import Mechanism

from onecert.hsm.algorithms import HashRow, KeyAlgorithm, MlDsaPublicKey, find_hash
from onecert.hsm.errors import AlgorithmNotSupportedError, KeyNotExportableError
from onecert.hsm.handles import KeyReference
from onecert.hsm.pool import SessionPool


class TokenKey:
    """What all keys on a token have in common."""

    _pool: SessionPool
    _reference: KeyReference
    algorithm: KeyAlgorithm

    def __init__(
        self, pool: SessionPool, reference: KeyReference, algorithm: KeyAlgorithm, public: Any
    ) -> None:
        self._pool = pool
        self._reference = reference
        self._public = public
        self.algorithm = algorithm

    @property
    def label(self) -> str:
        """The key's name on its token."""
        return self._reference.label

    @property
    def token_label(self) -> str:
        """The label of the token that holds it."""
        return self._pool.label

    def private_bytes(
        self,
        encoding: object,
        format: object,  # noqa: A002 - cryptography's name
        encryption_algorithm: object,
    ) -> NoReturn:
        self._refuse_export()

    def private_bytes_raw(self) -> NoReturn:
        self._refuse_export()

    def _refuse_export(self) -> NoReturn:
        raise KeyNotExportableError(label=self._pool.label, key=self._reference.label)

    def _unsupported(self, reason: str) -> AlgorithmNotSupportedError:
        return AlgorithmNotSupportedError(key=self._reference.label, reason=reason)

    def _digest(self, data: Buffer, algorithm: object) -> tuple[HashRow, bytes]:
        """Hash the data, or check the length of what the caller has hashed (``Prehashed``)."""
        row = find_hash(algorithm)
        if row is not None:
            return row, row.compute(data).digest()
        if isinstance(algorithm, Prehashed):
            row = find_hash(algorithm._algorithm)
            if row is not None:
                digest = bytes(data)
                if len(digest) != row.octets:
                    raise ValueError(f"the digest must have {row.octets} octets")
                return row, digest
        name = getattr(algorithm, "name", type(algorithm).__name__)
        raise self._unsupported(f"hash {name}")

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Any:
        return self

    def __reduce__(self) -> NoReturn:
        self._refuse_export()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.algorithm} {self.label!r} on token {self.token_label!r}>"


class TokenRSAPrivateKey(TokenKey, rsa.RSAPrivateKey):
    """An RSA key on a token."""

    _public: rsa.RSAPublicKey

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public

    def sign(
        self,
        data: bytes,
        padding: padding.AsymmetricPadding,
        algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo,
    ) -> bytes:
        """Sign with PKCS #1 v1.5 or PSS. ``NoDigestInfo`` signs the given bytes as they are (v1.5 only)."""
        octets, mechanism, parameter = self._prepared(data, padding, algorithm)
        return self._pool.sign(self._reference, octets, mechanism, parameter)

    def sign_many(
        self,
        data: Sequence[bytes],
        padding: padding.AsymmetricPadding,
        algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo,
    ) -> list[bytes]:
        """Sign several, as `sign` does one."""
        if not data:
            return []
        prepared = [self._prepared(each, padding, algorithm) for each in data]
        _octets, mechanism, parameter = prepared[0]
        return self._pool.sign_many(self._reference, [each[0] for each in prepared], mechanism, parameter)

    def _prepared(self, data: bytes, padding: object, algorithm: object) -> tuple[bytes, Mechanism, Any]:
        """What the token signs, how, and with which parameter; the last two are the same for all data."""
        if isinstance(padding, _PKCS1):
            if isinstance(algorithm, NoDigestInfo):
                return bytes(data), Mechanism.RSA_PKCS, None
            row, digest = self._digest(data, algorithm)
            return row.digest_info + digest, Mechanism.RSA_PKCS, None
        if isinstance(padding, _PSS):
            row, digest = self._digest(data, algorithm)
            parameter = (row.mechanism, row.mgf, self._salt_octets(padding, row))
            return digest, Mechanism.RSA_PKCS_PSS, parameter
        raise self._unsupported(f"padding {getattr(padding, 'name', type(padding).__name__)}")

    def _salt_octets(self, pss: padding.PSS, row: HashRow) -> int:
        if find_hash(pss.mgf._algorithm) is not row:
            raise self._unsupported("PSS with one hash for the data and another for the mask")
        longest = (self.key_size + 6) // 8 - row.octets - 2  # RFC 8017, section 9.1.1
        salt = pss._salt_length
        if salt is _PSS.MAX_LENGTH:
            return longest
        if salt is _PSS.DIGEST_LENGTH:
            return row.octets
        if not isinstance(salt, int):
            raise ValueError("PSS salt length can only be set to AUTO when verifying")
        if salt > longest:
            raise ValueError("the salt is too long for this key")
        return salt

    def decrypt(self, ciphertext: bytes, padding: padding.AsymmetricPadding) -> bytes:
        raise self._unsupported("decryption with a signing key")

    def private_numbers(self) -> NoReturn:
        self._refuse_export()


_PKCS1, _PSS = (
    padding.PKCS1v15,
    padding.PSS,
)  # `padding` is also an argument's name in cryptography's interface


class TokenECPrivateKey(TokenKey, ec.EllipticCurvePrivateKey):
    """An elliptic-curve key on a token; signs ECDSA."""

    _public: ec.EllipticCurvePublicKey

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.curve.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Sign with ECDSA; the answer is DER, as everywhere in cryptography."""
        digest = self._prepared(data, signature_algorithm)
        return _ecdsa_der(self._pool.sign(self._reference, digest, Mechanism.ECDSA))

    def sign_many(
        self, data: Sequence[Buffer], signature_algorithm: ec.EllipticCurveSignatureAlgorithm
    ) -> list[bytes]:
        """Sign several, as `sign` does one."""
        digests = [self._prepared(each, signature_algorithm) for each in data]
        return [_ecdsa_der(raw) for raw in self._pool.sign_many(self._reference, digests, Mechanism.ECDSA)]

    def _prepared(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        if not isinstance(signature_algorithm, ec.ECDSA):
            raise self._unsupported(type(signature_algorithm).__name__)
        if signature_algorithm.deterministic_signing:
            raise self._unsupported("deterministic ECDSA: the token draws the nonce")
        _row, digest = self._digest(data, signature_algorithm.algorithm)
        # FIPS 186-5, section 6.4.1: the leftmost bits of a digest that is longer than the group order.
        return digest[: self.key_size // 8]

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        raise self._unsupported("key agreement with a signing key")

    def private_numbers(self) -> NoReturn:
        self._refuse_export()


def _ecdsa_der(raw: bytes) -> bytes:
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


class TokenEd25519PrivateKey(TokenKey, ed25519.Ed25519PrivateKey):
    """An Ed25519 key on a token."""

    _public: ed25519.Ed25519PublicKey

    def public_key(self) -> ed25519.Ed25519PublicKey:
        return self._public

    def sign(self, data: Buffer) -> bytes:
        return self._pool.sign(self._reference, bytes(data), Mechanism.EDDSA)


class _TokenMlDsaKey(TokenKey):
    """An ML-DSA key on a token of PKCS#11 v3.2. The data goes to the token as it is, without context."""

    def public_key(self) -> Any:
        return self._public

    def sign(self, data: Buffer, context: Buffer | None = None) -> bytes:
        if context:
            raise self._unsupported("ML-DSA with a context")
        return self._pool.sign(self._reference, bytes(data), Mechanism.ML_DSA)

    def sign_mu(self, mu: Buffer) -> bytes:
        raise self._unsupported("ML-DSA of what was hashed outside")


class TokenMLDSA44PrivateKey(_TokenMlDsaKey, mldsa.MLDSA44PrivateKey):
    """An ML-DSA-44 key on a token."""


class TokenMLDSA65PrivateKey(_TokenMlDsaKey, mldsa.MLDSA65PrivateKey):
    """An ML-DSA-65 key on a token."""


class TokenMLDSA87PrivateKey(_TokenMlDsaKey, mldsa.MLDSA87PrivateKey):
    """An ML-DSA-87 key on a token."""


_ML_DSA: dict[KeyAlgorithm, type[_TokenMlDsaKey]] = {
    KeyAlgorithm.ML_DSA_44: TokenMLDSA44PrivateKey,
    KeyAlgorithm.ML_DSA_65: TokenMLDSA65PrivateKey,
    KeyAlgorithm.ML_DSA_87: TokenMLDSA87PrivateKey,
}

# Not in it: ML-DSA keys, which only those get who ask for them, and know what they sign with.
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | MlDsaPublicKey


def token_key(
    pool: SessionPool, reference: KeyReference, algorithm: KeyAlgorithm, public: PublicKey
) -> PrivateKey:
    """The private-key object of the right class for a public key."""
    if isinstance(public, rsa.RSAPublicKey):
        return TokenRSAPrivateKey(pool, reference, algorithm, public)
    if isinstance(public, ec.EllipticCurvePublicKey):
        return TokenECPrivateKey(pool, reference, algorithm, public)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return TokenEd25519PrivateKey(pool, reference, algorithm, public)
    return cast(PrivateKey, _ML_DSA[algorithm](pool, reference, algorithm, public))
