"""OCSP answers that were signed ahead, in a file beside the lists: served while token and database are gone.

One SQLite file for all authorities. Of an answer only the signed data and the signature are kept; what is the
same in all of a responder's answers is put around them when they are sent. The database stays the truth:
`take_notice` drops what the database has overtaken, and nothing is stored that was read before the last drop.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["PreparedAnswer", "PreparedAnswers"]

log = logging.getLogger(__name__)

_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    authority TEXT NOT NULL, serial TEXT NOT NULL, key_label TEXT NOT NULL,
    this_update INTEGER NOT NULL, next_update INTEGER NOT NULL, data BLOB NOT NULL, signature BLOB NOT NULL,
    PRIMARY KEY (authority, serial)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS authorities (
    name TEXT PRIMARY KEY, drops INTEGER NOT NULL, status_version INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, kw_only=True)
class PreparedAnswer:
    """One signed answer about one serial: `data_der` is the ResponseData, for a CertID with SHA-1."""

    serial: str
    key_label: str
    this_update: datetime
    next_update: datetime
    data_der: bytes
    signature: bytes


class PreparedAnswers:
    """The store. Safe to share between threads and processes of one machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._make_tables()
        except sqlite3.DatabaseError:
            # Nothing in it cannot be signed again.
            log.exception("prepared answers are begun anew", extra={"file": path.name})
            self.close()
            for part in ("", "-wal", "-shm"):
                path.with_name(path.name + part).unlink(missing_ok=True)
            self._make_tables()

    def _make_tables(self) -> None:
        with self._transaction() as connection:
            for statement in _TABLES.split(";"):
                connection.execute(statement)

    def find(self, authority: str, serial: str) -> PreparedAnswer | None:
        """The answer about this serial, whatever its age."""
        row = (
            self._connection()
            .execute(
                "SELECT key_label, this_update, next_update, data, signature FROM answers"
                " WHERE authority = ? AND serial = ?",
                (authority, serial),
            )
            .fetchone()
        )
        if row is None:
            return None
        return PreparedAnswer(
            serial=serial,
            key_label=row[0],
            this_update=datetime.fromtimestamp(row[1], UTC),
            next_update=datetime.fromtimestamp(row[2], UTC),
            data_der=row[3],
            signature=row[4],
        )

    def fresh(self, authority: str, serials: Sequence[str], *, since: datetime, key_label: str) -> set[str]:
        """Of these serials, those with an answer that this key signed since then."""
        found: set[str] = set()
        for begin in range(0, len(serials), 500):
            part = serials[begin : begin + 500]
            marks = ",".join("?" * len(part))
            rows = self._connection().execute(
                "SELECT serial FROM answers WHERE authority = ? AND key_label = ? AND this_update >= ?"  # noqa: S608
                f" AND serial IN ({marks})",
                (authority, key_label, int(since.timestamp()), *part),
            )
            found.update(row[0] for row in rows)
        return found

    def drops(self, authority: str) -> int:
        """How often answers were dropped, 0 before `clear`; asked before the statuses are read."""
        row = self._row(authority)
        return row[0] if row else 0

    def status_version(self, authority: str) -> int | None:
        """Up to which version of the authority's statuses nothing outdated is here; None: not known."""
        row = self._row(authority)
        return row[1] if row else None

    def store(self, authority: str, answers: Iterable[PreparedAnswer], *, drops: int) -> bool:
        """Keep these answers, unless something was dropped since `drops` was asked; tell which."""
        rows = [
            (
                authority,
                each.serial,
                each.key_label,
                int(each.this_update.timestamp()),
                int(each.next_update.timestamp()),
                each.data_der,
                each.signature,
            )
            for each in answers
        ]
        with self._transaction() as connection:
            if drops == 0 or self.drops(authority) != drops:
                return False
            connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        return True

    def drop(self, authority: str, serials: Sequence[str], *, status_version: int | None = None) -> None:
        """Forget the answers about these serials; from now on the database is asked.

        Args:
            status_version: nothing that changed up to this version is here any more.
        """
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM answers WHERE authority = ? AND serial = ?",
                [(authority, serial) for serial in serials],
            )
            connection.execute(
                "UPDATE authorities SET drops = drops + 1, status_version = max(status_version, ?)"
                " WHERE name = ?",
                (status_version or 0, authority),
            )

    def clear(self, authority: str, *, status_version: int) -> None:
        """Begin anew for an authority: nothing is here, at this version of its statuses."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM answers WHERE authority = ?", (authority,))
            # It counts as a drop: somebody may be about to store what he read before another began anew.
            connection.execute(
                "INSERT INTO authorities VALUES (?, 1, ?) ON CONFLICT (name) DO UPDATE SET"
                " drops = drops + 1, status_version = max(status_version, excluded.status_version)",
                (authority, status_version),
            )

    def drop_ended(self, at: datetime) -> None:
        """Forget answers that are over: nobody may be sent them."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM answers WHERE next_update <= ?", (int(at.timestamp()),))

    def close(self) -> None:
        """Close the connection of this thread."""
        connection = getattr(self._own, "connection", None)
        if connection is not None:
            connection.close()
            self._own.connection = None

    def _row(self, authority: str) -> tuple[int, int] | None:
        row: tuple[int, int] | None = (
            self._connection()
            .execute("SELECT drops, status_version FROM authorities WHERE name = ?", (authority,))
            .fetchone()
        )
        return row

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=10, isolation_level=None)
            self._own.connection = connection
            connection.execute("PRAGMA journal_mode = WAL")
            # What a power cut takes away is signed again; what it leaves is whole.
            connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
