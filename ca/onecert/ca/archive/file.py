"""The file of an archive: a ZIP of JSON lines, with a signed manifest that names each part by its hash.

- ``manifest.json``: signed document (JWS) of type `onecert-archive+json`, by the key of the audit heads
- ``manifest.tsr``: where a timestamp authority is set, its RFC 3161 response about the octets of the manifest
- ``records/000001.jsonl`` …: one certificate a line, with everything that was on record about it
- ``index/000001.jsonl`` …: of each, what it is searched by

A part is written and read as a whole, so that memory is bounded whatever the size of the archive; no part is
longer than its signed manifest says.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from onecert.ca.archive.record import Record, index_line
from onecert.ca.errors.archives import ArchiveFaultyError
from onecert.server.audit.canonical import canonical_json
from onecert.server.folders import put_in_place
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import verify_document
from onecert.verifier.signatures import PublicKey

__all__ = ["ARCHIVE_TYPE", "FORMAT", "Archive", "ArchiveWriter", "sha256_of_file"]

ARCHIVE_TYPE = "onecert-archive+json"
FORMAT = 1
MANIFEST, STAMP = "manifest.json", "manifest.tsr"
MANIFEST_MAX_OCTETS = 16 * 1024 * 1024
STAMP_MAX_OCTETS = 256 * 1024


class ArchiveWriter:
    """Writes one archive; the file appears under its name when it is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = path.with_name(f".{path.name}.part")
        self._temporary.unlink(missing_ok=True)
        descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "w+b")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self.parts: list[dict[str, Any]] = []
        self.certificates = self.segments = 0

    @property
    def octets(self) -> int:
        """How long the file is by now."""
        return self._file.tell()

    def add(self, records: Sequence[Record], line: Callable[[Record], Record] = index_line) -> None:
        """Add a segment.

        Args:
            line: what a record is searched by.
        """
        self.segments += 1
        self.certificates += len(records)
        self._part(f"records/{self.segments:06d}.jsonl", records)
        self._part(f"index/{self.segments:06d}.jsonl", [line(each) for each in records])

    def finish(self, manifest: bytes, stamp: bytes | None = None) -> None:
        """Write the signed manifest of all parts, and give the file its name.

        Args:
            stamp: an RFC 3161 response about the manifest.
        """
        self._zip.writestr(MANIFEST, manifest)
        if stamp is not None:
            self._zip.writestr(STAMP, stamp)
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        put_in_place(self._temporary, self.path)

    def _part(self, name: str, lines: Sequence[Mapping[str, Any]]) -> None:
        content = "".join(canonical_json(line) + "\n" for line in lines).encode()
        self.parts.append(
            {
                "name": name,
                "sha256": hashlib.sha256(content).hexdigest(),
                "octets": len(content),
                "lines": len(lines),
            }
        )
        self._zip.writestr(name, content)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._file.closed:
            self._zip.close()
            self._file.close()
        self._temporary.unlink(missing_ok=True)


class Archive:
    """Reads one archive, whoever wrote it; nothing of it is believed before `manifest` was.

    Raises:
        ArchiveFaultyError: no such file, or not a ZIP.
    """

    def __init__(self, path: Path, keys: Mapping[str, PublicKey]) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
            names = [(each.filename, each.file_size) for each in self._zip.infolist()]
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
            raise ArchiveFaultyError([f"{path.name}: {type(exc).__name__}"]) from exc
        self.manifest_document = self._read(MANIFEST, MANIFEST_MAX_OCTETS)
        self.manifest = _manifest(self.manifest_document, keys)
        self._parts = {each["name"]: each for each in self.manifest["parts"]}
        wanted = {*self._parts, MANIFEST}
        if {name for name, _size in names} - {STAMP} != wanted or len({n for n, _s in names}) != len(names):
            raise ArchiveFaultyError(["other files than those in the manifest"])
        has_stamp = any(name == STAMP for name, _size in names)
        self.stamp = self._read(STAMP, STAMP_MAX_OCTETS) if has_stamp else None

    @property
    def segments(self) -> int:
        return int(self.manifest["segments"])

    def segment(self, number: int) -> list[Record]:
        """The records of one segment, from 1."""
        return self._lines(f"records/{number:06d}.jsonl")

    def index(self) -> Iterator[Record]:
        """What can be searched, line by line."""
        for number in range(1, self.segments + 1):
            yield from self._lines(f"index/{number:06d}.jsonl")

    def close(self) -> None:
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _lines(self, name: str) -> list[Record]:
        part = self._parts.get(name)
        if part is None:
            raise ArchiveFaultyError([f"{name}: missing"])
        content = self._read(name, part["octets"])
        if hashlib.sha256(content).hexdigest() != part["sha256"]:
            raise ArchiveFaultyError([f"{name}: changed"])
        # What is signed is JSON that we wrote.
        lines = [json.loads(line) for line in content.splitlines()]
        if len(lines) != part["lines"]:
            raise ArchiveFaultyError([f"{name}: {len(lines)} lines"])
        return lines

    def _read(self, name: str, at_most: int) -> bytes:
        try:
            with self._zip.open(name) as file:
                content = file.read(at_most + 1)
        except Exception as exc:  # zlib.error, BadZipFile, KeyError, RuntimeError…: not readable
            raise ArchiveFaultyError([f"{name}: {type(exc).__name__}"]) from exc
        if len(content) > at_most:
            raise ArchiveFaultyError([f"{name}: longer than {at_most} octets"])
        return content


def _manifest(document: bytes, keys: Mapping[str, PublicKey]) -> dict[str, Any]:
    try:
        manifest = verify_document(document, typ=ARCHIVE_TYPE, keys=keys, max_bytes=MANIFEST_MAX_OCTETS)
    except VerifyError as exc:
        raise ArchiveFaultyError([f"{MANIFEST}: {exc.code}"]) from exc
    if manifest.get("format") != FORMAT:
        raise ArchiveFaultyError([f"{MANIFEST}: format {manifest.get('format')}"])
    return manifest


def sha256_of_file(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
