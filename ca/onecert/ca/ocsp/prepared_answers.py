"""OCSP answers that were signed ahead, in a file beside the lists: served while token and database are gone.

One SQLite file for all authorities: `status/ocsp.db`. The CA writes it, any number of status processes read
it (read-only, memory-mapped), each its own folder or a copy. Of an answer only the signed data and the
signature are kept; what is the same in all of a responder's answers is put around them when they are sent.

A serial whose status changes keeps its row, without an answer (`due` 0), until it is signed anew: its row
tells who signs that there is something to do. Nothing is stored that was read before the last drop of its
row. Every change has a number, which readers see before it is committed (`answer_changes.py`).
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from onecert.ca.ocsp.answer_changes import OCTETS, announce

__all__ = ["FILE_NAME", "Found", "PreparedAnswer", "PreparedAnswers"]

log = logging.getLogger(__name__)

FILE_NAME = "ocsp.db"
# Pages of the file that are read from memory; the system shares them between all processes.
MAPPED_OCTETS = 1 << 36
_AT_ONCE = 400

_TABLES = """
CREATE TABLE IF NOT EXISTS signed_answers (
    authority TEXT NOT NULL, hash TEXT NOT NULL, serial TEXT NOT NULL,
    ends INTEGER NOT NULL, due INTEGER NOT NULL, dropped INTEGER NOT NULL,
    key_label TEXT, this_update INTEGER, next_update INTEGER, data BLOB, signature BLOB,
    PRIMARY KEY (authority, hash, serial)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS signed_answers_due ON signed_answers (authority, hash, due);
CREATE INDEX IF NOT EXISTS signed_answers_ends ON signed_answers (ends);
CREATE TABLE IF NOT EXISTS responders (
    key_label TEXT PRIMARY KEY, authority TEXT NOT NULL, certificate BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS standing (
    authority TEXT PRIMARY KEY, drops INTEGER NOT NULL, cleared INTEGER NOT NULL,
    status_version INTEGER NOT NULL, issued_seq INTEGER NOT NULL, seen_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS identity (id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS changes (number INTEGER NOT NULL);
DROP TABLE IF EXISTS answers;
DROP TABLE IF EXISTS authorities
"""
_FIND = (
    "SELECT a.key_label, a.this_update, a.next_update, a.data, a.signature"
    " FROM signed_answers a JOIN responders r ON r.key_label = a.key_label"
    " WHERE a.authority = ? AND a.hash = ? AND a.serial = ? AND a.data IS NOT NULL"
)
_STORE = (
    "INSERT INTO signed_answers VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " ends = excluded.ends, due = excluded.due, key_label = excluded.key_label,"
    " this_update = excluded.this_update, next_update = excluded.next_update,"
    " data = excluded.data, signature = excluded.signature WHERE dropped <= ?"
)
_DROP = (
    "INSERT INTO signed_answers VALUES (?, ?, ?, ?, 0, ?, NULL, NULL, NULL, NULL, NULL) ON CONFLICT DO UPDATE"
    " SET due = 0, dropped = excluded.dropped, key_label = NULL, this_update = NULL, next_update = NULL,"
    " data = NULL, signature = NULL"
)
# A row whose certificate's end is not known yet: it has no answer until it is looked up.
_NO_END = 1 << 60


@dataclass(frozen=True, kw_only=True)
class PreparedAnswer:
    """One signed answer about one serial: `data_der` is the ResponseData, for a CertID with this hash."""

    serial: str
    hash_name: str
    ends: datetime  # of the certificate
    due: datetime  # when it is to be signed anew
    key_label: str
    this_update: datetime
    next_update: datetime
    data_der: bytes
    signature: bytes


# key_label, this_update, next_update (seconds since 1970), ResponseData, signature
Found = tuple[str, int, int, bytes, bytes]


class PreparedAnswers:
    """The store. Safe to share between threads and processes of one machine.

    Args:
        read_only: of a status process: the file may come later, be replaced, or be on a medium that cannot be
            written; nothing is ever changed.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._text = str(path)
        self._read_only = read_only
        self._own = threading.local()
        if read_only:
            return
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
            if connection.execute("SELECT id FROM identity").fetchone() is None:
                connection.execute("INSERT INTO identity VALUES (?)", (secrets.token_hex(4),))
            if connection.execute("SELECT number FROM changes").fetchone() is None:
                # A file that is begun anew has none of the numbers of the one before.
                connection.execute("INSERT INTO changes VALUES (?)", (secrets.randbits(48),))

    # ------------------------------------------------------------------ reading

    def find(self, authority: str, hash_name: str, serial: str) -> Found | None:
        """The answer about this serial, whatever its age, when its responder is still to be believed."""
        row: Found | None = self._connection().execute(_FIND, (authority, hash_name, serial)).fetchone()
        return row

    def change(self) -> bytes | None:
        """The number of the newest change that is committed, as it is announced; None: not known."""
        number = _change_number(self._connection())
        return None if number is None else number.to_bytes(OCTETS, "little")

    def responder(self, key_label: str) -> bytes | None:
        """The certificate of a responder in DER."""
        query = "SELECT certificate FROM responders WHERE key_label = ?"
        row = self._connection().execute(query, (key_label,)).fetchone()
        return row[0] if row else None

    def due(self, authority: str, hash_name: str, *, at: datetime | None) -> list[str]:
        """Serials whose answers are to be signed now, the most urgent first; some hundred at once.

        Args:
            at: None: only those that have no answer at all.
        """
        rows = self._connection().execute(
            "SELECT serial FROM signed_answers WHERE authority = ? AND hash = ? AND due <= ?"
            " ORDER BY due LIMIT ?",
            (authority, hash_name, int(at.timestamp()) if at else 0, _AT_ONCE),
        )
        return [row[0] for row in rows]

    def first_due(self, authority: str, hash_names: Sequence[str]) -> datetime | None:
        """When the most urgent answer is, or was, to be signed anew; None: there is none."""
        query = (
            "SELECT due FROM signed_answers WHERE authority = ? AND hash = ? AND due > 0 ORDER BY due LIMIT 1"
        )
        rows = [self._connection().execute(query, (authority, each)).fetchone() for each in hash_names]
        due = min((row[0] for row in rows if row is not None), default=None)
        return None if due is None or due >= _NO_END else datetime.fromtimestamp(due, UTC)

    def known(self, authority: str, hash_name: str, serials: Sequence[str]) -> set[str]:
        """Of these serials, those that have a row, with an answer or without."""
        found: set[str] = set()
        for begin in range(0, len(serials), _AT_ONCE):
            part = serials[begin : begin + _AT_ONCE]
            marks = ",".join("?" * len(part))
            rows = self._connection().execute(
                "SELECT serial FROM signed_answers WHERE authority = ? AND hash = ?"  # noqa: S608
                f" AND serial IN ({marks})",
                (authority, hash_name, *part),
            )
            found.update(row[0] for row in rows)
        return found

    @property
    def id(self) -> str:
        """The name of this file: jobs that fill it are told apart by it."""
        name: str = self._connection().execute("SELECT id FROM identity").fetchone()[0]
        return name

    def drops(self, authority: str) -> int:
        """How often answers were dropped, 0 before `clear`; asked before the statuses are read."""
        return self._standing(authority, "drops") or 0

    def status_version(self, authority: str) -> int | None:
        """Up to which version of the authority's statuses nothing outdated is here; None: not known."""
        return self._standing(authority, "status_version")

    def issued_seq(self, authority: str) -> int:
        """Up to which audit entry every certificate that was issued has a row here."""
        return self._standing(authority, "issued_seq") or 0

    def authorities(self) -> list[str]:
        """The authorities that have been compared with a record."""
        rows = self._connection().execute("SELECT authority FROM standing ORDER BY authority")
        return [row[0] for row in rows]

    def seen_at(self, authority: str) -> datetime | None:
        """When this file was last compared with the record."""
        found = self._standing(authority, "seen_at")
        return None if not found else datetime.fromtimestamp(found, UTC)

    def _standing(self, authority: str, column: str) -> int | None:
        query = f"SELECT {column} FROM standing WHERE authority = ?"  # noqa: S608 - a name of ours
        row = self._connection().execute(query, (authority,)).fetchone()
        return row[0] if row else None

    # ------------------------------------------------------------------ writing

    def store(self, authority: str, answers: Iterable[PreparedAnswer], *, drops: int) -> bool:
        """Keep these answers, except where one was dropped since `drops` was asked.

        False: the authority was begun anew since then; nothing is kept.
        """
        rows = [
            (
                authority,
                each.hash_name,
                each.serial,
                int(each.ends.timestamp()),
                int(each.due.timestamp()),
                each.key_label,
                int(each.this_update.timestamp()),
                int(each.next_update.timestamp()),
                each.data_der,
                each.signature,
                drops,
            )
            for each in answers
        ]
        with self._change() as connection:
            if drops == 0 or drops < (self._standing(authority, "cleared") or 0):
                return False
            connection.executemany(_STORE, rows)
        return True

    def drop(
        self,
        authority: str,
        serials: Sequence[str],
        *,
        hash_names: Sequence[str],
        status_version: int | None = None,
    ) -> None:
        """Forget the answers about these serials; until they are signed anew the record is asked.

        Args:
            status_version: nothing that changed up to this version is here any more.
        """
        with self._change() as connection:
            connection.execute(
                "UPDATE standing SET drops = drops + 1, status_version = max(status_version, ?)"
                " WHERE authority = ?",
                (status_version or 0, authority),
            )
            number = self.drops(authority)
            if number:
                connection.executemany(
                    _DROP,
                    [(authority, name, serial, _NO_END, number) for serial in serials for name in hash_names],
                )

    def remove(self, authority: str, serials: Sequence[str]) -> None:
        """Take rows away whose certificates need no answer: they ended, or were never issued."""
        with self._change() as connection:
            connection.executemany(
                "DELETE FROM signed_answers WHERE authority = ? AND serial = ?",
                [(authority, serial) for serial in serials],
            )

    def clear(self, authority: str, *, status_version: int) -> None:
        """Begin anew for an authority: nothing is here, at this version of its statuses."""
        with self._change() as connection:
            connection.execute("DELETE FROM signed_answers WHERE authority = ?", (authority,))
            # It counts as a drop: somebody may be about to store what he read before another began anew.
            connection.execute(
                "INSERT INTO standing VALUES (?, 1, 1, ?, 0, 0) ON CONFLICT (authority) DO UPDATE SET"
                " drops = drops + 1, cleared = drops + 1, status_version = excluded.status_version,"
                " issued_seq = 0, seen_at = 0",
                (authority, status_version),
            )

    def reached(self, authority: str, *, issued_seq: int, at: datetime) -> None:
        """Note that every certificate up to this audit entry has a row."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE standing SET issued_seq = max(issued_seq, ?), seen_at = ? WHERE authority = ?",
                (issued_seq, int(at.timestamp()), authority),
            )

    def keep_responders(self, authority: str, certificates: dict[str, bytes], *, current: str) -> None:
        """Say which responders are to be believed; answers of others are not found from now on.

        All answers of a responder that is not the current one are due.
        """
        kept = self._connection().execute(
            "SELECT key_label, certificate FROM responders WHERE authority = ?", (authority,)
        )
        if dict(kept.fetchall()) == certificates:
            return
        with self._change() as connection:
            connection.execute("DELETE FROM responders WHERE authority = ?", (authority,))
            connection.executemany(
                "INSERT INTO responders VALUES (?, ?, ?)",
                [(label, authority, der) for label, der in certificates.items()],
            )
            connection.execute(
                "UPDATE signed_answers SET due = 1 WHERE authority = ? AND key_label <> ? AND due > 1",
                (authority, current),
            )

    def drop_ended(self, at: datetime) -> None:
        """Take the rows of certificates away that have ended."""
        with self._change() as connection:
            connection.execute("DELETE FROM signed_answers WHERE ends <= ?", (int(at.timestamp()),))

    def copy_to(self, path: Path) -> None:
        """Write a whole copy, in one piece and without a log beside it, and put it in place at once."""
        beside = path.with_name(path.name + ".new")
        beside.unlink(missing_ok=True)
        copy = sqlite3.connect(beside, isolation_level=None)
        try:
            self._connection().backup(copy, pages=4096)
            copy.execute("PRAGMA journal_mode = DELETE")
            number = _change_number(copy)
        finally:
            copy.close()
        beside.replace(path)
        if number is not None:
            announce(path.parent, number)

    def close(self) -> None:
        """Close the connection of this thread."""
        connection = getattr(self._own, "connection", None)
        if connection is not None:
            connection.close()
            self._own.connection = None

    # ------------------------------------------------------------------ connections

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if self._read_only:
            # A copy that was put in place is another file; FileNotFoundError: it is not there yet.
            found = os.stat(self._text)
            identity = (found.st_dev, found.st_ino)
            if connection is None or self._own.identity != identity or self._has_gained_log():
                self.close()
                self._own.connection = connection = self._open_to_read()
                self._own.identity = identity
            return connection
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=10, isolation_level=None)
            self._own.connection = connection
            connection.execute("PRAGMA journal_mode = WAL")
            # What a power cut takes away is signed again; what it leaves is whole.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA mmap_size = {MAPPED_OCTETS}")
        return connection

    def _open_to_read(self) -> sqlite3.Connection:
        """Open without writing; a file that nobody has open, on a medium that cannot be written, too."""
        address = self._path.absolute().as_uri()
        for options in ("mode=ro", "mode=ro&immutable=1"):
            connection = sqlite3.connect(f"{address}?{options}", uri=True, timeout=2, isolation_level=None)
            try:
                connection.execute("PRAGMA query_only = ON")
                connection.execute(f"PRAGMA mmap_size = {MAPPED_OCTETS}")
                connection.execute("SELECT 1 FROM standing LIMIT 1").fetchone()
            except sqlite3.OperationalError:
                connection.close()
                if options != "mode=ro" or self._log_exists():
                    raise
                continue
            self._own.is_frozen = options != "mode=ro"
            return connection
        raise sqlite3.OperationalError("not readable")

    def _has_gained_log(self) -> bool:
        """Whether somebody began to write a file that was opened as one that nobody writes."""
        return bool(getattr(self._own, "is_frozen", False)) and self._log_exists()

    def _log_exists(self) -> bool:
        return os.path.exists(self._text + "-wal")

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """A transaction after which another answer may be found, or none."""
        with self._transaction() as connection:
            query = "UPDATE changes SET number = number + 1 RETURNING number"
            ((number,),) = connection.execute(query).fetchall()
            try:
                announce(self._path.parent, number)
            except OSError as exc:
                raise sqlite3.OperationalError("change not announced") from exc
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _change_number(connection: sqlite3.Connection) -> int | None:
    """The number of the newest change; None in a file that was written before there were numbers."""
    try:
        number: int = connection.execute("SELECT number FROM changes").fetchone()[0]
    except sqlite3.OperationalError:
        return None
    return number
