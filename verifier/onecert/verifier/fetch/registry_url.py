"""The city's snapshot of the register of legal entities, from beside the trust list.

The trust timestamp names the newest snapshot, so that nothing is fetched until it names another one. The rows
may be gigabytes: they go to the disk as they come, and a transfer that breaks off goes on from where it was.
Nobody's login waits for them, but for the first moments after a start.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from onecert.verifier.errors import CouldNotCheckError, MalformedError, VerifyError
from onecert.verifier.fetch.listed import listed_fetch
from onecert.verifier.fetch.rules import Allowance
from onecert.verifier.fetch.transfer import Fetch, FetchRequest
from onecert.verifier.fetch.trust_list_url import base_of
from onecert.verifier.files import locked, read_regular_file, write_atomically
from onecert.verifier.identity.registry import (
    Alias,
    ClosedEntities,
    RegistryEntry,
    RegistryUnavailableError,
)
from onecert.verifier.identity.registry_head import (
    DATA_FILE,
    HEAD_FILE,
    HEAD_MAX_BYTES,
    SnapshotHead,
    check_begun,
    check_not_over,
    read_head,
)
from onecert.verifier.identity.registry_index import RegistryIndex, check_data, open_file
from onecert.verifier.identity.registry_snapshot import LoadedRegistry
from onecert.verifier.trust_list.published import TrustedParts
from onecert.verifier.trust_list.roles import Role, RoleKeys
from onecert.verifier.trust_list.state import TrustState
from onecert.verifier.trust_list.timestamp import Named, TrustTimestamp

__all__ = ["RegistryUrl"]

log = logging.getLogger(__name__)

# One transfer of the rows: so many requests, each going on where the one before broke off.
_REQUESTS_MAX = 1000
_TIME = timedelta(hours=1)
# What the first who asks after a start waits for the snapshot.
_FIRST_S = 20.0


@dataclass(frozen=True)
class _Wanted:
    """What the trust root and the timestamp say about the register."""

    keys: RoleKeys
    timestamp: TrustTimestamp
    at: datetime

    @property
    def named(self) -> Named | None:
        return self.timestamp.registry


@dataclass(frozen=True)
class _Held:
    """A snapshot, and the keys that it was checked with."""

    loaded: LoadedRegistry
    keys: RoleKeys

    def is_named(self, named: Named | None) -> bool:
        head = self.loaded.head
        return named == Named(head.number, head.sha256)


class RegistryUrl:
    """A ``Registry`` that is fetched; give its ``follow`` to ``TrustListUrl``. Safe to share between threads.

    While the snapshot at hand is not the one that the timestamp names, what it knows is answered, with the
    warning ``REGISTRY_BEHIND``, until its own end. What it does not know, or where there is none, nobody can
    tell: holders with a credit code are let in by that, with ``REGISTRY_NOT_ASKED``; those with an older
    number are not, since they would become somebody else.

    Args:
        address: as for ``TrustListUrl``.
        folder: for the copies and the index; processes may share it.
        state: that of the trust list.
        fetch: ``listed_fetch()`` by default.
        closed: what becomes of entities that are cancelled or revoked.
    """

    def __init__(
        self,
        address: str,
        *,
        folder: Path | str,
        state: TrustState,
        fetch: Fetch | None = None,
        closed: ClosedEntities = ClosedEntities(),  # noqa: B008  frozen
    ) -> None:
        self._base = base_of(address)
        self._folder = Path(folder)
        self._state = state
        self._fetch = fetch or listed_fetch()
        self._closed = closed
        self._wanted: _Wanted | None = None
        self._held: _Held | None = None
        self._failure: VerifyError | None = None
        self._idle = threading.Event()  # set while nothing is being fetched or indexed
        self._idle.set()
        self._lock = threading.Lock()
        self._may_wait = True

    def follow(self, parts: TrustedParts, at: datetime) -> None:
        """See that the snapshot which these parts name is fetched, in a thread, if it is not at hand."""
        keys = parts.root.roles.get(Role.REGISTRY)
        with self._lock:
            if keys is None:
                self._wanted = self._held = None  # the city has no register, or has given it up
                return
            self._wanted = wanted = _Wanted(keys, parts.timestamp, at)
            held = self._held
            if held is not None and not _same(held.keys, keys):
                self._held = held = None  # read again, with the keys of now
            if not self._idle.is_set() or (held is not None and held.is_named(wanted.named)):
                return
            self._idle.clear()
        threading.Thread(target=self._work, args=(wanted,), daemon=True).start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until nothing is being fetched; ``False`` when the time was too short."""
        return self._idle.wait(seconds)

    def head(self, at: datetime) -> SnapshotHead | None:
        """The snapshot in use; ``None`` when the city has none.

        Raises:
            RegistryUnavailableError: REGISTRY_UNAVAILABLE.
        """
        loaded = self._usable()
        if loaded is None:
            return None
        try:
            check_not_over(loaded.head, at)
        except CouldNotCheckError as exc:
            raise _unavailable(exc) from exc
        return loaded.head

    @property
    def is_behind(self) -> bool:
        """Whether the city has a snapshot that is not the one in use."""
        wanted, held = self._wanted, self._held
        if wanted is None or (wanted.named is None and held is None):
            return False
        return held is None or not held.is_named(wanted.named)

    @property
    def failure(self) -> VerifyError | None:
        """Why the newest snapshot is not there; ``None`` when it is, or is on its way."""
        return self._failure

    def find(self, canonical: str, at: datetime) -> RegistryEntry | None:
        """See ``Registry``.

        Raises:
            IdentityError: ENTITY_CANCELLED or ENTITY_REVOKED, where ``closed`` says so.
            RegistryUnavailableError: REGISTRY_UNAVAILABLE.
        """
        loaded = self._usable()
        if loaded is None:
            return None
        try:
            entry = loaded.find(canonical, at)
        except CouldNotCheckError as exc:
            raise _unavailable(exc) from exc
        if not self.is_behind:
            return entry
        if entry is None:
            raise _unavailable(self._failure)
        return replace(entry, warnings=("REGISTRY_BEHIND",))

    def aliases_of(self, canonical: str, at: datetime) -> tuple[Alias, ...]:
        """See ``RegistrySnapshot.aliases_of``.

        Raises:
            RegistryUnavailableError: REGISTRY_UNAVAILABLE.
        """
        loaded = self._usable()
        return () if loaded is None else loaded.aliases_of(canonical, at)

    def close(self) -> None:
        """Let go of the index file."""
        held = self._held
        if held is not None:
            held.loaded.index.close()

    def _usable(self) -> LoadedRegistry | None:
        """The snapshot at hand; ``None`` when the city has none."""
        if self._held is None and self._may_wait:
            self.wait(_FIRST_S)
            self._may_wait = False
        wanted, held = self._wanted, self._held
        if wanted is None or (wanted.named is None and held is None):
            return None
        if held is None:
            raise _unavailable(self._failure)
        try:
            # What is asked about may lie in the past; the snapshot is used now.
            check_not_over(held.loaded.head, wanted.at)
        except CouldNotCheckError as exc:
            raise _unavailable(exc) from exc
        return held.loaded

    def _work(self, wanted: _Wanted) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self._folder / "registry.lock"):
                self._update(wanted)
        except VerifyError as exc:
            self._failed(exc)
        except OSError as exc:
            self._failed(CouldNotCheckError("REGISTRY_INDEX", detail=str(exc)[:200]))
        else:
            self._failure = None
        finally:
            self._idle.set()

    def _failed(self, error: VerifyError) -> None:
        self._failure = error.with_traceback(None)
        log.warning("registry snapshot not fetched", extra={"url": self._base, "error": str(error)})

    def _update(self, wanted: _Wanted) -> None:
        # 1. What is in the folder: from before the start, or fetched by another process.
        self._take_kept(wanted)
        held, named = self._held, wanted.named
        if (held is not None and held.is_named(named)) or (held is None and named is None):
            return
        # 2. The head, which the register's keys have signed and the timestamp names.
        url = self._base + HEAD_FILE
        allowance = Allowance(_REQUESTS_MAX, _TIME)
        request = FetchRequest(url=url, max_bytes=HEAD_MAX_BYTES, timeout=allowance.take(url))
        signed = self._fetch(request).data or b""
        head = read_head(signed, wanted.keys)
        wanted.timestamp.check_names(Role.REGISTRY, head.number, head.sha256)
        check_not_over(head, wanted.at)
        check_begun(head, wanted.at)
        # 3. Its rows, and their index, while the snapshot at hand answers.
        rows = self._rows(head)
        if not rows.exists():
            self._transfer(head, rows, allowance)
        index = self._index(head)
        # 4. It does not go back behind what was seen; only now it takes the place of the old one.
        self._state.advance(
            {Role.REGISTRY: head.seen}, keep=lambda: write_atomically(self._folder / HEAD_FILE, signed)
        )
        self._take(_Held(LoadedRegistry(head, index, self._closed), wanted.keys))
        self._remove_others(rows)

    def _take(self, held: _Held) -> None:
        with self._lock:
            if self._wanted is not None and _same(self._wanted.keys, held.keys):
                self._held = held

    def _take_kept(self, wanted: _Wanted) -> None:
        try:
            signed = read_regular_file(self._folder / HEAD_FILE, HEAD_MAX_BYTES)
        except OSError:
            return
        try:
            head = read_head(signed, wanted.keys)
            held = self._held
            if held is not None and held.loaded.head.seen == head.seen:
                return
            check_not_over(head, wanted.at)
            self._state.advance({Role.REGISTRY: head.seen})
            self._take(_Held(LoadedRegistry(head, self._index(head), self._closed), wanted.keys))
        except VerifyError as exc:
            log.warning("kept registry snapshot not used", extra={"error": str(exc)})

    def _index(self, head: SnapshotHead) -> RegistryIndex:
        rows = self._rows(head)
        try:
            return RegistryIndex(self._folder, open_file(rows), head.data)
        except MalformedError:
            rows.unlink(missing_ok=True)  # damaged, or wrong from the beginning: fetched anew
            raise

    def _rows(self, head: SnapshotHead) -> Path:
        # Named by content, so that the head and its rows are replaced in one step: that of the head.
        return self._folder / f"rows-{head.data.sha256[:40]}.jsonl"

    def _transfer(self, head: SnapshotHead, rows: Path, allowance: Allowance) -> None:
        part = rows.with_suffix(".part")
        self._remove_others(part)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(part, flags, 0o600), "r+b") as file:
            while (have := _size(file)) < head.data.size:
                self._go_on(head, file, have, allowance)
            try:
                check_data(file, head.data)
            except MalformedError:
                part.unlink(missing_ok=True)
                raise
            os.fsync(file.fileno())
        os.replace(part, rows)

    def _go_on(self, head: SnapshotHead, file: BinaryIO, have: int, allowance: Allowance) -> None:
        """One request; an error only when it brought nothing."""
        url = self._base + DATA_FILE
        request = FetchRequest(
            url=url, max_bytes=head.data.size, timeout=allowance.take(url), into=file, start=have
        )
        try:
            data = self._fetch(request).data
            if data:  # from a fetcher that knows no files
                file.seek(0)
                file.truncate()
                file.write(data)
        except CouldNotCheckError:
            if _size(file) <= have:
                raise
        if _size(file) <= have:
            raise CouldNotCheckError("FETCH_TRUNCATED", url=url)

    def _remove_others(self, kept: Path) -> None:
        for path in self._folder.glob(f"rows-*{kept.suffix}"):
            if path != kept:
                with contextlib.suppress(OSError):
                    path.unlink()


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _same(some: RoleKeys, others: RoleKeys) -> bool:
    return (some.epoch, some.threshold, some.keys.keys()) == (
        others.epoch,
        others.threshold,
        others.keys.keys(),
    )


def _unavailable(reason: VerifyError | None) -> RegistryUnavailableError:
    detail = "it is being fetched" if reason is None else str(reason)
    return RegistryUnavailableError("REGISTRY_UNAVAILABLE", detail=detail[:300])
