"""SM2 key objects: a private key that is sealed at rest and in this process's memory while it is unlocked.

GB/T 32918.2 with SM3, GM/T 0009 for the forms: SubjectPublicKeyInfo with id-ecPublicKey and the named curve,
an uncompressed point, DER signatures. The identifier of a signer is 1234567812345678 unless told otherwise
(GM/T 0009, section 10).
"""

import os
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.hsm import libcrypto
from onecert.hsm.algorithms import KeyAlgorithm
from onecert.hsm.errors import ForkedError, KeyNotExportableError, TokenOperationError
from onecert.hsm.libcrypto import EvpKey, LibcryptoError

DEFAULT_ID = b"1234567812345678"
_SPKI_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")


class Sm2PublicKey:
    """A point of the curve: x and y, 64 octets. Safe to share between threads."""

    def __init__(self, point: bytes) -> None:
        self.point = point
        self._evp: EvpKey | None = None

    @property
    def key_size(self) -> int:
        """Bits."""
        return 256

    def public_bytes(self, encoding: Encoding, format: PublicFormat) -> bytes:  # noqa: A002 - cryptography's name
        """DER SubjectPublicKeyInfo, or the uncompressed point.

        Raises:
            ValueError: another encoding.
        """
        if (encoding, format) == (Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
            return _SPKI_PREFIX + self.point
        if (encoding, format) == (Encoding.X962, PublicFormat.UncompressedPoint):
            return b"\x04" + self.point
        raise ValueError("SM2 keys have a DER SubjectPublicKeyInfo and an uncompressed point only")

    def verify(self, signature: bytes, data: bytes, identifier: bytes = DEFAULT_ID) -> None:
        """Check a signature.

        Raises:
            InvalidSignature: it is wrong.
        """
        if self._evp is None:
            self._evp = libcrypto.public_key(self.point)
        if not self._evp.verifies(signature, data, identifier):
            raise InvalidSignature

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sm2PublicKey) and self.point == other.point

    def __hash__(self) -> int:
        return hash(self.point)

    def __reduce__(self) -> tuple[Any, ...]:
        return Sm2PublicKey, (self.point,)


class Sm2PrivateKey:
    """A key of ``SealedKeys``. Safe to use from many threads.

    While it is unlocked, its private half is in this process's memory and it signs without the token;
    ``lock`` has it overwritten, and the next signature asks the token to unseal it again.
    """

    algorithm = KeyAlgorithm.SM2

    def __init__(self, label: str, token_label: str, point: bytes, unlock: Callable[[], EvpKey]) -> None:
        self.label = label
        self.token_label = token_label
        self._public = Sm2PublicKey(point)
        self._unlock = unlock
        self._evp: EvpKey | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()

    def public_key(self) -> Sm2PublicKey:
        """The public half."""
        return self._public

    @property
    def is_unlocked(self) -> bool:
        """Whether the private half is in memory now."""
        return self._evp is not None

    def unlock(self) -> EvpKey:
        """Have the private half unsealed, unless it is in memory.

        Raises:
            TokenError: the token is away, or what is stored was altered.
        """
        if self._process != os.getpid():
            raise ForkedError(label=self.token_label)
        with self._lock:
            if self._evp is None:
                self._evp = self._unlock()
            return self._evp

    def sign(self, data: bytes, identifier: bytes = DEFAULT_ID) -> bytes:
        """Sign with SM3.

        Raises:
            TokenError: see ``unlock``; TokenOperationError: libcrypto could not.
        """
        evp = self.unlock()
        try:
            return evp.sign(bytes(data), identifier)
        except LibcryptoError as exc:
            raise TokenOperationError(label=self.token_label, operation="sign", reason=f"SM2: {exc}") from exc

    def lock(self) -> None:
        """Take the private half out of memory. Signatures under way are finished."""
        with self._lock:
            # Freed with its last user: a thread that signs at this moment holds it until it is done.
            self._evp = None

    def private_numbers(self) -> NoReturn:
        """Refused."""
        raise KeyNotExportableError(label=self.token_label, key=self.label)

    def private_bytes(self, *_how: object) -> NoReturn:
        """Refused."""
        raise KeyNotExportableError(label=self.token_label, key=self.label)

    def __copy__(self) -> "Sm2PrivateKey":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "Sm2PrivateKey":
        return self

    def __reduce__(self) -> NoReturn:
        raise KeyNotExportableError(label=self.token_label, key=self.label)

    def __repr__(self) -> str:
        return f"<Sm2PrivateKey {self.label!r} sealed under token {self.token_label!r}>"


def generate_in_memory() -> Sm2PrivateKey:
    """A key that is nowhere stored and gone with the process: for drafts and tests.

    Raises:
        AlgorithmNotSupportedError: this machine has no libcrypto of OpenSSL 3.
    """
    made = libcrypto.generate()
    return Sm2PrivateKey("in memory", "none", made.point(), lambda: made)
