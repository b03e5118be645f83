"""SM2 keys of a service: sealed under an AES key that never leaves the token, each in a file of its own.

No PKCS#11 module of ours has SM2. So the pair is made in libcrypto, and its private number is sealed
(AES-256-GCM) together with what it is for: purpose, name and public point are the associated data, so that a
file of another key or token does not open. A file is 14 octets that name the format, the public point
(64 octets), then what ``SealingKey.seal`` made (61 octets).
"""

import logging
import os
import re
import stat
import threading
from functools import partial
from pathlib import Path

from onecert.hsm import libcrypto
from onecert.hsm.errors import (
    KeyExistsError,
    KeyNotFoundError,
    KeyUnusableError,
    TokenUnavailableError,
    UnsealError,
)
from onecert.hsm.libcrypto import POINT, EvpKey, LibcryptoError, wipe
from onecert.hsm.lock import file_lock
from onecert.hsm.messages import Reason
from onecert.hsm.service_token import ServiceToken
from onecert.hsm.sm2 import Sm2PrivateKey
from onecert.hsm.store import replace_file, sync

log = logging.getLogger(__name__)

SEALING_LABEL = "sealing"
_FORMAT = b"onecert-sm2-1\n"
_PURPOSE = b"onecert SM2 signing key\x00"
_SUFFIX, _LOCK = ".sm2", "onecert.lock"
_OCTETS = len(_FORMAT) + POINT + 61
_LABEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)


class SealedKeys:
    """The sealed keys of one token in one folder. Safe to use from many threads and processes.

    A key is unlocked when it is first asked for, and stays so until ``lock``.

    Args:
        token: holds the AES key under which all are sealed; asked for nothing else.
        folder: made at the first key, for its owner only.
    """

    def __init__(self, token: ServiceToken, folder: Path) -> None:
        self._token = token
        self._folder = folder
        self._lock = threading.RLock()
        self._keys: dict[str, Sm2PrivateKey] = {}

    def has(self, label: str) -> bool:
        """Whether there is a key of that label; the token is not asked."""
        return label in self._keys or (_LABEL.fullmatch(label) is not None and self._path(label).exists())

    def labels(self) -> list[str]:
        """The labels of all keys, sorted."""
        return sorted(path.stem for path in self._folder.glob(f"*{_SUFFIX}"))

    def key(self, label: str) -> Sm2PrivateKey:
        """The key of that label, unlocked.

        Raises:
            KeyNotFoundError: there is none.
            UnsealError: its file was altered, belongs to another key, or was sealed under another token's.
            KeyUnusableError: others may read its file.
            TokenUnavailableError: the token is away, or the file cannot be read.
            AlgorithmNotSupportedError: this machine has no libcrypto of OpenSSL 3.
        """
        with self._lock:
            found = self._keys.get(label)
            if found is None:
                point, _sealed = self._read(label)
                found = Sm2PrivateKey(label, self._token.label, point, partial(self._unseal, label, point))
                found.unlock()  # proves that the public half is the one that was sealed
                self._keys[label] = found
            return found

    def find_or_make(self, label: str) -> tuple[Sm2PrivateKey, bool]:
        """The key of that label, made when there is none, and whether this call made it.

        Of two processes one makes the key and both find it; a crash leaves none or a whole one.

        Raises:
            KeyExistsError: the token itself has a key of that label.
            TokenError: see ``key``.
        """
        if self.has(label):
            return self.key(label), False
        if not _LABEL.fullmatch(label):
            raise KeyUnusableError("KEY_LABEL", label=self._token.label, key=repr(label))
        libcrypto.check_available()
        if self._token.open().find_key(label) is not None:
            raise KeyExistsError(label=self._token.label, key=label)
        self._prepare_folder()
        with self._lock, file_lock(self._folder / _LOCK, label=self._token.label):
            made = not self._path(label).exists()
            if made:
                self._make(label)
        return self.key(label), made

    def destroy(self, label: str) -> None:
        """Overwrite and remove a key; there is no way back, except from a backup of folder and token.

        Raises:
            KeyNotFoundError: there is none.
            TokenUnavailableError: the file cannot be written.
        """
        with self._lock:
            if not self.has(label):
                raise KeyNotFoundError(label=self._token.label, key=label)
            found = self._keys.pop(label, None)
            if found is not None:
                found.lock()
            path = self._path(label)
            try:
                with path.open("r+b") as file:
                    file.write(bytes(_OCTETS))
                    file.flush()
                    os.fsync(file.fileno())
                path.unlink()
                sync(self._folder)
            except OSError as exc:
                raise self._unreachable(exc) from exc
        log.warning("key destroyed", extra={"token": self._token.label, "key": label})

    def lock(self) -> None:
        """Take every private half out of memory; each is unlocked again at its next use."""
        with self._lock:
            for key in self._keys.values():
                key.lock()

    def _make(self, label: str) -> None:
        for left in self._folder.glob("*.new"):  # of a process that died; the lock is held
            left.unlink()
        made = libcrypto.generate()
        point, scalar = made.point(), made.scalar()
        try:
            sealed = self._token.sealing_key(SEALING_LABEL).seal(scalar, _context(label, point))
        finally:
            wipe(scalar)
        try:
            replace_file(self._path(label), _FORMAT + point + sealed)
        except OSError as exc:
            raise self._unreachable(exc) from exc
        log.info("key generated", extra={"token": self._token.label, "key": label, "algorithm": "sm2"})

    def _unseal(self, label: str, point: bytes) -> EvpKey:
        stored, sealed = self._read(label)
        if stored != point:
            raise UnsealError(key=label)
        scalar = self._token.sealing_key(SEALING_LABEL).unseal(sealed, _context(label, point))
        try:
            key = libcrypto.private_key(point, scalar)
        except LibcryptoError:
            raise UnsealError(key=label) from None
        finally:
            wipe(scalar)
        log.info("key unlocked", extra={"token": self._token.label, "key": label})
        return key

    def _read(self, label: str) -> tuple[bytes, bytes]:
        if not _LABEL.fullmatch(label):
            raise KeyNotFoundError(label=self._token.label, key=label)
        try:
            descriptor = os.open(self._path(label), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                content = file.read(_OCTETS + 1)
        except FileNotFoundError as exc:
            raise KeyNotFoundError(label=self._token.label, key=label) from exc
        except OSError as exc:
            raise self._unreachable(exc) from exc
        if mode & 0o077:
            raise KeyUnusableError(
                label=self._token.label, key=label, reason=Reason("OTHERS_READ", mode=f"{mode:04o}")
            )
        if len(content) != _OCTETS or not content.startswith(_FORMAT):
            raise UnsealError(key=label)
        start = len(_FORMAT)
        return content[start : start + POINT], content[start + POINT :]

    def _prepare_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise self._unreachable(exc) from exc

    def _path(self, label: str) -> Path:
        return self._folder / f"{label}{_SUFFIX}"

    def _unreachable(self, exc: OSError) -> TokenUnavailableError:
        return TokenUnavailableError(label=self._token.label, reason=f"{exc.filename}: {exc.strerror}")


def _context(label: str, point: bytes) -> bytes:
    return _PURPOSE + label.encode() + b"\x00" + point
