"""Seals bytes under an AES-256 key that never leaves its token, and keeps key pairs wrapped outside of it.

``seal`` is AES-GCM (NIST SP 800-38D) with a random 96-bit nonce: one key must not seal more than 2**32 times. For what
must be at rest outside a token, such as an SM2 key, which no token of ours can hold.

``new_wrapped_key`` makes a key pair on the token, takes its private part out only wrapped (RFC 5649, AES key wrap with
padding) and forgets it; ``unwrap_key`` brings it back as an ordinary private-key object that cannot be extracted. So a
token of a few keys serves any number of them.
"""

import os
from typing import Any

import pkcs11
from pkcs11 import Attribute, Mechanism

from onecert.hsm.errors import TokenOperationError, UnsealError
from onecert.hsm.pool import KeyReference, SessionPool, Worker

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
        """Encrypt and authenticate up to 1 MiB; ``aad`` is authenticated with it and must be given again to unseal.

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

        def decrypt(worker: Worker, key: Any) -> bytes:
            return bytes(key.decrypt(ciphertext, mechanism=Mechanism.AES_GCM, mechanism_param=parameter))

        return self._open(decrypt)

    def _open(self, act: Any) -> Any:
        """Run ``act(worker, key)``; its refusal means altered bytes, unless the token proves to be gone."""

        def guarded(worker: Worker) -> Any:
            key = self._pool.locate(worker, self._reference)
            try:
                return act(worker, key)
            except _NOT_OURS as exc:
                self._pool.ask()
                if key[Attribute.LABEL] == self.label:  # raises when the session or the login is lost
                    raise UnsealError(key=self.label) from exc
                raise

        return self._pool.run("unseal", guarded)
