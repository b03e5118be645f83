"""A folder in which processes share what they fetched: ordinary files, replaced atomically.

``<name>.crl`` (or ``.ocsp``, ``.certificates``) is the document as it came, ``<name>.json`` says when and
from where, ``<name>.down`` that an address failed and when it is asked again, ``<name>.lock`` that somebody
is asking. ``<name>`` is made of the address. Other files in the folder are left alone and not looked at; what
cannot be read counts as absent, and what cannot be written costs only the sharing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows: two processes may fetch the same list at once
    fcntl = None  # type: ignore[assignment]  # the module is absent there

__all__ = ["CacheFolder", "Failure", "Record", "read_regular_file", "write_atomically"]

log = logging.getLogger(__name__)

_OURS = re.compile(r"([0-9a-f]{32})\.(crl|ocsp|certificates|json|down)")
# What goes first, as in ``shelf``: anybody can make us fetch certificates.
_WORTH = {"certificates": 1, "ocsp": 2, "crl": 3}
_RECORD_MAX = 16 * 1024
_POLL_S = 0.01
_SAME_TIME = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Record:
    """When a document was fetched, or last confirmed by its server, and what the server said with it."""

    url: str
    kind: str
    fetched_at: datetime
    sha256: str
    etag: str = ""
    last_modified: str = ""
    max_age_s: int | None = None

    @property
    def max_age(self) -> timedelta | None:
        return None if self.max_age_s is None else timedelta(seconds=self.max_age_s)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An address, or a server, that failed ``count`` times in a row."""

    count: int
    failed_at: datetime
    retry_at: datetime
    detail: str

    def holds_at(self, at: datetime) -> bool:
        """Not asked again yet? A clock that was set back ends the wait; threads may differ a little."""
        return self.failed_at - _SAME_TIME <= at < self.retry_at


