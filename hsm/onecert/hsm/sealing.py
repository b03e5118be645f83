"""Seals bytes under an AES-256 key that never leaves its token, and keeps key pairs wrapped outside of it.

``seal`` is AES-GCM (NIST SP 800-38D) with a random 96-bit nonce: one key must not seal more than 2**32 times.
It is for what must be at rest outside a token, such as an SM2 key, which no token of ours can hold.

``wrap_new_key`` makes a key pair on the token, takes its private part out wrapped only (RFC 5649, AES key
wrap with padding) and forgets it; ``unwrap_key`` brings it back as an ordinary private-key object that cannot
be extracted. So a token of a few keys serves any number of them.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from pkcs11 import Attribute, Mechanism, MechanismFlag, ObjectClass, PKCS11Error
from pkcs11.constants import DEFAULT

from onecert.hsm.algorithms import ALGORITHMS, KeyAlgorithm
from onecert.hsm.errors import AlgorithmNotSupportedError, TokenOperationError, UnsealError
from onecert.hsm.handles import KeyReference, Worker
from onecert.hsm.keys import PrivateKey, PublicKey, token_key
from onecert.hsm.making import PRIVATE_TEMPLATE, generate_pair
from onecert.hsm.pool import SessionPool
from onecert.hsm.public import algorithm_of, check_pair, read_public_key

T = TypeVar("T")
SEAL_MAX = 1 << 20
_VERSION = b"\x01"
_NONCE, _TAG = 12, 16
# What tokens answer to altered bytes; SoftHSM says GeneralError to a wrong tag.
_NOT_OURS = (
    pkcs11.exceptions.GeneralError,
    pkcs11.exceptions.FunctionFailed,
    pkcs11.exceptions.EncryptedDataInvalid,
    pkcs11.exceptions.EncryptedDataLenRange,
    pkcs11.exceptions.WrappedKeyInvalid,
    pkcs11.exceptions.WrappedKeyLenRange,
    pkcs11.exceptions.SignatureInvalid,
    pkcs11.exceptions.DataInvalid,
    pkcs11.exceptions.AttributeValueInvalid,
)


@dataclass(frozen=True, kw_only=True)
class WrappedKey:
    """A key pair whose private part exists only wrapped: it may be kept in a database."""

    algorithm: KeyAlgorithm
    public_der: bytes  # SubjectPublicKeyInfo
    wrapped: bytes


class SealingKey:
    """An AES-256 key on a token. Made by ``Token.sealing_key``."""

    def __init__(self, pool: SessionPool, reference: KeyReference) -> None:
        self._pool = pool
        self._reference = reference

    @property
    def label(self) -> str:
        """The key's name on its token."""
        return self._reference.label

    def seal(self, plaintext: bytes, aad: bytes = b"") -> bytes:
        """Encrypt and authenticate up to 1 MiB; ``aad`` is authenticated with it and must be given again to
        unseal.

        Returns one version byte, the nonce, the ciphertext and the tag.
        """
        if len(plaintext) > SEAL_MAX:
            raise TokenOperationError("SEAL_TOO_LONG", limit=SEAL_MAX)
        nonce = os.urandom(_NONCE)
        parameter = pkcs11.GCMParams(nonce, aad=_VERSION + aad, tag_bits=_TAG * 8)

        def encrypt(key: Any) -> bytes:
            return bytes(key.encrypt(plaintext, mechanism=Mechanism.AES_GCM, mechanism_param=parameter))

        return _VERSION + nonce + self._pool.with_key(self._reference, "seal", encrypt)

    def unseal(self, sealed: bytes, aad: bytes = b"") -> bytes:
        """The plaintext.

        Raises:
            UnsealError: altered, sealed under another key, with other associated data, or not sealed at all.
        """
        if len(sealed) > SEAL_MAX + 64 or len(sealed) < 1 + _NONCE + _TAG or sealed[:1] != _VERSION:
            raise UnsealError(key=self.label)
        parameter = pkcs11.GCMParams(sealed[1 : 1 + _NONCE], aad=_VERSION + aad, tag_bits=_TAG * 8)
        ciphertext = sealed[1 + _NONCE :]

        def decrypt(key: Any) -> bytes:
            return bytes(key.decrypt(ciphertext, mechanism=Mechanism.AES_GCM, mechanism_param=parameter))

        return self._pool.run("unseal", lambda worker: self._opening(worker, decrypt))

    def _opening(self, worker: Worker, act: Callable[[Any], T]) -> T:
        """``act`` on our key; a refusal means altered bytes, unless the token proves to be gone."""
        key = self._pool.locate(worker, self._reference)
        try:
            return act(key)
        except _NOT_OURS as exc:
            self._pool.ask()
            key[Attribute.LABEL]  # raises when the session or the login is lost
            raise UnsealError(key=self.label) from exc

    def wrap_new_key(self, algorithm: KeyAlgorithm) -> WrappedKey:
        """Make a key pair on the token and take it out wrapped under this key.

        Raises:
            AlgorithmNotSupportedError: the token cannot wrap this kind of private key (SoftHSM: Ed25519).
        """
        row = ALGORITHMS.get(KeyAlgorithm(algorithm))
        if row is None:
            raise AlgorithmNotSupportedError(key=self.label, reason=f"wrapping {algorithm}")
        template = PRIVATE_TEMPLATE | {Attribute.EXTRACTABLE: True}

        def make(worker: Worker) -> WrappedKey:
            wrapping = self._pool.locate(worker, self._reference)
            label = f"wrapped-{os.urandom(8).hex()}"
            public, private = generate_pair(worker.opened, label, row, stored=False, private=template)
            try:
                _algorithm, public_key = read_public_key(worker.opened, private, self._pool.label, label)
                return WrappedKey(
                    algorithm=row.algorithm,
                    public_der=public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
                    wrapped=wrapping.wrap_key(private, mechanism=Mechanism.AES_KEY_WRAP_PAD),
                )
            except (pkcs11.exceptions.KeyNotWrappable, pkcs11.exceptions.KeyUnextractable) as exc:
                raise AlgorithmNotSupportedError(key=self.label, reason=f"wrapping {row.algorithm}") from exc
            finally:
                public.destroy()
                private.destroy()

        return self._pool.run("wrap", make)

    def unwrap_key(self, wrapped: WrappedKey) -> PrivateKey:
        """The private key, on the token while it is used, not extractable.

        Raises:
            UnsealError: the bytes are altered, were wrapped under another key, or are not the private part of
                that public key.
        """
        try:
            public = load_der_public_key(wrapped.public_der)
        except ValueError as exc:
            raise UnsealError(key=self.label) from exc
        if not isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise UnsealError(key=self.label)
        if algorithm_of(public) != wrapped.algorithm:
            raise UnsealError(key=self.label)
        reference = WrappedReference(self, wrapped, public)
        self._pool.run("unwrap", lambda worker: self._pool.locate(worker, reference))
        return token_key(self._pool, reference, wrapped.algorithm, reference.public)

    def bring_back(self, worker: Worker, wrapped: WrappedKey, public: PublicKey) -> Any:
        """Unwrap on one session, and try that the private part fits the public key."""
        row = ALGORITHMS[wrapped.algorithm]
        # SoftHSM refuses these attributes on a private key; python-pkcs11 sets them unless told to leave them
        # out.
        left_out = {Attribute.ENCRYPT: DEFAULT, Attribute.VERIFY: DEFAULT, Attribute.WRAP: DEFAULT}

        def unwrap(key: Any) -> Any:
            return key.unwrap_key(
                ObjectClass.PRIVATE_KEY,
                row.key_type,
                wrapped.wrapped,
                label="unwrapped",
                store=False,
                mechanism=Mechanism.AES_KEY_WRAP_PAD,
                capabilities=MechanismFlag.SIGN,
                template=PRIVATE_TEMPLATE | left_out,
            )

        private = self._opening(worker, unwrap)
        try:
            check_pair(private, public)
        except (InvalidSignature, PKCS11Error) as exc:
            private.destroy()
            raise UnsealError(key=self.label) from exc
        return private


class WrappedReference(KeyReference):
    """A key that lives outside the token: each session unwraps it for itself when it first uses it."""

    __slots__ = ("_sealing", "_wrapped", "public")

    def __init__(self, sealing: SealingKey, wrapped: WrappedKey, public: PublicKey) -> None:
        super().__init__(ObjectClass.PRIVATE_KEY, f"wrapped under {sealing.label}", b"")
        self._sealing = sealing
        self._wrapped = wrapped
        self.public = public

    def locate(self, worker: Worker) -> Any:
        """Unwrap it here; the handle is then cached as any other."""
        return self._sealing.bring_back(worker, self._wrapped, self.public)

    def release(self, handle: Any) -> None:
        """It fell out of the cache: off the token with it."""
        with suppress(PKCS11Error):
            handle.destroy()
