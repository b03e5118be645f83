"""The audit trail of one service: entries chained by hash, written in the transaction of the act.

Each entry holds the hash of the entry before it. Whoever changes, removes or reorders an entry must change
all later ones, and a signed head (see `heads.py`) stands in the way of that. If the entry cannot be written,
the act fails, because both are one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from onecert.server.audit.canonical import Json, canonical_json, entry_hash, entry_text, time_text
from onecert.server.clock import Clock
from onecert.server.errors import AuditError
from onecert.server.models import audit_entries
from onecert.server.redaction import is_secret_name, redact

if TYPE_CHECKING:
    from onecert.server.audit.heads import PrivateKey
    from onecert.server.database import Database

__all__ = ["AuditEntry", "AuditTrail"]

DETAILS_MAX_CHARACTERS = 32 * 1024
_EVENT = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+")
# Details have few names, the same ones in each entry.
_is_secret_name = lru_cache(maxsize=1024)(is_secret_name)
_NOTHING: Mapping[str, Json] = MappingProxyType({})


@dataclass(frozen=True)
class _Statements:
    """Plain SQL: every act pays for it, and expressions would cost more than all the rest."""

    read: str
    insert: str
    advance: str


_SQL = {
    # BEGIN IMMEDIATE has put SQLite's writers in order already.
    "sqlite": _Statements(
        read="SELECT seq, hash FROM audit_chain WHERE id = 1",
        insert=(
            "INSERT INTO audit_entries (seq, at, service, event, actor, subject, details, previous, hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ),
        advance="UPDATE audit_chain SET seq = ?, hash = ? WHERE id = 1",
    ),
    # PostgreSQL's writers wait for each other at this row until the commit.
    "postgresql": _Statements(
        read="SELECT seq, hash FROM audit_chain WHERE id = 1 FOR UPDATE",
        insert=(
            "INSERT INTO audit_entries (seq, at, service, event, actor, subject, details, previous, hash)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
        ),
        advance="UPDATE audit_chain SET seq = %s, hash = %s WHERE id = 1",
    ),
}


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """What happened, who did it, to what. The trail adds number, time and hashes."""

    event: str
    actor: str
    subject: str
    details: Mapping[str, Json] = field(default_factory=dict)


class AuditTrail:
    """Writes the entries of one service.

    Args:
        service: its name, part of every entry, so that entries of two services cannot be exchanged.
        clock: stamps the entries. Its time never runs back within the chain: an entry that would be older
            than the one before it, because the machine's clock was set back, is refused by no one but shows.
    """

    def __init__(self, service: str, clock: Clock) -> None:
        self.service = service
        self._clock = clock

    def record(
        self,
        connection: Connection,
        *,
        event: str,
        actor: str,
        subject: str,
        details: Mapping[str, Json] = _NOTHING,
    ) -> None:
        """Write one entry in the transaction of the act it tells about.

        Call it late in the transaction: on PostgreSQL, other writers wait from here until the commit.

        Args:
            connection: of `Database.transaction()`.
            event: a constant, such as ``"certificate.issued"``.
            actor: ``"operator:<id>"``, ``"ra:<name>"``, ``"job:<name>"`` or ``"command:<os user>"``.
            subject: what was acted on, by an identifier: a serial, an application number.
            details: JSON without fractions. No PINs, keys or numbers of identity documents.

        Raises:
            AuditError: the entry cannot be written as asked; let it end the transaction.
        """
        self.record_many(
            connection, (AuditEntry(event=event, actor=actor, subject=subject, details=details),)
        )

    def record_many(self, connection: Connection, entries: Iterable[AuditEntry]) -> None:
        """Write entries in order with three statements, however many there are: for batches."""
        at = self._clock.now()
        dialect = connection.dialect.name
        sql, at_text = _SQL[dialect], time_text(at)
        # The driver's own cursor, in the transaction that SQLAlchemy has begun: a quarter of the cost.
        cursor = connection.connection.cursor()
        cursor.execute(sql.read)
        chain = cursor.fetchone()
        if chain is None:
            raise AuditError("the chain has no end; the database was not migrated or was tampered with")
        seq, previous = chain
        at_stored = at_text if dialect == "sqlite" else at
        rows = []
        for entry in entries:
            seq += 1
            *texts, content = self._texts(entry, seq=seq, at=at_text, previous=previous)
            own_hash = _hash(content)
            rows.append((seq, at_stored, self.service, *texts, previous, own_hash))
            previous = own_hash
        if len(rows) == 1:
            cursor.execute(sql.insert, rows[0])
        elif rows:
            cursor.executemany(sql.insert, rows)
        if rows:
            cursor.execute(sql.advance, (seq, previous))
        cursor.close()

    def sign_head(self, database: Database, key: PrivateKey) -> None:
        """Sign the end of the chain as it stands now; nothing happens when it is signed already."""
        from onecert.server.audit.heads import sign_head  # noqa: PLC0415 - heads reads what this module writes

        sign_head(database, key, service=self.service, at=self._clock.now())

    def _texts(
        self, entry: AuditEntry, *, seq: int, at: str, previous: str
    ) -> tuple[str, str, str, str, str]:
        """Return event, actor, subject, details and the text that is hashed, all free of secrets."""
        if not _EVENT.fullmatch(entry.event):
            raise AuditError("an event is named like certificate.issued")
        actor, subject = entry.actor, entry.subject
        for name, limit, value in (
            ("event", 128, entry.event),
            ("actor", 256, actor),
            ("subject", 512, subject),
        ):
            if not value or len(value) > limit or "\x00" in value:
                raise AuditError(f"{name} is empty, longer than {limit} characters or holds a zero byte")
        details = "{}"
        if entry.details:
            _check_no_secrets(entry.details)
            details = canonical_json(entry.details)
        # One search for all three; a zero byte stands in none of them.
        together = f"{actor}\x00{subject}\x00{details}"
        if redact(together) != together:
            actor, subject, details = redact(actor), redact(subject), redact(details)
        if len(details) > DETAILS_MAX_CHARACTERS:
            raise AuditError(f"the details are longer than {DETAILS_MAX_CHARACTERS} characters")
        content = entry_text(
            seq=seq,
            at=at,
            service=self.service,
            event=entry.event,
            actor=actor,
            subject=subject,
            details=details,
            previous=previous,
        )
        return entry.event, actor, subject, details, content


def _hash(content: str) -> str:
    try:
        return entry_hash(content)
    except UnicodeEncodeError as exc:
        raise AuditError("a text holds half a character (a lone surrogate)") from exc


def _check_no_secrets(value: object) -> None:
    if type(value) is str:
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(name, str) and _is_secret_name(name):
                raise AuditError(f"the details name a secret: {name}")
            if type(item) is not str:
                _check_no_secrets(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_no_secrets(item)


def find_entries(connection: Connection, *, subject: str, limit: int = 200) -> list[Mapping[str, Any]]:
    """Return the newest entries about a subject, newest first: for pages that show a history."""
    rows = connection.execute(
        select(audit_entries)
        .where(audit_entries.c.subject == subject)
        .order_by(audit_entries.c.seq.desc())
        .limit(limit)
    )
    return [dict(row) for row in rows.mappings()]