class CacheFolder:
    """One folder; it need not exist, work, or have room.

    Args:
        path: made with mode 0700 when it does not exist; files get 0600.
        max_bytes, max_documents: beyond these the documents confirmed longest ago are removed.
    """

    def __init__(self, path: Path, *, max_bytes: int, max_documents: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_documents = max_documents

    def load_record(self, name: str) -> Record | None:
        """What is known of a document, or ``None``."""
        fields = self._load_json(f"{name}.json")
        try:
            return None if fields is None else _record(fields)
        except (KeyError, TypeError, ValueError):
            return None

    def load_data(self, name: str, kind: str, max_bytes: int) -> bytes | None:
        """The document itself, unchecked."""
        try:
            return read_regular_file(self._path / f"{name}.{kind}", max_bytes)
        except FileNotFoundError:
            return None
        except OSError as exc:
            self._warn(exc)
            return None

    def store(self, name: str, record: Record, data: bytes | None) -> None:
        """Keep a document, or with ``None`` only what is newly known of it."""
        with self._tolerant():
            if data is not None:
                # The document first: a record that does not fit it (``sha256``) counts as absent.
                write_atomically(self._path / f"{name}.{record.kind}", data)
            self._store_json(f"{name}.json", asdict(record))
            if data is not None:
                self._evict(name)

    def load_failure(self, name: str) -> Failure | None:
        """Whether the last try failed."""
        fields = self._load_json(f"{name}.down")
        try:
            return None if fields is None else _failure(fields)
        except (KeyError, TypeError, ValueError):
            return None

    def store_failure(self, name: str, failure: Failure | None) -> None:
        """Remember a failure, or that it is over."""
        with self._tolerant():
            if failure is not None:
                self._store_json(f"{name}.down", asdict(failure))
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path / f"{name}.down")

    @contextlib.contextmanager
    def lock(self, name: str, seconds: float) -> Iterator[bool]:
        """Keep other processes from fetching the same; ``False`` when one still does after ``seconds``.

        The operating system ends the lock with the process that holds it: a file that was left behind by
        a crash is in nobody's way. Where locks do not work, everybody may fetch.
        """
        try:
            descriptor = self._acquire(self._path / f"{name}.lock", seconds)
        except OSError as exc:
            self._warn(exc)
            yield True
            return
        if descriptor is None:
            yield False
            return
        try:
            yield True
        finally:
            with contextlib.suppress(OSError):
                os.unlink(self._path / f"{name}.lock")
            os.close(descriptor)

    def _acquire(self, path: Path, seconds: float) -> int | None:
        self._make()
        end = time.monotonic() + seconds
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
            try:
                if fcntl is not None:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever held it before has removed the file: then this lock keeps nobody out.
                if os.fstat(descriptor).st_ino == os.stat(path).st_ino:
                    return descriptor
            except (BlockingIOError, FileNotFoundError):
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            if time.monotonic() >= end:
                return None
            time.sleep(_POLL_S)

    def _make(self) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _load_json(self, file_name: str) -> dict[str, object] | None:
        try:
            fields = json.loads(read_regular_file(self._path / file_name, _RECORD_MAX))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as exc:
            self._warn(exc)
            return None
        return fields if isinstance(fields, dict) else None

    def _store_json(self, file_name: str, fields: dict[str, object]) -> None:
        text = json.dumps(
            {k: v.isoformat() if isinstance(v, datetime) else v for k, v in fields.items()}, indent=1
        )
        write_atomically(self._path / file_name, text.encode("utf-8"), durable=False)

    def _evict(self, keep: str) -> None:
        """Remove what is worth least and was confirmed longest ago until the rest fits."""
        sizes: dict[str, int] = {}
        newest: dict[str, float] = {}
        worth: dict[str, int] = {}
        with os.scandir(self._path) as entries:
            for entry in entries:
                match = _OURS.fullmatch(entry.name)
                if match is None:
                    continue
                with contextlib.suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    sizes[match[1]] = sizes.get(match[1], 0) + found.st_size
                    newest[match[1]] = max(newest.get(match[1], 0), found.st_mtime)
                    worth[match[1]] = max(worth.get(match[1], 0), _WORTH.get(match[2], 0))
        total = sum(sizes.values())
        for name in sorted(sizes, key=lambda item: (item == keep, worth[item], newest[item])):
            if (total <= self._max_bytes and len(sizes) <= self._max_documents) or name == keep:
                return
            for suffix in ("json", "crl", "ocsp", "certificates", "down"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path / f"{name}.{suffix}")
            total -= sizes.pop(name)

    @contextlib.contextmanager
    def _tolerant(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            self._warn(exc)

    def _warn(self, exc: Exception) -> None:
        log.warning("fetch cache unusable", extra={"path": str(self._path), "error": str(exc)[:200]})


def _record(fields: dict[str, object]) -> Record:
    max_age = fields["max_age_s"]
    if max_age is not None and not isinstance(max_age, int):
        raise TypeError("max_age_s")
    return Record(
        url=_text(fields["url"]),
        kind=_text(fields["kind"]),
        fetched_at=_time(fields["fetched_at"]),
        sha256=_text(fields["sha256"]),
        etag=_text(fields["etag"]),
        last_modified=_text(fields["last_modified"]),
        max_age_s=None if max_age is None else min(max(max_age, 0), 10**9),
    )


def _failure(fields: dict[str, object]) -> Failure:
    count = fields["count"]
    if not isinstance(count, int):
        raise TypeError("count")
    return Failure(
        count=min(max(count, 1), 1000),
        failed_at=_time(fields["failed_at"]),
        retry_at=_time(fields["retry_at"]),
        detail=_text(fields["detail"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _time(value: object) -> datetime:
    found = datetime.fromisoformat(_text(value))
    if found.tzinfo is None:
        raise ValueError("a time without zone")
    return found


def sha256_hex(data: bytes) -> str:
    """The form of ``Record.sha256``."""
    return hashlib.sha256(data).hexdigest()


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """Read a file of bounded size; a pipe, a device or a link is an error and does not block.

    Raises:
        OSError: it cannot be read, or is too large.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > max_bytes:
            raise OSError(f"{path.name} is no regular file of at most {max_bytes} bytes")
        return file.read(max_bytes + 1)


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace a file so that a reader sees the old or the new one, never half; mode 0600."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".fetch-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
