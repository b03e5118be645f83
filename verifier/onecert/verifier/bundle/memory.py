"""The newest bundle that was accepted here; keep it where an ordinary update cannot lower it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from onecert.verifier.errors import CouldNotCheckError, RefusedError
from onecert.verifier.files import locked, write_atomically
from onecert.verifier.strict_json import Node, StrictJsonError, format_time
from onecert.verifier.trust_list.roles import CLOCK_SKEW

__all__ = ["BundleMemory", "FileBundleMemory", "MemoryBundleMemory", "SeenBundle"]


@dataclass(frozen=True)
class SeenBundle:
    """When the newest bundle was made, the digest of its manifest, and the latest time it was used at."""

    made_at: datetime
    sha256: str
    used_at: datetime | None = None


class BundleMemory(Protocol):
    """Remembers the newest bundle."""

    def advance(self, seen: SeenBundle, *, keep: Callable[[], None] | None = None) -> None:
        """Accept this bundle as the newest, or refuse it; ``keep`` stores it before it is remembered."""
        ...

    def use(self, at: datetime) -> None:
        """Remember that the newest bundle is used at this time, or refuse: it was used later before."""
        ...


def _check(before: SeenBundle | None, now: SeenBundle) -> None:
    if before is None or now.made_at > before.made_at:
        return
    if now.made_at < before.made_at:
        raise RefusedError("BUNDLE_ROLLBACK", made_at=now.made_at, seen=before.made_at)
    if now.sha256 != before.sha256:
        raise RefusedError("BUNDLE_FORK", made_at=now.made_at)


def _advanced(before: SeenBundle | None, now: SeenBundle) -> SeenBundle:
    """A newer bundle begins anew: so ends what a clock did that had once run ahead."""
    _check(before, now)
    return before if before is not None and before.sha256 == now.sha256 else now


def _used(before: SeenBundle | None, at: datetime) -> SeenBundle | None:
    """Nothing forbids to use a bundle that nobody remembers: that was refused before."""
    if before is None:
        return None
    if before.used_at is None or at > before.used_at:
        return replace(before, used_at=at)
    if at < before.used_at - CLOCK_SKEW:
        raise CouldNotCheckError("BUNDLE_CLOCK_BACK", used_at=before.used_at, at=at)
    return before


class MemoryBundleMemory:
    """For one process that lives long; a restart forgets."""

    def __init__(self) -> None:
        self._seen: SeenBundle | None = None
        self._lock = threading.Lock()

    def advance(self, seen: SeenBundle, *, keep: Callable[[], None] | None = None) -> None:
        """See ``BundleMemory``."""
        with self._lock:
            after = _advanced(self._seen, seen)
            if keep is not None:
                keep()
            self._seen = after

    def use(self, at: datetime) -> None:
        """See ``BundleMemory``."""
        with self._lock:
            self._seen = _used(self._seen, at)


class FileBundleMemory:
    """A small JSON file, replaced atomically under a lock."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._lock = self._path.with_name(self._path.name + ".lock")

    def advance(self, seen: SeenBundle, *, keep: Callable[[], None] | None = None) -> None:
        """See ``BundleMemory``.

        Raises:
            RefusedError: BUNDLE_ROLLBACK, BUNDLE_FORK.
            CouldNotCheckError: BUNDLE_STATE: without memory an old bundle could not be told from a new one.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self._lock):
                before = self._read()
                after = _advanced(before, seen)
                if keep is not None:
                    keep()
                if before != after:
                    self._write(after)
        except (OSError, ValueError, RecursionError) as exc:
            raise CouldNotCheckError("BUNDLE_STATE", detail=str(exc)[:200]) from exc

    def use(self, at: datetime) -> None:
        """See ``BundleMemory``.

        Raises:
            CouldNotCheckError: BUNDLE_CLOCK_BACK, BUNDLE_STATE.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self._lock):
                before = self._read()
                after = _used(before, at.replace(microsecond=0))
                if after is not None and before != after:
                    self._write(after)
        except (OSError, ValueError, RecursionError) as exc:
            raise CouldNotCheckError("BUNDLE_STATE", detail=str(exc)[:200]) from exc

    def _write(self, seen: SeenBundle) -> None:
        content = {"made_at": format_time(seen.made_at), "sha256": seen.sha256}
        if seen.used_at is not None:
            content["used_at"] = format_time(seen.used_at)
        write_atomically(self._path, json.dumps(content).encode("ascii"))

    def _read(self) -> SeenBundle | None:
        try:
            content = self._path.read_text("utf-8")
        except FileNotFoundError:
            return None
        try:
            with Node(json.loads(content), "") as node:
                return SeenBundle(
                    node.time("made_at"),
                    node.text("sha256", max_length=64),
                    node.time("used_at") if node.has("used_at") else None,
                )
        except StrictJsonError as exc:
            raise ValueError(f"{self._path.name}: {exc}") from exc
