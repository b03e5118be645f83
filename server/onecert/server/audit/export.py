"""Writes the audit trail of one service to a file that an auditor checks without our database.

JSON lines, each in the one spelling of `canonical.py`:

- ``{"audit_export":1,"service":"ca"}``
- one line per entry, with its hash; after the entry that it covers, each signed head: ``{"head":{…JWS…}}``
- ``{"end":{"hash":…,"seq":…}}``, where the chain ends according to the database
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sqlalchemy import Connection, select

from onecert.server.audit.canonical import canonical_json, time_text
from onecert.server.models import audit_chain, audit_entries, audit_heads

if TYPE_CHECKING:
    from onecert.server.database import Database

__all__ = ["EXPORT_VERSION", "export", "export_to_file"]

EXPORT_VERSION = 1
_ROWS_AT_ONCE = 1000


def export(database: Database, file: BinaryIO, *, service: str) -> int:
    """Write the whole trail, as it stands at one moment, and return the number of entries."""
    with database.reading() as connection:
        file.write(_line({"audit_export": EXPORT_VERSION, "service": service}))
        heads = _heads(connection)
        next_head = next(heads, None)
        count = 0
        rows = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(
            select(audit_entries).order_by(audit_entries.c.seq)
        )
        for row in rows.mappings():
            # The details are spelled already; taking them apart and together again would hide a change.
            entry = {**row, "at": time_text(row["at"])}
            details = entry.pop("details")
            text = canonical_json({**entry, "details": 0}).replace('"details":0', f'"details":{details}', 1)
            file.write(text.encode() + b"\n")
            count += 1
            while next_head is not None and next_head[0] <= row["seq"]:
                file.write(_line({"head": json.loads(next_head[1])}))
                next_head = next(heads, None)
        while next_head is not None:  # heads of entries that are missing: that is what the auditor must see
            file.write(_line({"head": json.loads(next_head[1])}))
            next_head = next(heads, None)
        chain = connection.execute(select(audit_chain.c.seq, audit_chain.c.hash)).one()
        file.write(_line({"end": {"hash": chain.hash, "seq": chain.seq}}))
    return count


def export_to_file(database: Database, path: Path, *, service: str) -> int:
    """Write the trail to a new file that only this user can read; it appears when it is whole."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            count = export(database, file, service=service)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return count


def _heads(connection: Connection) -> Iterator[tuple[int, bytes]]:
    """Signed heads in order, read a page at a time: the connection is busy with the entries."""
    after = 0
    while True:
        page = connection.execute(
            select(audit_heads.c.seq, audit_heads.c.document)
            .where(audit_heads.c.seq > after)
            .order_by(audit_heads.c.seq)
            .limit(_ROWS_AT_ONCE)
        ).all()
        if not page:
            return
        for row in page:
            after = row.seq
            yield row.seq, row.document


def _line(value: object) -> bytes:
    return canonical_json(value).encode() + b"\n"
