"""What the next list of an authority says, read from one snapshot of the record, or refused as incomplete.

RFC 5280, section 3.3: an entry stays until it was on one list after the certificate's end. Section 5.2.4: a
delta says what changed since its base. The base is the oldest list that is still in its time, so that every
list that anybody may still use can be brought up to date by the newest delta.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, exists, func, literal_column, select, true

from onecert.ca.errors import CrlIncompleteError
from onecert.ca.issuing.ledger import GOOD
from onecert.ca.lists.crl import removal_der
from onecert.ca.lists.entries import KeptEntries, segments_of, serial_of
from onecert.ca.lists.reading import Disagreement, read_all
from onecert.ca.models import authorities, certificates, crl_entries, crl_removals, crls
from onecert.server.database import UtcDateTime

__all__ = ["Delta", "Snapshot", "is_complete", "newest", "read_snapshot", "status_version"]

# Each change is one search through the list; from so many on, reading it whole is quicker.
CHANGES_MAX = 200

_AUTHORITY = select(authorities.c.status_version, authorities.c.crl_partitions).where(
    authorities.c.name == bindparam("a")
)
_OF_AUTHORITY = crls.c.authority == bindparam("a")
_OF_LIST = _OF_AUTHORITY & (crls.c.crl_partition == bindparam("p"))
_NEWEST = (
    select(crls.c.number, crls.c.this_update).where(_OF_AUTHORITY).order_by(crls.c.number.desc()).limit(1)
)
_LATEST = (
    select(crls.c.this_update)
    .where(_OF_LIST, crls.c.sha256.is_not(None))
    .order_by(crls.c.number.desc())
    .limit(1)
)
_BASE = (
    select(crls.c.number, crls.c.status_version, crls.c.entries_since)
    .where(
        _OF_LIST,
        crls.c.next_update > bindparam("at"),
        crls.c.sha256.is_not(None),
        crls.c.entries_since.is_not(None),
    )
    .order_by(crls.c.next_update, crls.c.number)
    .limit(1)
)
_SAME = (
    (crl_entries.c.authority == certificates.c.authority)
    & (crl_entries.c.serial == certificates.c.serial)
    & (crl_entries.c.crl_partition == certificates.c.crl_partition)
    & (crl_entries.c.not_after == certificates.c.not_after)
)
# In the statement itself: with a parameter, SQLite cannot tell that a partial index has all such rows.
_NOT_GOOD = certificates.c.status != literal_column(f"'{GOOD}'")
_REVOKED = (
    (certificates.c.authority == bindparam("a"))
    & _NOT_GOOD
    & (certificates.c.not_after >= bindparam("since"))
)
_LISTED = (crl_entries.c.authority == bindparam("a")) & (crl_entries.c.not_after >= bindparam("since"))
_OUTSIDE = select(func.count()).where(
    certificates.c.authority == bindparam("a"), _NOT_GOOD, certificates.c.crl_partition > bindparam("n")
)


@dataclass(frozen=True, kw_only=True)
class Delta:
    """What changed since a base: entries to add or replace, and entries that take certificates off."""

    base_number: int
    entries: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The content of the next list of one scope.

    `last_number` and `last_update` are those of the newest list of the authority, of any scope; 0 and None
    before the first. What `is_compared` is complete by the record; the other needs `is_complete`.
    """

    last_number: int
    last_update: datetime | None
    this_update: datetime
    since: datetime
    status_version: int
    entries: KeptEntries
    delta: Delta | None
    is_compared: bool


def newest(connection: Connection, authority: str) -> tuple[int, datetime | None]:
    """Tell number and time of the newest list of an authority, signed or not; 0 and None before the first."""
    row = connection.execute(_NEWEST, {"a": authority}).one_or_none()
    return (0, None) if row is None else (row.number, row.this_update)


def status_version(connection: Connection, authority: str, partition: int) -> int:
    """Tell at which version of its authority's status a list last had to change."""
    names = {"a": authority, "p": partition}
    if not partition:
        version: int = connection.execute(_AUTHORITY, names).one().status_version
        return version
    return max(connection.execute(_newest_change(table), names).scalar() or 0 for table in _CHANGING)


def read_snapshot(
    connection: Connection,
    authority: str,
    partition: int,
    *,
    now: datetime,
    with_delta: bool,
    before: Snapshot | None = None,
) -> Snapshot:
    """Read the content of the next list. The connection must show one state of the record.

    Args:
        partition: 0 for the full list.
        before: an earlier snapshot of the same list: only what changed since is read and checked one by
            one, and the caller has `is_complete` count the rest. None: every entry is read and compared.

    Raises:
        CrlIncompleteError: list and record do not agree.
    """
    names: dict[str, Any] = {"a": authority, "p": partition}
    last_number, last_update = newest(connection, authority)
    this_update = now if last_update is None else max(now, last_update)
    row = connection.execute(_AUTHORITY, names).one()
    # Only a list that was signed counts: an entry must have been seen after the certificate's end.
    since: datetime = connection.execute(_LATEST, names).scalar() or this_update
    names["since"] = since
    entries = _entries_after(connection, names, before, row.status_version) if before else None
    is_compared = entries is None
    if entries is None:
        _check_partitions(connection, names, row.crl_partitions)
        entries = _all_entries(connection, names)
    return Snapshot(
        last_number=last_number,
        last_update=last_update,
        this_update=this_update,
        since=since,
        status_version=row.status_version,
        entries=entries,
        delta=_delta(connection, names, this_update) if with_delta else None,
        is_compared=is_compared,
    )


