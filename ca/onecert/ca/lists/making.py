"""Makes what will be signed: read from one state of the record, compared, written, linted and hashed.

What was made is remembered: the next list is made of it and what changed since, and what it shares with it is
neither linted nor hashed by its parts again.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import Connection

from onecert.ca.authorities.authorities import Authority
from onecert.ca.errors import ClockWentBackError, TryAgainError
from onecert.ca.lists.contents import IN_PARTS_OCTETS
from onecert.ca.lists.crl import check_crl
from onecert.ca.lists.drafting import HashedDraft, draft_lists, hash_draft, sha256_of
from onecert.ca.lists.snapshot import Snapshot, is_complete, newest, read_snapshot
from onecert.ca.signatures.algorithms import ThrowAwayKeys
from onecert.server.clock import Clock

__all__ = ["HashedDrafts", "ListMaker", "at_once"]

_One = TypeVar("_One")
_Other = TypeVar("_Other")

# A clock that is corrected by less than this does not stop the lists; this_update then stands still.
CLOCK_TOLERANCE = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class HashedDrafts:
    """What is about to be signed. `sha256_of` has a long list's segments, and is empty for a short one."""

    full: HashedDraft
    delta: HashedDraft | None
    snapshot: Snapshot
    sha256_of: dict[bytes, str]
    is_long: bool


class ListMaker:
    """Makes the lists of one CA, those of an authority by one thread at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._throw_away = ThrowAwayKeys()
        self._made: dict[tuple[str, int], HashedDrafts] = {}

    def remember(self, authority: str, partition: int, signed: HashedDrafts) -> None:
        """The next list of this scope may be made from this one."""
        self._made[authority, partition] = signed

    def make(
        self, connection: Connection, authority: Authority, partition: int, *, anew: bool, is_last: bool
    ) -> HashedDrafts:
        """Make the next list of a scope. The connection must show one state of the record.

        Args:
            anew: every entry is read and compared, whatever is remembered.
            is_last: no other will follow, so it has no end.

        Raises:
            CrlIncompleteError, ClockWentBackError, LintError
        """
        made = self._made.get((authority.name, partition))
        if made is not None and not anew:
            snapshot = self._read(connection, authority, partition, is_last=is_last, before=made.snapshot)
            hashed = self._lint_and_hash(connection, authority, partition, snapshot, is_last=is_last)
            if hashed is not None:
                return hashed
        snapshot = self._read(connection, authority, partition, is_last=is_last)
        if made is not None:
            snapshot = replace(snapshot, entries=snapshot.entries.sharing(made.snapshot.entries))
        hashed = self._lint_and_hash(connection, authority, partition, snapshot, is_last=is_last)
        if hashed is None:
            raise TryAgainError
        return hashed

    def _read(
        self,
        connection: Connection,
        authority: Authority,
        partition: int,
        *,
        is_last: bool,
        before: Snapshot | None = None,
    ) -> Snapshot:
        now = self._clock.now().replace(microsecond=0)
        _number, last = newest(connection, authority.name)
        if last is not None and last - now > CLOCK_TOLERANCE:
            raise ClockWentBackError(now.isoformat(), last.isoformat())
        with_delta = bool(authority.delta_lifetime) and not is_last
        return read_snapshot(
            connection, authority.name, partition, now=now, with_delta=with_delta, before=before
        )

    def _lint_and_hash(
        self,
        connection: Connection,
        authority: Authority,
        partition: int,
        snapshot: Snapshot,
        *,
        is_last: bool,
    ) -> HashedDrafts | None:
        """Lint what was never linted, hash meanwhile. None: the snapshot is not what the record says."""
        made = self._made.get((authority.name, partition))
        drafts = draft_lists(
            authority, partition, snapshot, made=made.snapshot if made else None, is_last=is_last
        )
        segments, is_long = snapshot.entries.segments, drafts.full.octets > IN_PARTS_OCTETS

        def hash_all() -> HashedDrafts:
            before = made.sha256_of if made else {}
            digests = {each: before.get(each) or sha256_of(each) for each in segments if is_long}
            return HashedDrafts(
                full=hash_draft(drafts.full),
                delta=hash_draft(drafts.delta) if drafts.delta else None,
                snapshot=snapshot,
                sha256_of=digests,
                is_long=is_long,
            )

        def check() -> bool:
            if not snapshot.is_compared and not is_complete(connection, authority.name, partition, snapshot):
                return False
            # Signed with a throw-away key.
            for draft in filter(None, (drafts.to_lint, drafts.delta)):
                check_crl(self._throw_away.sign(authority.issuer.algorithm, draft.tbs_der), draft)
            return True

        is_right, hashed = at_once(check, hash_all, is_long=is_long)
        return hashed if is_right else None


def at_once(here: Callable[[], _One], beside: Callable[[], _Other], *, is_long: bool) -> tuple[_One, _Other]:
    """Do two things, of which one is done by a thread of its own when that is worth it."""
    if not is_long:
        return here(), beside()
    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(beside)
        return here(), other.result()
