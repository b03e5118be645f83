"""Making and publishing revocation lists: numbers only grow, nothing revoked is missing, files are whole.

An authority has a full list (partition 0) and one for each partition, each with its delta where the authority
has deltas; all take their numbers from one sequence. A list is read from one snapshot of the record, checked
for completeness, drafted, linted with a throw-away signature, its number put on record, signed, compared,
recorded and written to a file that the status service serves without database or token. Whoever finds that
another process was faster starts over.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from onecert.ca.authorities.authorities import Authorities, Authority
from onecert.ca.certificates.draft import delta_url
from onecert.ca.errors import (
    ClockWentBackError,
    CrlOverdueError,
    CrlPartitionsError,
    SignatureFaultError,
    TryAgainError,
)
from onecert.ca.lists.crl import NEVER, CrlDraft, Scope, check_crl, draft_crl, is_list_of
from onecert.ca.lists.entries import count_of
from onecert.ca.lists.names import PARTITIONS_MAX, delta_name, list_name, looks_like_list
from onecert.ca.lists.snapshot import Snapshot, newest, read_snapshot, status_version
from onecert.ca.models import authorities as authorities_table
from onecert.ca.models import crls
from onecert.ca.operation.record_guard import check_numbers, check_reconciled, published_number
from onecert.ca.signatures.algorithms import ThrowAwayKeys
from onecert.ca.signatures.signer import Signer
from onecert.ca.status.files import StatusFiles
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.statements import insert_if_absent

__all__ = ["CrlPublisher", "PublishedCrl"]

log = logging.getLogger(__name__)

ATTEMPTS = 10
# A clock that is corrected by less than this does not stop the lists; this_update then stands still.
CLOCK_TOLERANCE = timedelta(seconds=60)

# Without the bytes of the lists, which may be large: they are read where they are written to a file.
_LATEST = (
    select(*(column for column in crls.c if column.name not in {"crl_der", "delta_der"}))
    .where(
        crls.c.authority == bindparam("a"),
        crls.c.crl_partition == bindparam("p"),
        crls.c.sha256.is_not(None),
    )
    .order_by(crls.c.number.desc())
    .limit(1)
)
_DER = select(crls.c.crl_der, crls.c.delta_der).where(
    crls.c.authority == bindparam("a"),
    crls.c.crl_partition == bindparam("p"),
    crls.c.number == bindparam("n"),
)
_NEWEST_VERSION = (
    select(crls.c.status_version)
    .where(crls.c.authority == bindparam("a"), crls.c.crl_partition == bindparam("p"))
    .order_by(crls.c.number.desc())
    .limit(1)
)
_PARTITIONS = select(authorities_table.c.crl_partitions).where(authorities_table.c.name == bindparam("a"))


@dataclass(frozen=True, kw_only=True)
class PublishedCrl:
    """A list that was signed and recorded, with its delta if it has one."""

    authority: str
    crl_partition: int
    number: int
    this_update: datetime
    next_update: datetime
    status_version: int
    entries: int
    sha256: str
    base_number: int | None
    delta_entries: int | None
    delta_next_update: datetime | None

    @property
    def name(self) -> str:
        """The name of the list: of its file, and in its address."""
        return list_name(self.authority, self.crl_partition)

    @property
    def first_to_lapse(self) -> datetime:
        return min(self.next_update, self.delta_next_update or self.next_update)


@dataclass(frozen=True, kw_only=True)
class _Drafts:
    """A complete list and its delta, to be signed with one number."""

    full: CrlDraft
    # The same list with those entries alone that no list before had: they were linted then, and their bytes
    # have not been touched since.
    to_lint: CrlDraft
    delta: CrlDraft | None
    snapshot: Snapshot


class CrlPublisher:
    """Makes the lists of authorities whose keys are on one token."""

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        *,
        authorities: Authorities,
        signer: Signer,
        files: StatusFiles,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._authorities = authorities
        self._signer = signer
        self._files = files
        self._throw_away = ThrowAwayKeys()
        self._locks: dict[str, threading.Lock] = {}
        self._locks_lock = threading.Lock()
        self._made: dict[tuple[str, int], Snapshot] = {}

    def publish(
        self,
        authority_name: str,
        *,
        partition: int = 0,
        at_least: int | None = None,
        is_last: bool = False,
        actor: str = "job:ca.crl",
    ) -> PublishedCrl:
        """Make a new list and publish it.

        Args:
            partition: 0 for the full list.
            at_least: a list that already holds the changes up to this version will do; so many revocations
                at once share one list. Such a list is made from the one before and what changed since; any
                other is compared with the record entry by entry.
            is_last: no other will follow, so it has no end.

        Raises:
            CaError: nothing was published; the list before still stands.
        """
        authority = self._authorities.get(authority_name)
        with self._locks_lock:
            lock = self._locks.setdefault(authority_name, threading.Lock())
        with lock:
            for _attempt in range(ATTEMPTS):
                latest = self.latest(authority_name, partition)
                if at_least is not None and latest is not None and latest.status_version >= at_least:
                    self.write_file(authority_name, partition)
                    return latest
                # No number is spent while the key is away.
                self._signer.check_usable(authority.key_label)
                # 1. One snapshot of the record: entries, version, last number; complete, or not at all.
                drafts = self._draft(authority, partition, anew=at_least is None, is_last=is_last)
                # 2. Lint, signed with a throw-away key.
                for draft in filter(None, (drafts.to_lint, drafts.delta)):
                    check_crl(self._throw_away.sign(authority.issuer.algorithm, draft.tbs_der), draft)
                # 3. Number and hash on record; then 4. the key, 5. the comparison, 6. the result on record.
                if self._record_intent(authority, partition, drafts):
                    made = self._sign(authority, partition, drafts, actor)
                    self._made[authority_name, partition] = drafts.snapshot
                    return made
        raise TryAgainError

    def publish_all(
        self, authority_name: str, *, is_last: bool = False, actor: str = "job:ca.crl"
    ) -> list[PublishedCrl]:
        """Make every list of an authority anew; the full list comes first."""
        return [
            self.publish(authority_name, partition=partition, is_last=is_last, actor=actor)
            for partition in self.partitions(authority_name)
        ]

    def open_partitions(self, authority_name: str, count: int, *, actor: str) -> None:
        """Spread new certificates over so many lists; those of before stay where they are.

        The lists are published before any certificate names them. Safe to repeat.

        Raises:
            CrlPartitionsError: fewer than there are, too many, or another authority has such a name.
        """
        opened = self.check_partitions(authority_name, count)
        for partition in range(opened + 1, count + 1):
            self.publish(authority_name, partition=partition, actor=actor)
        with self._database.transaction() as connection:
            done = connection.execute(
                update(authorities_table)
                .where(authorities_table.c.name == authority_name, authorities_table.c.crl_partitions < count)
                .values(crl_partitions=count)
            )
            if done.rowcount:
                self._audit.record(
                    connection,
                    event="crl.partitions",
                    actor=actor,
                    subject=authority_name,
                    details={"partitions": count},
                )
        self._authorities.reload()

    def check_partitions(self, authority_name: str, count: int) -> int:
        """Check that so many partitions can be opened; tell how many there are now.

        Raises:
            CrlPartitionsError
        """
        opened = len(self.partitions(self._authorities.get(authority_name).name)) - 1
        with self._database.reading() as connection:
            names = connection.execute(select(authorities_table.c.name)).scalars().all()
        if not opened <= count <= PARTITIONS_MAX or any(looks_like_list(n, authority_name) for n in names):
            raise CrlPartitionsError(authority_name, count, opened)
        return opened

    def partitions(self, authority_name: str) -> range:
        """List the partitions of an authority, from 0, the full list."""
        with self._database.reading() as connection:
            number = connection.execute(_PARTITIONS, {"a": authority_name}).scalar() or 0
        return range(number + 1)

    def latest(self, authority_name: str, partition: int = 0) -> PublishedCrl | None:
        """Find the newest list on record."""
        row = self._latest_row(authority_name, partition)
        if row is None:
            return None
        return PublishedCrl(**{name: row[name] for name in PublishedCrl.__dataclass_fields__})

    def write_file(self, authority_name: str, partition: int = 0) -> None:
        """Bring the files of the newest list up to date; nothing happens when they are."""
        row, name = self._latest_row(authority_name, partition), list_name(authority_name, partition)
        if row is None or self._is_written(name, row["number"], has_delta=row["delta_sha256"] is not None):
            return
        with self._database.reading() as connection:
            names = {"a": authority_name, "p": partition, "n": row["number"]}
            found = connection.execute(_DER, names).one_or_none()
        if found is not None and found.crl_der is not None:
            self._write(name, row["number"], found.crl_der, found.delta_der)

    def is_due(self, authority: Authority, at: datetime, partition: int = 0) -> bool:
        """Tell whether a list is missing, out of date, or has lived a quarter of its time."""
        latest = self.latest(authority.name, partition)
        if latest is None or at >= latest.this_update + (latest.first_to_lapse - latest.this_update) / 4:
            return True
        with self._database.reading() as connection:
            return status_version(connection, authority.name, partition) > latest.status_version

    def check(self, authority: Authority, at: datetime) -> None:
        """The alarms: a list at half its life, and a record that is behind what was published.

        Raises:
            CrlOverdueError, CrlNumberWentBackError, RecordRestoredError
        """
        for partition in self.partitions(authority.name):
            name = list_name(authority.name, partition)
            latest = self.latest(authority.name, partition)
            if latest is None:
                raise CrlOverdueError(name, "-")
            if at >= latest.this_update + (latest.first_to_lapse - latest.this_update) / 2:
                raise CrlOverdueError(name, latest.first_to_lapse.isoformat())
        with self._database.reading() as connection:
            self._check_record(connection, authority.name, self._published_number(authority.name))

    def _is_written(self, name: str, number: int, *, has_delta: bool) -> bool:
        names = [name, delta_name(name)] if has_delta else [name]
        return all(
            self._files.path(each, "crl").exists() and self._files.crl_number(each) >= number
            for each in names
        )

    def _latest_row(self, authority_name: str, partition: int) -> Any:
        with self._database.reading() as connection:
            return connection.execute(_LATEST, {"a": authority_name, "p": partition}).mappings().one_or_none()

    def _published_number(self, authority_name: str) -> int:
        """The highest number among the files of an authority."""
        return published_number(self._files, authority_name, self.partitions(authority_name)[-1])

    def _check_record(self, connection: Connection, name: str, published: int) -> None:
        """An old copy of the record publishes nothing, whoever's key would sign it."""
        check_reconciled(connection)
        check_numbers(connection, name, published)

    def _draft(self, authority: Authority, partition: int, *, anew: bool, is_last: bool) -> _Drafts:
        now = self._clock.now().replace(microsecond=0)
        issuer, has_deltas = authority.issuer, bool(authority.delta_lifetime)
        published = self._published_number(authority.name)
        before = None if anew else self._made.get((authority.name, partition))
        with self._database.reading() as connection:
            self._check_record(connection, authority.name, published)
            _number, last = newest(connection, authority.name)
            if last is not None and last - now > CLOCK_TOLERANCE:
                raise ClockWentBackError(now.isoformat(), last.isoformat())
            snapshot = read_snapshot(
                connection,
                authority.name,
                partition,
                now=now,
                with_delta=has_deltas and not is_last,
                before=before,
            )
        number = snapshot.last_number + 1
        url = issuer.crl_url_of(partition)
        scope_url = url if partition else ""
        this_update = snapshot.this_update
        delta = None
        if snapshot.delta is not None:
            delta = draft_crl(
                issuer,
                number=number,
                this_update=this_update,
                next_update=min(this_update + authority.delta_lifetime, issuer.not_after),
                entries=snapshot.delta.entries,
                scope=Scope(url=scope_url, base_number=snapshot.delta.base_number),
            )
        freshest = delta_url(url) if delta is not None else ""
        draft = partial(
            draft_crl,
            issuer,
            number=number,
            this_update=this_update,
            next_update=NEVER if is_last else min(this_update + authority.crl_lifetime, issuer.not_after),
            scope=Scope(url=scope_url, delta_url=freshest),
        )
        entries = snapshot.entries
        full = draft(entries=entries.segments, count=entries.count)
        unseen = entries.new_since(before.entries if before else None)
        is_whole = len(unseen) == len(entries.segments)
        to_lint = full if is_whole else draft(entries=unseen, count=count_of(unseen))
        return _Drafts(full=full, to_lint=to_lint, delta=delta, snapshot=snapshot)

    def _record_intent(self, authority: Authority, partition: int, drafts: _Drafts) -> bool:
        """Put the number on record. False: there is a list with this number, later time or newer content."""
        draft, delta, snapshot = drafts.full, drafts.delta, drafts.snapshot
        with self._database.transaction() as connection:
            _lock_authority(connection, authority.name)
            number, this_update = newest(connection, authority.name)
            version = connection.execute(_NEWEST_VERSION, {"a": authority.name, "p": partition}).scalar()
            if number and (
                number >= draft.number
                or (this_update or draft.this_update) > draft.this_update
                or (version or 0) > snapshot.status_version
            ):
                return False
            return insert_if_absent(
                connection,
                crls,
                {
                    "authority": authority.name,
                    "crl_partition": partition,
                    "number": draft.number,
                    "this_update": draft.this_update,
                    "next_update": draft.next_update,
                    "entries_since": snapshot.since,
                    "status_version": snapshot.status_version,
                    "entries": draft.entries,
                    "tbs_sha256": hashlib.sha256(draft.tbs_der).hexdigest(),
                    "base_number": delta.scope.base_number if delta else None,
                    "delta_entries": delta.entries if delta else None,
                    "delta_next_update": delta.next_update if delta else None,
                    "delta_tbs_sha256": hashlib.sha256(delta.tbs_der).hexdigest() if delta else None,
                },
            )

    def _sign(self, authority: Authority, partition: int, drafts: _Drafts, actor: str) -> PublishedCrl:
        draft, name = drafts.full, list_name(authority.name, partition)
        crl_der = self._signed(authority, draft)
        delta_der = self._signed(authority, drafts.delta) if drafts.delta else None
        sha256 = hashlib.sha256(crl_der).hexdigest()
        delta_sha256 = hashlib.sha256(delta_der).hexdigest() if delta_der else None
        details: dict[str, Any] = {"number": draft.number, "entries": draft.entries, "sha256": sha256}
        if drafts.delta is not None:
            details["delta"] = {"base": drafts.delta.scope.base_number, "sha256": delta_sha256}
        of_list = (crls.c.authority == authority.name) & (crls.c.crl_partition == partition)
        with self._database.transaction() as connection:
            connection.execute(
                update(crls)
                .where(of_list, crls.c.number == draft.number)
                .values(crl_der=crl_der, sha256=sha256, delta_der=delta_der, delta_sha256=delta_sha256)
            )
            # Older lists keep number, times and hash as evidence; their bytes only cost room.
            connection.execute(
                update(crls)
                .where(of_list, crls.c.number < draft.number, crls.c.crl_der.is_not(None))
                .values(crl_der=None, delta_der=None)
            )
            self._audit.record(connection, event="crl.published", actor=actor, subject=name, details=details)
        log.info("list published", extra={"list": name, "number": draft.number})
        self._write(name, draft.number, crl_der, delta_der)
        return PublishedCrl(
            authority=authority.name,
            crl_partition=partition,
            number=draft.number,
            this_update=draft.this_update,
            next_update=draft.next_update,
            status_version=drafts.snapshot.status_version,
            entries=draft.entries,
            sha256=sha256,
            base_number=drafts.delta.scope.base_number if drafts.delta else None,
            delta_entries=drafts.delta.entries if drafts.delta else None,
            delta_next_update=drafts.delta.next_update if drafts.delta else None,
        )

    def _signed(self, authority: Authority, draft: CrlDraft) -> bytes:
        crl_der = self._signer.sign(authority.issuer, authority.key_label, draft.tbs_der)
        if not is_list_of(crl_der, draft.tbs_der):
            raise SignatureFaultError(authority.name)
        return crl_der

    def _write(self, name: str, number: int, crl_der: bytes, delta_der: bytes | None) -> None:
        # The delta comes last: it is of use only to who has a complete list.
        self._files.write_crl(name, number, crl_der)
        if delta_der is not None:
            self._files.write_crl(delta_name(name), number, delta_der)


def _lock_authority(connection: Connection, name: str) -> None:
    connection.execute(
        select(authorities_table.c.name).where(authorities_table.c.name == name).with_for_update()
    )
