"""A registration authority's record of so many certificates, written straight into its tables.

A fifth as many applications as certificates, two fifths as many names, five steps in the life of each
application; cases, changes of status, batches, tokens, notices and the audit trail that belong to them.
Certificates have the octets of a real one; what belongs together says the same. The database makes the rows
itself where it can (`ra_rows_sql.py`); indexes and keys are made once, after the rows.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from ra_rows_sql import AUTHORITIES, POINTS, T, statements
from rows import name_of

from onecert.ra.applications.records import place_of
from onecert.ra.search.index import marks_of
from onecert.ra.vault.sealed import Vault
from onecert.server.database import Database

__all__ = ["AUTHORITIES", "POINTS", "Filler", "T", "id_of", "personal_of", "serial_of", "uscc_of"]

# Most are through; a day's work waits.
RECENT = 600
STATES = ("submitted", "draft", "returned")
LATER_STATES = ("issued", "delivered", "archived")


def serial_of(number: int) -> str:
    """Spread as real ones are."""
    return "4f" + hashlib.md5(f"s{number}".encode()).hexdigest()


def id_of(number: int, letter: str = "a") -> str:
    """The id of an application; `c` of a case, `r` of a change of status, `b` of a batch."""
    return _uuid_of(f"{letter}{number}")


def _uuid_of(text: str) -> str:
    return str(uuid.UUID(hashlib.md5(text.encode()).hexdigest()))


def uscc_of(name: int) -> str:
    """Not one that a check would take; only its width is right."""
    return f"91440300MA{name:08}"


def personal_of(number: int) -> dict[str, str]:
    """What is sealed, and found by its keyed hash."""
    return {
        "agent_name": "张三",
        "agent_idcard": f"440300{1950 + number % 50}0101{number % 10000:04}",
        "mobile": f"138{number:08}",
        "email": f"a{number}@example.test",
    }


class Filler:
    """Writes the rows. `certificate` is one whose octets all of them have."""

    def __init__(
        self, database: Database, vault: Vault, certificate: x509.Certificate, csr_pem: str, count: int
    ) -> None:
        self.database = database
        self.vault = vault
        self.pem = certificate.public_bytes(Encoding.PEM).decode()
        self.csr_pem = csr_pem
        self.count = count
        self.applications = max(count // 5, 10)
        self.names = max(count * 2 // 5, 10)

    def fill(self) -> None:
        """All tables; says on the way how long each took."""
        made: dict[str, tuple[Sequence[str], Iterable[Sequence[Any]]]] = {
            "ra_applications": (_APPLICATION, self._applications()),
            "ra_marks": (("mark", "application_id", "kind"), self._marks()),
        }
        sql = statements(
            self.database.dialect,
            count=self.count,
            applications=self.applications,
            names=self.names,
            pem=self.pem,
        )
        took = []
        with _writer(self.database) as writer:
            for table in (*made, *sql):
                began = time.perf_counter()
                with writer.table(table):
                    if table in made:
                        writer.rows(table, *made[table])
                    else:
                        writer.execute(sql[table])
                took.append(f"{table.removeprefix('ra_')} {time.perf_counter() - began:.0f}")
            writer.finish()
        print(f"    seconds: {', '.join(took)}", flush=True)

    def _applications(self) -> Iterator[tuple[Any, ...]]:
        fields = json.dumps({"state_or_province": "广东省", "locality": "深圳市"})
        salt = "00" * 16
        for n in range(self.applications):
            at = T - timedelta(seconds=60 * (self.applications - n))
            recent = self.applications - n < RECENT
            state = STATES[n % 3] if recent else LATER_STATES[n % 3]
            name = n % self.names
            sealed = self.vault.seal_json(place_of(id_of(n)), {**personal_of(n), "salt": salt})
            yield (
                *(id_of(n), f"wang:{n}", "organisation", AUTHORITIES[name % 3], "organisation", 1),
                *(state, at, 3, name_of(name), uscc_of(name), fields, sealed, self.csr_pem),
                *(f"{n:064x}", f"{n:064x}", at, "wang", "wang", "li", POINTS[name % 4], "new"),
                f"p{n % 40}" if n % 3 == 0 else None,
            )

    def _marks(self) -> Iterator[tuple[str, str, str]]:
        for n in range(self.applications):
            for kind, mark in marks_of(self.vault, personal_of(n)).items():
                yield mark, id_of(n), kind


_APPLICATION = (
    *("id", "request_key", "kind", "authority", "profile", "profile_version", "state", "state_since"),
    *("revision", "name", "uscc", "fields", "personal_sealed", "csr_pem", "key_sha256", "content_sha256"),
    *("created_at", "created_by", "submitted_by", "reviewed_by", "point", "business", "project"),
)


class _Sqlite:
    """A connection of our own, which has functions that SQLite lacks. A key that belongs to the table's own
    definition stays; the cache holds it."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for name, function in (
            ("md5", lambda text: hashlib.md5(text.encode()).hexdigest()),
            ("uuid_of", _uuid_of),
            ("sha256_hex", lambda text: hashlib.sha256(text.encode()).hexdigest()),
        ):
            self._connection.create_function(name, 1, function, deterministic=True)
        for pragma in ("synchronous = OFF", "cache_size = -1500000", "temp_store = MEMORY", "threads = 2"):
            self._connection.execute(f"PRAGMA {pragma}")

    def __enter__(self) -> _Sqlite:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def table(self, table: str) -> _Table:
        found = self._connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
            (table,),
        ).fetchall()
        return _Table(self, [f"DROP INDEX {name}" for name, _sql in found], [sql for _name, sql in found])

    def execute(self, sql: str) -> None:
        self._connection.execute(sql)

    def begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rows(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        marks = ", ".join("?" * len(columns))
        converted = (tuple(_text(v) if isinstance(v, datetime) else v for v in row) for row in rows)
        self._connection.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", converted
        )

    def finish(self) -> None:
        self._connection.execute("PRAGMA analysis_limit = 1000")
        self._connection.execute("ANALYZE")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class _Postgresql:
    """What a transaction writes into a table that it emptied needs no log (wal_level = minimal)."""

    def __init__(self, database: Database) -> None:
        self._connection = database.own_connection()

    def __enter__(self) -> _Postgresql:
        self._connection.exec_driver_sql("SET synchronous_commit = off")
        self._connection.exec_driver_sql("SET client_min_messages = warning")
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def table(self, table: str) -> _Table:
        keys: Any = self._connection.exec_driver_sql(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            f" WHERE conrelid = '{table}'::regclass AND contype IN ('p', 'u')"
        ).all()
        found: Any = self._connection.exec_driver_sql(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            f" WHERE indrelid = '{table}'::regclass AND NOT indisunique"
        ).all()
        before = [f"ALTER TABLE {table} DROP CONSTRAINT {name}" for name, _sql in keys]
        before += [f"DROP INDEX {name}" for name, _sql in found]
        if not table.startswith("audit_"):
            before.append(f"TRUNCATE {table}")
        after = [f"ALTER TABLE {table} ADD CONSTRAINT {name} {sql}" for name, sql in keys]
        return _Table(self, before, after + [sql for _name, sql in found])

    def execute(self, sql: str) -> None:
        self._connection.exec_driver_sql(sql.replace("%", "%%"))

    def begin(self) -> None:
        self._connection.exec_driver_sql("BEGIN")

    def commit(self) -> None:
        self._connection.exec_driver_sql("COMMIT")

    def rows(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        cursor: Any = self._connection.connection.cursor()
        with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def finish(self) -> None:
        # With what readers may see marked, as it is where the server cleans up by itself.
        self._connection.exec_driver_sql("VACUUM ANALYZE")
        self._connection.exec_driver_sql("CHECKPOINT")


class _Table:
    """One transaction around a table: without indexes inside of it."""

    def __init__(self, writer: _Sqlite | _Postgresql, before: Sequence[str], after: Sequence[str]) -> None:
        self._writer, self._before, self._after = writer, before, after

    def __enter__(self) -> None:
        self._writer.begin()
        for statement in self._before:
            self._writer.execute(statement)

    def __exit__(self, kind: object, *_error: object) -> None:
        if kind is None:
            for statement in self._after:
                self._writer.execute(statement)
            self._writer.commit()


def _writer(database: Database) -> _Sqlite | _Postgresql:
    return _Postgresql(database) if database.path is None else _Sqlite(str(database.path))


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")[:26] + "Z"
