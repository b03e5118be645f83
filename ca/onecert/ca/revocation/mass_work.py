"""Mass revocations are carried out: chunk by chunk, each in one transaction, lists after some of them.

    prepared answers dropped            before and after, so that none outlives a crash
    chunks taken, statuses changed,     one transaction: statuses, entries of the next lists, blocked keys,
    entries and audit written           one audit entry for each certificate
    lists                               at the end of a turn and at the end of all

Orders and single revocations wait for such a transaction, so it takes as many chunks as are done within a
moment on this machine, as it is now. A chunk is done when its own row says so, in the transaction that
changed its certificates: interrupted anywhere, and with several processes at it, each certificate is changed
once. What is revoked already stays as it is and is counted.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select, update

from onecert.ca.issuing.ledger import GOOD, ON_HOLD, REVOKED
from onecert.ca.lists.crl import HOLD, check_entry, entry_der
from onecert.ca.lists.publishing import CrlPublisher
from onecert.ca.models import authorities, blocked_keys, certificates, crl_entries, crl_removals
from onecert.ca.revocation.mass import CONFIRMED, DONE, RUNNING
from onecert.ca.revocation.mass_models import mass_revocation_chunks, mass_revocations
from onecert.ca.revocation.mass_selection import unpack
from onecert.ca.revocation.revocation import lock_authority
from onecert.server.audit import AuditEntry, AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.statements import Act, Statement, insert_once

__all__ = ["ChunkResult", "MassRevocationWork", "Pace", "prepare_entries", "revoke_chunk"]

log = logging.getLogger(__name__)

# One turn of the job, and with it how long a certificate may wait for its list; shorter than a service waits
# for its jobs when it stops.
TURN = timedelta(seconds=10)
ACTOR = "job:ca.mass-revocations"
# So long, about, others may wait for one transaction.
LONGEST = timedelta(milliseconds=250)
CHUNKS_AT_FIRST, CHUNKS_MAX = 4, 32

_CERTIFICATES = (
    select(
        certificates.c.serial,
        certificates.c.status,
        certificates.c.not_after,
        certificates.c.crl_partition,
        certificates.c.revoked_at,
        certificates.c.key_sha256,
    )
    .where(
        certificates.c.authority == bindparam("a"),
        certificates.c.serial.in_(bindparam("serials", expanding=True)),
    )
    .order_by(certificates.c.serial)
    .with_for_update()
)
_OF_SERIALS = (certificates.c.authority == bindparam("a")) & certificates.c.serial.in_(
    bindparam("serials", expanding=True)
)
_SET_STATUS = (
    update(certificates)
    .where(_OF_SERIALS)
    .values(
        status=bindparam("new_status"),
        # A certificate that was on hold is revoked as of the day it was held.
        revoked_at=func.coalesce(certificates.c.revoked_at, bindparam("new_revoked_at")),
        reason=bindparam("new_reason"),
        invalidity_date=bindparam("new_invalidity_date"),
    )
)
_DROP_ENTRIES, _DROP_REMOVALS = (
    delete(table).where(
        table.c.authority == bindparam("a"), table.c.serial.in_(bindparam("serials", expanding=True))
    )
    for table in (crl_entries, crl_removals)
)
_PUT_ENTRY = Statement(insert(crl_entries))
_BLOCK_KEY = insert_once(blocked_keys)
_GROW_VERSION = (
    update(authorities)
    .where(authorities.c.name == bindparam("a"))
    .values(status_version=authorities.c.status_version + 1)
)
_VERSION = select(authorities.c.status_version).where(authorities.c.name == bindparam("a"))
_TAKE_CHUNK = (
    update(mass_revocation_chunks)
    .where(
        mass_revocation_chunks.c.mass_revocation == bindparam("m"),
        mass_revocation_chunks.c.number == bindparam("n"),
        mass_revocation_chunks.c.is_done.is_(False),
    )
    .values(is_done=True)
)
_SET_CHANGED = (
    update(mass_revocation_chunks)
    .where(
        mass_revocation_chunks.c.mass_revocation == bindparam("m"),
        mass_revocation_chunks.c.number == bindparam("n"),
    )
    .values(changed=bindparam("new_changed"))
)
_OPEN = (
    select(mass_revocations)
    .where(mass_revocations.c.state.in_((CONFIRMED, RUNNING)))
    .order_by(mass_revocations.c.proposed_at, mass_revocations.c.id)
)
_NEXT_CHUNKS = (
    select(mass_revocation_chunks.c.number, mass_revocation_chunks.c.serials)
    .where(
        mass_revocation_chunks.c.mass_revocation == bindparam("m"),
        mass_revocation_chunks.c.number > bindparam("n"),
        mass_revocation_chunks.c.is_done.is_(False),
    )
    .order_by(mass_revocation_chunks.c.number)
    .limit(bindparam("count"))
)


@dataclass(frozen=True, kw_only=True)
class ChunkResult:
    """What one transaction did."""

    changed: int
    status_version: int
    partitions: frozenset[int]


class Pace:
    """How many chunks go through one transaction: fewer when it took too long, more when it was short."""

    def __init__(self) -> None:
        self.chunks = CHUNKS_AT_FIRST

    def took(self, duration: timedelta) -> None:
        """Learn from a transaction of so many chunks."""
        if duration > LONGEST:
            self.chunks = max(1, self.chunks // 2)
        elif duration < LONGEST / 3:
            self.chunks = min(CHUNKS_MAX, self.chunks * 2)


class MassRevocationWork:
    """Carries out what was confirmed.

    Args:
        forget_answers: drops what OCSP was going to say about serials of an authority.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        *,
        publisher: CrlPublisher,
        forget_answers: Callable[..., None],
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._publisher = publisher
        self._forget_answers = forget_answers
        self._stopping = threading.Event()
        self._pace = Pace()

    def run(self, turn: timedelta = TURN, *, only: str | None = None) -> int:
        """Work until nothing is left or the turn is over; return how many certificates were changed.

        Args:
            only: the number of one mass revocation.

        Raises:
            DatabaseUnavailableError: not now; what is done is done, the rest comes the next time.
        """
        until = monotonic() + turn.total_seconds()
        changed = 0
        for row in self._open():
            if only is None or row["id"] == only:
                changed += self._carry_out(row, until)
            if monotonic() >= until or self._stopping.is_set():
                break
        return changed

    def close(self) -> None:
        """Begin no more chunks."""
        self._stopping.set()

    def _open(self) -> list[RowMapping]:
        with self._database.reading() as connection:
            return list(connection.execute(_OPEN).mappings())

    def _carry_out(self, row: RowMapping, until: float) -> int:
        number, authority = row["id"], row["authority"]
        done: list[ChunkResult] = []
        last = 0
        while not self._stopping.is_set():
            with self._database.reading() as connection:
                names = {"m": number, "n": last, "count": self._pace.chunks}
                chunks = {
                    each.number: unpack(each.serials) for each in connection.execute(_NEXT_CHUNKS, names)
                }
            if not chunks:
                if not last:
                    # Nothing was left when we began: all lists are made of what others did, too.
                    self._finish(row)
                    break
                last = 0
                continue
            result = self._do(row, chunks)
            last = max(chunks)
            if result is not None:
                done.append(result)
            if result is None or monotonic() >= until:
                self._publish(authority, done)
                break
        changed = sum(each.changed for each in done)
        log.info("mass revocation carried on", extra={"mass_revocation": number, "certificates": changed})
        return changed

    def _do(self, row: RowMapping, chunks: Mapping[int, Sequence[str]]) -> ChunkResult | None:
        """Do some chunks; None: it was stopped meanwhile."""
        chunk_of = {serial: number for number, serials in chunks.items() for serial in serials}
        self._forget_answers(row["authority"], *chunk_of)
        at = self._clock.now()
        # Before anybody has to wait for us.
        decision = {str(name): value for name, value in row.items()}
        prepared = prepare_entries(decision, chunk_of, at)
        with self._database.transaction() as connection:
            began = monotonic()  # others wait from here
            running = connection.execute(
                update(mass_revocations)
                .where(mass_revocations.c.id == row["id"], mass_revocations.c.state.in_((CONFIRMED, RUNNING)))
                .values(
                    state=RUNNING,
                    began_at=func.coalesce(mass_revocations.c.began_at, at),
                )
            )
            if not running.rowcount:
                return None
            # Another process may have been faster with some of them.
            taken = {
                number
                for number in sorted(chunks)
                if connection.execute(_TAKE_CHUNK, {"m": row["id"], "n": number}).rowcount
            }
            own = {serial: entry for serial, entry in prepared.items() if chunk_of[serial] in taken}
            result, entries = revoke_chunk(connection, decision, own, at)
            changed = Counter(chunk_of[entry.subject.rpartition("/")[2]] for entry in entries)
            for number in sorted(taken):
                names = {"m": row["id"], "n": number, "new_changed": changed[number]}
                connection.execute(_SET_CHANGED, names)
            if entries:
                self._audit.record_many(connection, entries)
        self._pace.took(timedelta(seconds=monotonic() - began))
        self._forget_answers(row["authority"], *chunk_of)
        return result

    def _publish(self, authority: str, done: Sequence[ChunkResult]) -> int | None:
        """Make the lists that chunks have changed; one that cannot be made now is left to the timer."""
        version = max((each.status_version for each in done), default=0)
        if not version:
            return None
        partitions = frozenset[int]().union(*(each.partitions for each in done)) - {0}
        try:
            for partition in sorted(partitions):
                self._publisher.publish(authority, partition=partition, at_least=version)
            return self._publisher.publish(authority, at_least=version).number
        except (ServiceError, OSError):
            log.exception("lists not made after mass revocation", extra={"authority": authority})
            return None

    def _finish(self, row: RowMapping) -> None:
        """Make every list, then say that it is done; a list that could not be made is left to the timer."""
        with self._database.reading() as connection:
            version = connection.execute(_VERSION, {"a": row["authority"]}).scalar_one()
        everything = ChunkResult(
            changed=0,
            status_version=version,
            partitions=frozenset(self._publisher.partitions(row["authority"])),
        )
        crl_number = self._publish(row["authority"], [everything])
        with self._database.transaction() as connection:
            done = connection.execute(
                update(mass_revocations)
                .where(mass_revocations.c.id == row["id"], mass_revocations.c.state.in_((CONFIRMED, RUNNING)))
                .values(state=DONE, finished_at=self._clock.now(), crl_number=crl_number)
            )
            if done.rowcount:
                changed = select(func.sum(mass_revocation_chunks.c.changed)).where(
                    mass_revocation_chunks.c.mass_revocation == row["id"]
                )
                self._audit.record(
                    connection,
                    event="mass-revocation.done",
                    actor=ACTOR,
                    subject=f"{row['authority']}/{row['id']}",
                    details={
                        "certificates": row["certificates"],
                        "changed": int(connection.execute(changed).scalar() or 0),
                        "crl_number": crl_number,
                    },
                )


