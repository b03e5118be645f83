"""Encrypted files: each under a key of its own, in parts whose order and end are authenticated.

AES-256-GCM over parts of 64 KiB, after the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: Online
Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, 2015): the nonce of a part is what the file is
for, the part's number, and whether it is the last. So no part can be changed, moved, repeated or cut off. A
key encrypts one evidence once; that is why counted nonces are safe.

A file gets its name only when it is whole and flushed; before, it begins with a dot and counts as nothing.
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from onecert.ra.errors import EvidenceDamagedError
from onecert.server.errors import ServiceError
from onecert.server.folders import make_private_folder, put_in_place
from onecert.server.languages import _

__all__ = ["Files", "FolderError", "Use"]

MAGIC = b"OCEV\x01"
PART = 64 * 1024
_TAG = 16


class Use(IntEnum):
    """What a file of an evidence is; also in every nonce."""

    ORIGINAL = 0
    PREVIEW = 1

    @property
    def ending(self) -> str:
        """The file's ending."""
        return self.name.lower()


class FolderError(ServiceError):
    """Could not: the folder of evidence cannot be written or read."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "EVIDENCE_FOLDER",
            status=503,
            text=_("The folder of evidence cannot be used now (%(reason)s)."),
            hint=_("Nothing was kept. Tell the operator of the service to look at disk space and rights."),
            reason=reason,
        )


class Files:
    """The folder of evidence: mode 0700, one folder inside for every 256th of the names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, evidence_id: str, use: Use) -> Path:
        """Where a file lies."""
        return self.folder / evidence_id[:2] / f"{evidence_id}.{use.ending}"

    def write(self, evidence_id: str, use: Use, key: bytes, source: BinaryIO) -> None:
        """Encrypt what `source` has from its beginning, and put the file in its place.

        Args:
            key: 32 octets, drawn for this evidence.

        Raises:
            FolderError: it could not be written; nothing is left behind.
        """
        target = self.path(evidence_id, use)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            make_private_folder(self.folder)
            make_private_folder(target.parent)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(MAGIC)
                for part in _encrypted(AESGCM(key), use, source):
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            put_in_place(temporary, target)
        except OSError as exc:
            temporary.unlink(missing_ok=True)
            raise FolderError(os.strerror(exc.errno) if exc.errno else type(exc).__name__) from exc

    def read(self, evidence_id: str, use: Use, key: bytes) -> Iterator[bytes]:
        """The content, part by part; a part is given out only when it is authentic.

        Raises:
            EvidenceDamagedError: there is no file, or it is not the one that was written.
        """
        try:
            with self.path(evidence_id, use).open("rb") as file:
                if file.read(len(MAGIC)) != MAGIC:
                    raise EvidenceDamagedError(evidence_id, lost=False)
                yield from _decrypted(AESGCM(key), use, file)
        except InvalidTag as exc:
            raise EvidenceDamagedError(evidence_id, lost=False) from exc
        except FileNotFoundError as exc:
            raise EvidenceDamagedError(evidence_id, lost=True) from exc
        except OSError as exc:
            raise FolderError(os.strerror(exc.errno) if exc.errno else type(exc).__name__) from exc

    def is_there(self, evidence_id: str, use: Use) -> bool:
        """Whether there is a file; not whether it is whole."""
        return self.path(evidence_id, use).is_file()

    def is_whole(self, evidence_id: str, *, is_image: bool) -> bool:
        """Whether every file that an evidence has is there."""
        uses = tuple(Use) if is_image else (Use.ORIGINAL,)
        return all(self.is_there(evidence_id, use) for use in uses)

    def remove(self, evidence_id: str) -> None:
        """Remove the files of an evidence, whatever there is of them."""
        for use in Use:
            self.path(evidence_id, use).unlink(missing_ok=True)

    def strays(self, *, older_than: timedelta) -> Iterator[tuple[str, Path]]:
        """Files that have lain here for so long: (id of the evidence or "" for a half-written one, path)."""
        before = time.time() - older_than.total_seconds()
        for path in sorted(self.folder.glob("??/*")):
            try:
                if path.stat().st_mtime > before:
                    continue
            except FileNotFoundError:
                continue
            yield ("" if path.name.startswith(".") else path.stem), path

    def free_octets(self) -> int:
        """How much room is left on the disk."""
        return shutil.disk_usage(make_private_folder(self.folder)).free


def _nonce(use: Use, number: int, *, is_last: bool) -> bytes:
    return bytes([use]) + number.to_bytes(10, "big") + bytes([is_last])


def _encrypted(cipher: AESGCM, use: Use, source: BinaryIO) -> Iterator[bytes]:
    source.seek(0)
    number, part = 0, source.read(PART)
    while True:
        following = source.read(PART) if len(part) == PART else b""
        yield cipher.encrypt(_nonce(use, number, is_last=not following), part, None)
        if not following:
            return
        number, part = number + 1, following


def _decrypted(cipher: AESGCM, use: Use, file: BinaryIO) -> Iterator[bytes]:
    number, part = 0, file.read(PART + _TAG)
    while True:
        following = file.read(PART + _TAG) if len(part) == PART + _TAG else b""
        yield cipher.decrypt(_nonce(use, number, is_last=not following), part, None)
        if not following:
            return
        number, part = number + 1, following
