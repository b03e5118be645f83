"""A folder in which processes share what they fetched: ordinary files, replaced atomically.

``<name>.crl`` (or ``.ocsp``, ``.certificates``) is the document as it came, ``<name>.json`` says when and
from where, ``<name>.down`` that an address failed and when it is asked again, ``<name>.lock`` that somebody
is asking. ``<name>`` is made of the address. Other files in the folder are left alone and not looked at; what
cannot be read counts as absent, and what cannot be written costs only the sharing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from onecert.verifier.fetch.records import Failure, Record, read_failure, read_record
from onecert.verifier.files import read_regular_file, write_atomically

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows: two processes may fetch the same list at once
    fcntl = None  # type: ignore[assignment]  # the module is absent there

__all__ = ["CacheFolder"]

log = logging.getLogger(__name__)

_OURS = re.compile(r"([0-9a-f]{32})\.(crl|ocsp|certificates|json|down)")
# What goes first, as in ``shelf``: anybody can make us fetch certificates.
_WORTH = {"certificates": 1, "ocsp": 2, "crl": 3}
_RECORD_MAX = 16 * 1024
_POLL_S = 0.01


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
            return None if fields is None else read_record(fields)
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
            return None if fields is None else read_failure(fields)
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