def prepare_entries(row: Mapping[str, Any], serials: Iterable[str], at: datetime) -> dict[str, bytes]:
    """Encode and lint the entries of certificates that are revoked as of now, by their serials.

    Args:
        row: of the mass revocation: `reason` and `invalidity_date`.
    """
    return {serial: _encoded(row, serial, at.replace(microsecond=0)) for serial in serials}


def revoke_chunk(
    connection: Connection, row: Mapping[str, Any], prepared: Mapping[str, bytes], at: datetime
) -> tuple[ChunkResult, list[AuditEntry]]:
    """Revoke what is not revoked yet, in the transaction of `connection`; the caller writes the audit
    entries.

    Args:
        row: of the mass revocation: `id`, `authority`, `reason`, `invalidity_date`, `proposed_by`.
        prepared: of `prepare_entries` for the same moment, at most some thousand; none changes nothing.
    """
    authority, reason = row["authority"], row["reason"]
    # The authority first and then its certificates in the order of their serials, as single revocations do.
    lock_authority(connection, authority)
    found = connection.execute(_CERTIFICATES, {"a": authority, "serials": list(prepared)}).all()
    untouched = (REVOKED, ON_HOLD) if reason == HOLD else (REVOKED,)
    chosen = [each for each in found if each.status not in untouched]
    names = {"a": authority, "serials": [each.serial for each in chosen]}
    if not chosen:
        return ChunkResult(changed=0, status_version=0, partitions=frozenset()), []
    connection.execute(_GROW_VERSION, names)
    version: int = connection.execute(_VERSION, names).scalar_one()
    # What was on hold, or was released, leaves its traces first.
    connection.execute(_DROP_REMOVALS, names)
    if any(each.status != GOOD for each in chosen):
        connection.execute(_DROP_ENTRIES, names)
    moment = at.replace(microsecond=0)
    connection.execute(
        _SET_STATUS,
        names
        | {
            "new_status": ON_HOLD if reason == HOLD else REVOKED,
            "new_revoked_at": moment,
            "new_reason": reason,
            "new_invalidity_date": row["invalidity_date"],
        },
    )
    act = Act(connection)
    _PUT_ENTRY.run_many(act, (_entry(row, each, prepared, version) for each in chosen))
    if reason == "keyCompromise":
        blocked = {
            each.key_sha256: {"key_sha256": each.key_sha256, "reason": reason, "added_at": at}
            for each in sorted(chosen, key=lambda each: each.key_sha256)
        }
        _BLOCK_KEY.run_many(act, blocked.values())
    event = "certificate.held" if reason == HOLD else "certificate.revoked"
    details = {"reason": reason, "mass_revocation": row["id"]}
    entries = [
        AuditEntry(
            event=event, actor=row["proposed_by"], subject=f"{authority}/{each.serial}", details=details
        )
        for each in chosen
    ]
    partitions = frozenset(each.crl_partition for each in chosen)
    return ChunkResult(changed=len(chosen), status_version=version, partitions=partitions), entries


def _encoded(row: Mapping[str, Any], serial: str, revoked_at: datetime) -> bytes:
    number = int(serial, 16)
    encoded = entry_der(number, revoked_at, row["reason"], row["invalidity_date"])
    check_entry(encoded, number)
    return encoded


def _entry(row: Mapping[str, Any], found: Any, prepared: Mapping[str, bytes], version: int) -> dict[str, Any]:
    encoded = prepared[found.serial]
    if found.revoked_at is not None:
        encoded = _encoded(row, found.serial, found.revoked_at)
    return {
        "authority": row["authority"],
        "serial": found.serial,
        "not_after": found.not_after,
        "entry_der": encoded,
        "crl_partition": found.crl_partition,
        "status_version": version,
    }
