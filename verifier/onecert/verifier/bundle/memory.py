"""The newest bundle that was accepted here; keep it where an ordinary update cannot lower it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from onecert.verifier.errors import CouldNotCheckError, RefusedError
from onecert.verifier.fetch.files import write_atomically
from onecert.verifier.strict_json import Node, StrictJsonError, format_time

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows: the replacement is atomic, two writers may race
    fcntl = None  # type: ignore[assignment]  # the module is absent there

__all__ = ["BundleMemory", "FileBundleMemory", "MemoryBundleMemory", "SeenBundle"]


@dataclass(frozen=True)
class SeenBundle:
    """When the newest bundle was made, and the digest of its manifest."""

    made_at: datetime
    sha256: str


class BundleMemory(Protocol):
    """Remembers the newest bundle."""

    def advance(self, seen: SeenBundle, *, keep: Callable[[], None] | None = None) -> None:
        """Accept this bundle as the newest, or refuse it; ``keep`` stores it before it is remembered."""
        ...


def _check(before: SeenBundle | None, now: SeenBundle) -> None:
    if before is None or now.made_at > before.made_at:
        return
    if now.made_at < before.made_at:
        raise RefusedError("BUNDLE_ROLLBACK", made_at=now.made_at, seen=before.made_at)
    if now.sha256 != before.sha256:
        raise RefusedError("BUNDLE_FORK", made_at=now.made_at)


class MemoryBundleMemory:
    """For one process that lives long; a restart forgets."""

    def __init__(self) -> None:
        self._seen: SeenBundle | None = None
        self._lock = threading.Lock()

    def advance(self, seen: SeenBundle, *, keep: Callable[[], None] | None = None) -> None:
        """See ``BundleMemory``."""
        with self._lock:
            _check(self._seen, seen)
            if keep is not None:
                keep()
            self._seen = seen


class FileBundleMemory:
    """A small JSON file, replaced atomically under a lock."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    def advance(self, seen: SeenBundle, *, keep: Callable[[], None] | None = None) -> None:
        """See ``BundleMemory``.

        Raises:
            RefusedError: BUNDLE_ROLLBACK, BUNDLE_FORK.
            CouldNotCheckError: BUNDLE_STATE: without memory an old bundle could not be told from a new one.
        """
        try:
            with self._locked():
                before = self._read()
                _check(before, seen)
                if keep is not None:
                    keep()
                if before != seen:
                    text = json.dumps({"made_at": format_time(seen.made_at), "sha256": seen.sha256})
                    write_atomically(self._path, text.encode("ascii"))
        except (OSError, ValueError, RecursionError) as exc:
            raise CouldNotCheckError("BUNDLE_STATE", detail=str(exc)[:200]) from exc

    def _read(self) -> SeenBundle | None:
        try:
            content = self._path.read_text("utf-8")
        except FileNotFoundError:
            return None
        try:
            with Node(json.loads(content), "") as node:
                return SeenBundle(node.time("made_at"), node.text("sha256", max_length=64))
        except StrictJsonError as exc:
            raise ValueError(f"{self._path.name}: {exc}") from exc

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self._path.with_name(self._path.name + ".lock"), "a", encoding="ascii") as lock:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
