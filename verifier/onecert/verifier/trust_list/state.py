"""The highest list that was ever accepted here, kept where an ordinary update cannot lower it.

Somebody who controls the network can present an old list, on which a withdrawn CA is still granted. The
signatures on it are genuine; only memory helps.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from onecert.verifier.strict_json import Node, StrictJsonError
from onecert.verifier.trust_list.errors import TrustListRollbackError, TrustListUnavailableError
from onecert.verifier.trust_list.model import TrustList

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows: the replacement is atomic, two writers may race
    fcntl = None  # type: ignore[assignment]  # the module is absent there


@dataclass(frozen=True)
class Seen:
    """The newest list accepted so far."""

    sequence: int
    sha256: str


class TrustListState(Protocol):
    """Remembers the newest list."""

    def advance(self, trust_list: TrustList) -> None:
        """Accept this list as the newest, or refuse it; several processes may do so at once."""
        ...


def check_advance(seen: Seen | None, trust_list: TrustList) -> None:
    """Refuse a list that is older than, or another than, what was seen.

    Raises:
        TrustListRollbackError: TRUST_LIST_ROLLBACK for a lower number, TRUST_LIST_FORK for another content
            under the same number.
    """
    if seen is None or trust_list.sequence > seen.sequence:
        return
    if trust_list.sequence < seen.sequence:
        raise TrustListRollbackError("TRUST_LIST_ROLLBACK", sequence=trust_list.sequence, seen=seen.sequence)
    if trust_list.sha256 != seen.sha256:
        raise TrustListRollbackError("TRUST_LIST_FORK", sequence=trust_list.sequence)


class MemoryState:
    """For one process that lives long; a restart forgets."""

    def __init__(self) -> None:
        self.seen: Seen | None = None

    def advance(self, trust_list: TrustList) -> None:
        """See ``TrustListState``."""
        check_advance(self.seen, trust_list)
        self.seen = Seen(trust_list.sequence, trust_list.sha256)


class FileState:
    """A small JSON file, replaced atomically under a lock. Keep it apart from the cache of lists."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    def advance(self, trust_list: TrustList) -> None:
        """See ``TrustListState``.

        Raises:
            TrustListUnavailableError: TRUST_LIST_STATE, when the file cannot be read or written: without
                memory an old list could not be told from a new one.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._locked():
                seen = self._read()
                check_advance(seen, trust_list)
                now = Seen(trust_list.sequence, trust_list.sha256)
                if seen != now:
                    self._write(now)
        except (OSError, ValueError) as exc:
            raise TrustListUnavailableError("TRUST_LIST_STATE", detail=str(exc)[:200]) from exc

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self._path.with_name(self._path.name + ".lock"), "a", encoding="ascii") as lock:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> Seen | None:
        try:
            content = self._path.read_text("utf-8")
        except FileNotFoundError:
            return None
        try:
            with Node(json.loads(content), "") as node:
                return Seen(
                    node.integer("sequence", low=1, high=2**53 - 1), node.text("sha256", max_length=64)
                )
        except StrictJsonError as exc:
            raise ValueError(f"{self._path.name}: {exc}") from exc

    def _write(self, seen: Seen) -> None:
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"sequence": seen.sequence, "sha256": seen.sha256}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
