"""Who reports, what was reported, and the signed records, as rows; nothing here decides anything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from onecert.supervision.models import issuance_records, issuances, reporters

__all__ = [
    "IssuanceRow",
    "RecordRow",
    "Reporter",
    "add_issuances",
    "find_record",
    "forget_records",
    "insert_record",
    "known_digests",
    "lock_reporter",
    "new_rows",
    "record_rows_since",
    "reporter_list",
    "save_reporter",
    "set_record_document",
    "shard_rows",
    "update_reporter",
]

_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Reporter:
    """The key that reports for one service."""

    service: str
    kid: str
    spki_pem: str
    entries: int
    stated_until: datetime | None
    reported_at: datetime | None
    removed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class IssuanceRow:
    """One certificate on record."""

    sha256: str
    serial: str
    stated_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, kw_only=True)
class RecordRow:
    """A signed record."""

    number: int
    payload: Mapping[str, Any]
    positions: Mapping[str, int]
    document: bytes
    issued_at: datetime
    next_update: datetime


def reporter_list(connection: Connection, *, removed: bool = False) -> list[Reporter]:
    """Every service that reports, by id; with ``removed``, also those whose key counts no more."""
    query = select(reporters).order_by(reporters.c.service)
    rows = connection.execute(query if removed else query.where(reporters.c.removed_at.is_(None)))
    return [_reporter(row) for row in rows]


def lock_reporter(connection: Connection, service: str) -> Reporter | None:
    """One reporter; whoever else writes for this service waits until the end of the transaction."""
    query = select(reporters).where(reporters.c.service == service).with_for_update()
    row = connection.execute(query).one_or_none()
    return None if row is None else _reporter(row)


def _reporter(row: Row[Any]) -> Reporter:
    return Reporter(**{name: getattr(row, name) for name in Reporter.__dataclass_fields__})


def save_reporter(connection: Connection, service: str, *, is_new: bool, **values: Any) -> None:
    """Write a reporter; one that is new has nothing on record yet."""
    if is_new:
        connection.execute(insert(reporters).values(service=service, entries=0, **values))
    else:
        update_reporter(connection, service, **values)


def update_reporter(connection: Connection, service: str, **values: Any) -> None:
    """Change columns of a reporter."""
    connection.execute(update(reporters).where(reporters.c.service == service).values(**values))


def known_digests(connection: Connection, service: str, digests: Sequence[str]) -> set[str]:
    """Which of these are on record."""
    found: set[str] = set()
    for start in range(0, len(digests), _AT_ONCE):
        some = digests[start : start + _AT_ONCE]
        query = select(issuances.c.sha256).where(issuances.c.service == service, issuances.c.sha256.in_(some))
        found.update(connection.scalars(query))
    return found


def add_issuances(
    connection: Connection, reporter: Reporter, rows: Sequence[IssuanceRow], *, at: datetime
) -> int:
    """Append certificates that are not on record, in this order; returns how many there are now.

    Args:
        reporter: locked in this transaction; its ``entries`` is the last position.
    """
    if rows:
        values = [
            {
                "service": reporter.service,
                "position": position,
                "sha256": row.sha256,
                "serial": row.serial,
                "stated_at": row.stated_at,
                "received_at": at,
                "recorded_at": row.recorded_at,
            }
            for position, row in enumerate(rows, start=reporter.entries + 1)
        ]
        connection.execute(insert(issuances), values)
    total = reporter.entries + len(rows)
    update_reporter(connection, reporter.service, entries=total, reported_at=at)
    return total


def shard_rows(
    connection: Connection, service: str, prefix: str, upto: int
) -> Iterable[tuple[str, datetime]]:
    """Digest and time of the certificates that begin with ``prefix``, up to a position, by digest."""
    query = (
        select(issuances.c.sha256, issuances.c.recorded_at)
        .where(
            issuances.c.service == service,
            issuances.c.sha256 >= prefix,
            # "g" follows every hexadecimal digit.
            issuances.c.sha256 < prefix + "g",
            issuances.c.position <= upto,
        )
        .order_by(issuances.c.sha256)
    )
    return ((row.sha256, row.recorded_at) for row in connection.execute(query))


def new_rows(connection: Connection, service: str, since: int, upto: int) -> Iterable[tuple[str, datetime]]:
    """Digest and time of what was recorded after one position and up to another."""
    query = select(issuances.c.sha256, issuances.c.recorded_at).where(
        issuances.c.service == service, issuances.c.position > since, issuances.c.position <= upto
    )
    return ((row.sha256, row.recorded_at) for row in connection.execute(query))


def find_record(connection: Connection, *, signed: bool = True) -> RecordRow | None:
    """The newest signed record; with ``signed=False`` the newest number, signed or not."""
    query = select(issuance_records).order_by(issuance_records.c.number.desc()).limit(1)
    if signed:
        query = query.where(issuance_records.c.document.is_not(None))
    row = connection.execute(query).one_or_none()
    return None if row is None else _record(row)


def record_rows_since(connection: Connection, since: datetime) -> list[RecordRow]:
    """The records signed since then."""
    query = select(issuance_records).where(
        issuance_records.c.issued_at >= since, issuance_records.c.document.is_not(None)
    )
    return [_record(row) for row in connection.execute(query)]


def _record(row: Row[Any]) -> RecordRow:
    return RecordRow(
        number=row.number,
        payload=json.loads(row.payload),
        positions=json.loads(row.positions),
        document=bytes(row.document or b""),
        issued_at=row.issued_at,
        next_update=row.next_update,
    )


def insert_record(
    connection: Connection,
    payload: Mapping[str, Any],
    positions: Mapping[str, int],
    *,
    issued_at: datetime,
    next_update: datetime,
) -> None:
    """Say what will be signed; its number is unique."""
    connection.execute(
        insert(issuance_records).values(
            number=payload["number"],
            payload=json.dumps(payload),
            positions=json.dumps(dict(positions)),
            document=None,
            issued_at=issued_at,
            next_update=next_update,
        )
    )


def set_record_document(connection: Connection, number: int, document: bytes) -> None:
    """Keep what was signed."""
    where = issuance_records.c.number == number
    connection.execute(update(issuance_records).where(where).values(document=document))


def forget_records(connection: Connection, *, before: datetime) -> None:
    """Remove old records; their certificates stay."""
    connection.execute(delete(issuance_records).where(issuance_records.c.issued_at < before))
