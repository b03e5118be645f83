"""The mirror of the register of legal entities (法人库): a signed snapshot in two files.

``registry.json`` is read by ``registry_head``, the rows of ``registry.jsonl`` by ``registry_rows``. Snapshots
count from one to the next: never back, and not after their end.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from onecert.verifier.arguments import check_kind
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.identity.registry import Alias, ClosedEntities, RegistryEntry
from onecert.verifier.identity.registry_head import (
    DATA_FILE,
    HEAD_FILE,
    SnapshotHead,
    check_begun,
    check_not_over,
    read_head,
)
from onecert.verifier.identity.registry_index import RegistryIndex, open_file
from onecert.verifier.identity.registry_rows import Row
from onecert.verifier.trust_list.roles import Role, RoleKeys
from onecert.verifier.trust_list.state import TrustState

__all__ = ["LoadedRegistry", "RegistrySnapshot"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedRegistry:
    """One snapshot with its index; a ``Registry``, and the caller has judged whether it is current.

    Args:
        closed: what becomes of entities that are cancelled or revoked.
    """

    head: SnapshotHead
    index: RegistryIndex
    closed: ClosedEntities

    def find(self, canonical: str, at: datetime) -> RegistryEntry | None:
        """See ``Registry``.

        Raises:
            IdentityError: ENTITY_CANCELLED or ENTITY_REVOKED, where ``closed`` says so.
            CouldNotCheckError: REGISTRY_EXPIRED, REGISTRY_INDEX.
        """
        row = self._row(canonical, at)
        entry = None if row is None else row.entry(at)
        if entry is not None:
            self.closed.check(entry)
        return entry

    def aliases_of(self, canonical: str, at: datetime) -> tuple[Alias, ...]:
        """See ``RegistrySnapshot.aliases_of``."""
        row = self._row(canonical, at)
        return () if row is None else row.aliases

    def _row(self, canonical: str, at: datetime) -> Row | None:
        check_not_over(self.head, at)
        kind, _, number = canonical.partition(":")
        if kind == "uscc":
            return self.index.find(number)
        for row in self.index.find_alias(canonical):
            if any(alias.id == canonical and alias.holds_at(at) for alias in row.aliases):
                return row
        return None


_Stamp = tuple[tuple[int, int, int], ...]


class RegistrySnapshot:
    """The snapshot in a folder that something else keeps fresh; a ``Registry`` for the ``Verifier``.

    What is asked about may lie in the past, as the time of a signature does: the answer is the state of then.

    A new snapshot is read when ``registry.json`` changes. The first is waited for; later ones are prepared in
    a thread while the one at hand answers, for a million entities take half a minute. One that is wrong is
    told to the log, and the one at hand serves until its own end.

    Args:
        folder: holds ``registry.json`` and ``registry.jsonl``, and gets the index.
        keys: of the role ``registry`` of the trust root, or a function that gives the present ones.
        state: remembers the newest snapshot; keep it where ordinary updates do not reach.
        closed: what becomes of entities that are cancelled or revoked.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        keys: RoleKeys | Callable[[], RoleKeys],
        state: TrustState | None = None,
        closed: ClosedEntities = ClosedEntities(),  # noqa: B008  frozen
    ) -> None:
        check_kind(closed, ClosedEntities, "closed")
        self._folder = Path(folder)
        self._keys = keys
        self._state = state
        self._closed = closed
        self._lock = threading.Lock()
        self._stamp: _Stamp | None = None  # of the head that was read, or that was wrong
        self._loaded: LoadedRegistry | None = None

    def find(self, canonical: str, at: datetime) -> RegistryEntry | None:
        """See ``Registry``.

        Raises:
            IdentityError: ENTITY_CANCELLED or ENTITY_REVOKED, where ``closed`` says so.
            VerifyError: there is no snapshot that may be used, as ``head``.
        """
        return self._current(at).find(canonical, at)

    def aliases_of(self, canonical: str, at: datetime) -> tuple[Alias, ...]:
        """Older numbers of the entity, of any time: what an account may have been opened under.

        A department that does not know ``uscc:…`` at a login looks for these, and moves the account that it
        finds over to the canonical id with ``evidence`` in its record. ``until`` tells of a number that has
        gone to another entity since; then only an account from before that time is meant.

        Args:
            canonical: ``uscc:…`` or one of the older numbers.
            at: the time of the question.
        """
        return self._current(at).aliases_of(canonical, at)

    def head(self, at: datetime) -> SnapshotHead:
        """The snapshot in use.

        Raises:
            VerifyError: as ``load_head``; REGISTRY_MISSING, REGISTRY_DATA, REGISTRY_LINE, REGISTRY_AMBIGUOUS,
                REGISTRY_INDEX.
        """
        found = self._current(at).head
        check_begun(found, at)
        return found

    def refresh(self, at: datetime) -> SnapshotHead:
        """Read what is in the folder now and here, and return it.

        Raises:
            VerifyError: as ``head``; the snapshot at hand goes on serving.
        """
        with self._lock:
            found = self._load(at, self._stat()).head
        check_begun(found, at)
        return found

    def close(self) -> None:
        """Let go of the index file."""
        if self._loaded is not None:
            self._loaded.index.close()

    def _current(self, at: datetime) -> LoadedRegistry:
        stamp = self._stat()
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    self._load(at, stamp)
        elif stamp != self._stamp and self._lock.acquire(blocking=False):
            # The thread gives the lock back.
            threading.Thread(target=self._replace, args=(at, stamp), daemon=True).start()
        loaded = self._loaded
        assert loaded is not None  # noqa: S101  loaded above, or raised
        check_not_over(loaded.head, at)
        return loaded

    def _stat(self) -> _Stamp | None:
        try:
            # Both: they are replaced one after the other, and do not fit in between.
            found = [os.stat(self._folder / name) for name in (HEAD_FILE, DATA_FILE)]
        except OSError:
            return None
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)

    def _replace(self, at: datetime, stamp: _Stamp | None) -> None:
        try:
            self._load(at, stamp)
        except VerifyError as exc:
            self._stamp = stamp
            log.warning("registry snapshot not used", extra={"error": str(exc)})
        finally:
            self._lock.release()

    def _load(self, at: datetime, stamp: _Stamp | None) -> LoadedRegistry:
        try:
            data = (self._folder / HEAD_FILE).read_bytes()
        except OSError as exc:
            raise CouldNotCheckError("REGISTRY_MISSING", detail=exc.strerror or str(exc)) from exc
        # The memory comes last: a snapshot whose rows are wrong must not keep the right one out.
        keys = self._keys if isinstance(self._keys, RoleKeys) else self._keys()
        head = read_head(data, keys)
        check_not_over(head, at)
        index = RegistryIndex(self._folder, open_file(self._folder / DATA_FILE), head.data)
        if self._state is not None:
            self._state.advance({Role.REGISTRY: head.seen})
        self._loaded = LoadedRegistry(head, index, self._closed)
        self._stamp = stamp
        return self._loaded