def is_complete(connection: Connection, authority: str, partition: int, snapshot: Snapshot) -> bool:
    """Tell whether a snapshot has as many entries as certificates are revoked; see `is_compared`.

    Args:
        connection: the one of the snapshot, in the same transaction.
    """
    names = {"a": authority, "p": partition, "since": snapshot.since}
    query = select(func.count()).where(_REVOKED, _in_scope(certificates, bool(partition)))
    count: int = connection.execute(query, names).scalar_one()
    return snapshot.entries.count == count


# ---------------------------------------------------------------------- statements for both kinds of scope

_CHANGING: tuple[Table, ...] = (crl_entries, crl_removals)


def _in_scope(table: Table, partition: int) -> ColumnElement[bool]:
    return table.c.crl_partition == bindparam("p") if partition else true()


@cache
def _newest_change(table: Table) -> Any:
    return select(func.max(table.c.status_version)).where(
        table.c.authority == bindparam("a"), table.c.crl_partition == bindparam("p")
    )


@cache
def _changes(table: Table, partition: int) -> Any:
    return select(table).where(
        table.c.authority == bindparam("a"),
        table.c.status_version > bindparam("version"),
        _in_scope(table, partition),
    )


@cache
def _ended(partition: int) -> Any:
    """Entries whose certificates left the list between two lists, because they ended."""
    return select(crl_entries.c.serial, crl_entries.c.not_after).where(
        crl_entries.c.authority == bindparam("a"),
        crl_entries.c.not_after >= bindparam("earlier"),
        crl_entries.c.not_after < bindparam("since"),
        _in_scope(crl_entries, partition),
    )


# ---------------------------------------------------------------------- the whole list


def _all_entries(connection: Connection, names: dict[str, Any]) -> KeptEntries:
    """Read every entry and compare with the record: the same serials, with the same partitions and ends."""
    spelled = UtcDateTime().process_bind_param(names["since"], connection.dialect)
    try:
        found = read_all(connection, {"a": names["a"], "p": names["p"], "since": spelled})
    except Disagreement:
        raise _incomplete(connection, names) from None
    segments = tuple(segments_of(segment for segment, _count in found))
    return KeptEntries(segments=segments, count=sum(count for _segment, count in found))


def _incomplete(connection: Connection, names: dict[str, Any]) -> CrlIncompleteError:
    """Count what is wrong, one by one; slow, and nothing is published anyway."""
    partition = bool(names["p"])
    missing = select(func.count()).where(_REVOKED, _in_scope(certificates, partition), ~exists().where(_SAME))
    surplus = select(func.count()).where(
        _LISTED,
        _in_scope(crl_entries, partition),
        ~exists().where(_SAME & (certificates.c.status != GOOD)),
    )
    return CrlIncompleteError(
        names["a"],
        connection.execute(missing, names).scalar_one(),
        connection.execute(surplus, names).scalar_one(),
    )


def _check_partitions(connection: Connection, names: dict[str, Any], partitions: int) -> None:
    """Every revoked certificate must be on a list that is made: none names a partition beyond the last."""
    outside: int = connection.execute(_OUTSIDE, names | {"n": partitions}).scalar_one()
    if outside:
        raise CrlIncompleteError(names["a"], outside, 0)


# ---------------------------------------------------------------------- changes


def _entries_after(
    connection: Connection, names: dict[str, Any], before: Snapshot, version: int
) -> KeptEntries | None:
    """Bring the entries of an earlier list up to date; None when anything is not as it should be."""
    if version < before.status_version or names["since"] < before.since:
        return None
    partition = int(bool(names["p"]))
    names = names | {"version": before.status_version, "earlier": before.since}
    kept = before.entries
    drop: set[int] = set()
    put: list[bytes] = []
    added = connection.execute(_changes(crl_entries, partition), names).all()
    gone = [*connection.execute(_changes(crl_removals, partition), names)]
    gone += connection.execute(_ended(partition), names)
    if len(added) + len(gone) > CHANGES_MAX:
        return None
    for row in added:
        serial = int(row.serial, 16)
        if serial_of(row.entry_der) != row.serial or not _is_revoked(connection, row):
            return None
        drop.add(serial)
        if row.not_after >= names["since"]:
            put.append(row.entry_der)
    drop.update(int(row.serial, 16) for row in gone)
    return kept.changed(drop=drop, put=put)


def _is_revoked(connection: Connection, entry: Any) -> bool:
    query = select(func.count()).where(
        certificates.c.authority == entry.authority,
        certificates.c.serial == entry.serial,
        certificates.c.status != GOOD,
        certificates.c.crl_partition == entry.crl_partition,
        certificates.c.not_after == entry.not_after,
    )
    return connection.execute(query).scalar_one() == 1


def _delta(connection: Connection, names: dict[str, Any], this_update: datetime) -> Delta | None:
    base = connection.execute(_BASE, names | {"at": this_update}).one_or_none()
    if base is None:
        return None
    partition = int(bool(names["p"]))
    names = names | {"version": base.status_version, "earlier": base.entries_since}
    changes: dict[int, bytes] = {}
    for row in connection.execute(_changes(crl_entries, partition), names):
        if row.not_after >= names["since"]:
            changes[int(row.serial, 16)] = row.entry_der
    for row in connection.execute(_changes(crl_removals, partition), names):
        serial = int(row.serial, 16)
        changes[serial] = removal_der(serial, row.removed_at)
    for row in connection.execute(_ended(partition), names):
        serial = int(row.serial, 16)
        changes[serial] = removal_der(serial, row.not_after)
    return Delta(base_number=base.number, entries=tuple(changes[serial] for serial in sorted(changes)))
