"""What an operator did last: their own entries of the audit trail, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from onecert.ra.models import applications, cases, certificates
from onecert.server.models import audit_entries

__all__ = ["Recent", "list_recent"]

# Steps on the way that say nothing to whoever took them.
_SILENT = ("operator.signed_in", "operator.signed_out", "access.refused")
_RECORDS = {"application": applications, "case": cases}


@dataclass(frozen=True, kw_only=True)
class Recent:
    """One act: `record` and `record_id` name what it was about, `name` is its holder's if there is one."""

    at: datetime
    event: str
    record: str
    record_id: str
    name: str


def list_recent(connection: Connection, actor: str, *, limit: int = 8) -> list[Recent]:
    """The last acts of `actor`, as the audit trail writes it ("operator:wang")."""
    rows = connection.execute(
        select(audit_entries.c.at, audit_entries.c.event, audit_entries.c.subject)
        .where(audit_entries.c.actor == actor, audit_entries.c.event.not_in(_SILENT))
        .order_by(audit_entries.c.seq.desc())
        .limit(limit)
    ).all()
    subjects = [row.subject.partition(":") for row in rows]
    names = _names(connection, [(record, record_id) for record, _colon, record_id in subjects])
    return [
        Recent(
            at=row.at,
            event=row.event,
            record=record,
            record_id=record_id,
            name=names.get((record, record_id), ""),
        )
        for row, (record, _colon, record_id) in zip(rows, subjects, strict=True)
    ]


def _names(connection: Connection, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Holders' names of the records, by their ids: one statement a kind of record."""
    found: dict[tuple[str, str], str] = {}
    for record, table in _RECORDS.items():
        wanted = [record_id for kind, record_id in places if kind == record]
        if wanted:
            for row in connection.execute(select(table.c.id, table.c.name).where(table.c.id.in_(wanted))):
                found[record, row.id] = row.name
    for kind, place in places:
        authority, _slash, serial = place.partition("/")
        if kind == "certificate" and (kind, place) not in found:
            name = connection.scalar(
                select(certificates.c.name).where(
                    certificates.c.authority == authority, certificates.c.serial_hex == serial
                )
            )
            found[kind, place] = name or ""
    return found
