"""A trust list in a folder that something else keeps fresh: a mirror, a mounted share, a hand with a disk."""

from __future__ import annotations

import os
import stat
import threading
from datetime import datetime, timedelta
from pathlib import Path

from onecert.verifier.errors import VerifyError
from onecert.verifier.trust_list.errors import TrustListUnavailableError
from onecert.verifier.trust_list.model import TrustList
from onecert.verifier.trust_list.published import (
    LIST_FILE,
    TIMESTAMP_FILE,
    GetFile,
    PublishedTrust,
    TrustedParts,
    root_file,
)
from onecert.verifier.trust_list.root import TrustRoot
from onecert.verifier.trust_list.state import TrustState

__all__ = ["TrustListFolder", "files_in"]

# What was refused is read again after this time even if no file has changed: the clock may have.
_AGAIN = timedelta(minutes=1)

_Stamp = tuple[int, int, int] | None


def files_in(folder: Path) -> GetFile:
    """The files of a folder by name; ``TRUST_LIST_MISSING`` for one that cannot be read or is too long."""

    def get(name: str, max_bytes: int) -> bytes:
        try:
            data = _read(folder / name, max_bytes)
        except OSError as exc:
            detail = f"{name}: {exc.strerror or exc}"
            raise TrustListUnavailableError("TRUST_LIST_MISSING", detail=detail[:300]) from exc
        if len(data) > max_bytes:
            raise TrustListUnavailableError("TRUST_LIST_MISSING", detail=f"{name}: more than {max_bytes} B")
        return data

    return get


def _read(path: Path, max_bytes: int) -> bytes:
    # A pipe in the place of a file would make everybody wait; links are how some mirrors switch.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("no regular file")
        return file.read(max_bytes + 1)


class TrustListFolder:
    """Reads ``trust-timestamp.json``, ``trust-list.json`` and ``trust-roots/`` again when they change.

    While the files do not belong together, because somebody is copying, the parts at hand serve on. A
    ``TrustListSource``; safe to share between threads.

    Args:
        folder: as published; its ``trust-root.json`` is not read.
        root: the root that a person has compared with the printed fingerprint. Keep its file apart from the
            folder: whoever can replace it decides whom we trust.
        state: keep it apart too.
        grace: so long after the end of the timestamp the list is still used, with a warning.
    """

    def __init__(
        self, folder: Path | str, *, root: TrustRoot, state: TrustState, grace: timedelta = timedelta(0)
    ) -> None:
        self._folder = Path(folder)
        self._trust = PublishedTrust(root, state=state, grace=grace)
        self._tried: tuple[tuple[_Stamp, ...], datetime, bool] | None = None
        self._lock = threading.Lock()

    def current(self, at: datetime) -> TrustList:
        """See ``TrustListSource``."""
        self._refresh(at)
        return self._trust.current(at)

    def parts(self, at: datetime) -> TrustedParts:
        """Root, timestamp and list in use.

        Raises:
            VerifyError: as ``current``.
        """
        self._refresh(at)
        return self._trust.parts(at)

    def _refresh(self, at: datetime) -> None:
        tried = self._tried
        if tried is None or self._is_due(tried, at):
            with self._lock:
                if self._tried is tried:
                    stamps = self._stamps()
                    self._tried = (stamps, at, self._read(at))

    def _is_due(self, tried: tuple[tuple[_Stamp, ...], datetime, bool], at: datetime) -> bool:
        stamps, when, read = tried
        return stamps != self._stamps() or not (read or when <= at < when + _AGAIN)

    def _read(self, at: datetime) -> bool:
        try:
            self._trust.update(files_in(self._folder), at)
        except VerifyError:
            return False  # the parts at hand serve on; without any, ``current`` says what it was
        return True

    def _stamps(self) -> tuple[_Stamp, ...]:
        names = (TIMESTAMP_FILE, LIST_FILE, root_file(self._trust.root.version + 1))
        return tuple(_stamp(self._folder / name) for name in names)


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
