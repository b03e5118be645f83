"""The form of a backup: a tar file whose last part, the manifest, says the SHA-256 of every other part.

The manifest is a document (JWS) of type ``onecert-backup+json`` signed with the audit key of each service
that is in it. Nothing is taken from a backup before the manifest has vouched for it: a reader goes through
the whole file once, without writing anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from onecert.server.backup.errors import BackupAlteredError, BackupKeyMissingError, BackupMalformedError
from onecert.server.documents import PrivateKey, sign_document
from onecert.server.folders import put_in_place
from onecert.verifier.errors import MalformedError, VerifyError
from onecert.verifier.jws import verify_document
from onecert.verifier.signatures import PublicKey

__all__ = ["MANIFEST", "MANIFEST_TYPE", "ArchiveWriter", "extracted", "read_manifest"]

MANIFEST, MANIFEST_TYPE = "manifest.jws", "onecert-backup+json"
MANIFEST_MAX_BYTES = 64 << 20
_CHUNK = 1 << 20


class ArchiveWriter:
    """Writes a backup; the file appears under its name when it is whole and on the disk.

    Use as a context manager. Only this user can read the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts: dict[str, dict[str, Any]] = {}
        self._temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")

    def __enter__(self) -> ArchiveWriter:
        descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "w+b")
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)
        return self

    def add(self, name: str, content: bytes) -> None:
        """Add a small part."""
        self._add(name, io.BytesIO(content), len(content))

    def add_file(self, name: str, path: Path) -> None:
        """Add a file as it is now; one that is being replaced meanwhile is the old or the new one."""
        with path.open("rb") as file:
            self._add(name, file, os.fstat(file.fileno()).st_size)

    def finish(self, payload: Mapping[str, Any], keys: Sequence[PrivateKey]) -> str:
        """Write the manifest with these facts, and let the file appear; return the file's SHA-256."""
        manifest = sign_document({**payload, "parts": self.parts}, typ=MANIFEST_TYPE, keys=keys)
        entry = tarfile.TarInfo(MANIFEST)
        entry.size, entry.mode = len(manifest), 0o600
        self._tar.addfile(entry, io.BytesIO(manifest))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.seek(0)
        digest = hashlib.file_digest(self._file, "sha256").hexdigest()
        self._file.close()
        put_in_place(self._temporary, self.path)
        return digest

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(Exception):
            self._tar.close()
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _add(self, name: str, file: IO[bytes], size: int) -> None:
        if name in self.parts:
            raise ValueError(f"two parts are called {name}")
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, 0o600
        hashed = _Hashed(file)
        self._tar.addfile(entry, hashed)
        self.parts[name] = {"sha256": hashed.hexdigest(), "bytes": size}


class _Hashed:
    """Hashes what is read from a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._hash.update(chunk)
        return chunk

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def read_manifest(path: Path, keys: Mapping[str, PublicKey]) -> dict[str, Any]:
    """Read a backup from its beginning to its end, and return its manifest when every part agrees with it.

    Args:
        keys: ``key_id(key)`` -> key: whose signature counts.

    Raises:
        BackupMalformedError, BackupAlteredError
        BackupKeyMissingError: it could not be checked.
    """
    found: dict[str, dict[str, Any]] = {}
    manifest: bytes | None = None
    with _malformed():
        for name, file, size in _parts(path):
            if manifest is not None or name in found:
                raise BackupAlteredError(name)
            if name == MANIFEST:
                manifest = file.read(MANIFEST_MAX_BYTES)
                continue
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
            found[name] = {"sha256": digest.hexdigest(), "bytes": size}
    if manifest is None:
        raise BackupMalformedError("it has no manifest")
    try:
        payload = verify_document(manifest, typ=MANIFEST_TYPE, keys=keys, max_bytes=MANIFEST_MAX_BYTES)
    except MalformedError as exc:
        raise BackupMalformedError(exc.code) from exc
    except VerifyError as exc:
        if exc.code == "DOCUMENT_THRESHOLD":
            raise BackupKeyMissingError from exc
        raise BackupAlteredError(MANIFEST) from exc
    if payload.get("backup") != 1 or not isinstance(payload.get("parts"), dict):
        raise BackupMalformedError("its manifest is of another version")
    for name in sorted(payload["parts"].keys() | found.keys()):
        if payload["parts"].get(name) != found.get(name):
            raise BackupAlteredError(name)
    return payload


def extracted(path: Path, place_of: Callable[[str], Path | None]) -> Iterator[Path]:
    """Write parts of a checked backup to files, and yield each; the folders are made, for this user only.

    Args:
        place_of: the name of a part -> where it goes, or None.
    """
    for name, file, _size in _parts(path):
        place = place_of(name) if name != MANIFEST else None
        if place is None:
            continue
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            while chunk := file.read(_CHUNK):
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        yield place


def _parts(path: Path) -> Iterator[tuple[str, IO[bytes], int]]:
    """Every part in order: plain files with plain names and nothing else."""
    with tarfile.open(path, mode="r:") as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.isreg() else None
            name = PurePosixPath(entry.name)
            if file is None or name.is_absolute() or ".." in name.parts or str(name) != entry.name:
                raise BackupMalformedError(entry.name[:200])
            yield entry.name, file, entry.size


@contextlib.contextmanager
def _malformed() -> Iterator[None]:
    """What the reader of tar files says about other bytes."""
    try:
        yield
    except (tarfile.TarError, EOFError, UnicodeDecodeError) as exc:
        raise BackupMalformedError(str(exc)[:200]) from exc
