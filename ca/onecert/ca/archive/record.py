"""Everything on record about one certificate, as one JSON object: what an archive keeps, and what goes.

Read with one statement for each table and page. Octets are base64, moments ISO 8601 in UTC; nothing else is
changed, so that what stands in the database can be compared with what stands in an archive.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, RowMapping, delete, select

from onecert.ca.models import certificates, crl_entries, crl_removals, orders, revocations
from onecert.ca.renewals.models import successions
from onecert.server.audit.canonical import time_text
from onecert.server.models import audit_entries

__all__ = ["Record", "audited", "gather", "index_line", "octets", "plain", "remove"]

Record: TypeAlias = dict[str, Any]


def gather(connection: Connection, rows: Sequence[RowMapping]) -> list[Record]:
    """Read what is on record about certificates of one authority.

    Args:
        rows: whole rows of `certificates`, some hundred at most.
    """
    if not rows:
        return []
    authority = rows[0]["authority"]
    serials = [row["serial"] for row in rows]
    ids = [row["order_id"] for row in rows]
    ordered = {row["id"]: row for row in _rows(connection, select(orders).where(orders.c.id.in_(ids)))}
    of_order = {
        row["order_id"]: row
        for row in _rows(connection, select(successions).where(successions.c.order_id.in_(ids)))
    }
    followed = _by(connection, successions, authority, serials)
    revoked = _by(connection, revocations, authority, serials)
    listed = _by(connection, crl_entries, authority, serials)
    released = _by(connection, crl_removals, authority, serials)
    trail = audited(connection, [f"{authority}/{serial}" for serial in serials])
    return [
        {
            "certificate": plain(row),
            "order": plain(ordered[row["order_id"]]) if row["order_id"] in ordered else None,
            "follows": plain(of_order[row["order_id"]]) if row["order_id"] in of_order else None,
            "followed_by": followed[row["serial"]],
            "revocations": revoked[row["serial"]],
            "list_entries": listed[row["serial"]],
            "list_removals": released[row["serial"]],
            "audit": trail[f"{authority}/{row['serial']}"],
        }
        for row in rows
    ]


def remove(connection: Connection, authority: str, records: Iterable[Record]) -> int:
    """Remove the rows of some records; tell how many certificates these were.

    What others need stays: keys and their numbers, blocked keys, what follows a certificate with its own
    order, and the audit trail.
    """
    records = list(records)
    serials = [each["certificate"]["serial"] for each in records]
    ids = [each["certificate"]["order_id"] for each in records]
    for table in (crl_entries, crl_removals, revocations):
        connection.execute(delete(table).where(table.c.authority == authority, table.c.serial.in_(serials)))
    connection.execute(delete(successions).where(successions.c.order_id.in_(ids)))
    connection.execute(delete(orders).where(orders.c.id.in_(ids)))
    gone = delete(certificates).where(
        certificates.c.authority == authority, certificates.c.serial.in_(serials)
    )
    return connection.execute(gone).rowcount


def index_line(record: Record) -> Record:
    """What an archive is searched by."""
    row = record["certificate"]
    names = ("authority", "serial", "order_id", "entity", "subject", "key_sha256", "not_before", "not_after")
    return {name: row[name] for name in names}


def _by(
    connection: Connection, table: Any, authority: str, serials: Sequence[str]
) -> dict[str, list[Record]]:
    query = select(table).where(table.c.authority == authority, table.c.serial.in_(serials))
    found: dict[str, list[Record]] = defaultdict(list)
    for row in connection.execute(query.order_by(*table.primary_key)).mappings():
        found[row["serial"]].append(plain(row))
    return found


def audited(connection: Connection, subjects: Sequence[str]) -> dict[str, list[Record]]:
    """Audit entries by their subjects, spelled as they were hashed."""
    query = select(audit_entries).where(audit_entries.c.subject.in_(subjects)).order_by(audit_entries.c.seq)
    found: dict[str, list[Record]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        # Spelled as it was hashed.
        found[row["subject"]].append(dict(row) | {"at": time_text(row["at"])})
    return found


def _rows(connection: Connection, query: Any) -> Iterable[RowMapping]:
    return connection.execute(query).mappings()


def octets(text: str | None) -> bytes:
    """Octets as a record has them; none for nothing."""
    return base64.b64decode(text) if text else b""


def plain(row: RowMapping) -> Record:
    """A row as it stands in an archive."""
    return {str(name): _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode("ascii")
    return value
