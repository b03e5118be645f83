"""A registration authority's record of so many certificates, written straight into its tables.

A fifth as many applications as certificates, two fifths as many names, five steps in the life of each
application. Certificates have the octets of a real one; what belongs together says the same. Indexes are made
once, after the rows.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from rows import name_of

from onecert.ra.applications.records import place_of
from onecert.ra.search.index import marks_of
from onecert.ra.search.terms import parts_of
from onecert.ra.vault.sealed import Vault
from onecert.server.database import Database

__all__ = ["Filler", "T", "id_of", "serial_of"]

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
STATES = ("submitted", "draft", "returned", "issued", "delivered", "archived")
STEPS = ("created", "submitted", "approved", "ordered", "issued")
POINTS = ("main", "north", "south", "east")
AUTHORITIES = ("pearl", "harbour", "summit")


def serial_of(number: int) -> str:
    """Spread as real ones are."""
    return "4f" + hashlib.md5(f"s{number}".encode()).hexdigest()


def id_of(number: int) -> str:
    """The id of an application."""
    text = hashlib.md5(f"a{number}".encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Filler:
    """Writes the rows. `certificate` is one whose octets all of them have."""

    def __init__(
        self, database: Database, vault: Vault, certificate: x509.Certificate, csr_pem: str, count: int
    ) -> None:
        self.database = database
        self.vault = vault
        self.certificate = certificate
        self.pem = certificate.public_bytes(Encoding.PEM).decode()
        self.csr_pem = csr_pem
        self.count = count
        self.applications = max(count // 5, 10)
        self.names = max(count * 2 // 5, 10)

    def fill(self) -> None:
        """All tables."""
        for table, columns, rows in (
            ("ra_applications", _APPLICATION, self._applications()),
            ("ra_application_events", _EVENT, self._events()),
            ("ra_marks", ("mark", "application_id", "kind"), self._marks()),
            ("ra_certificates", _CERTIFICATE, self._certificates()),
            ("ra_names", ("id", "name"), ((n + 1, name_of(n)) for n in range(self.names))),
            ("ra_name_parts", ("part", "name_id"), self._parts()),
        ):
            self._write(table, columns, rows)
        with self.database.transaction() as connection:
            at = _text(T) if self.database.path else T
            mark = "?" if self.database.path else "%s"
            for task in ("names", "certificates", "marks"):
                statement = f"INSERT INTO ra_search_tasks VALUES ({mark}, '', 0, {mark})"
                connection.exec_driver_sql(statement, (task, at))
        own = self.database.own_connection()
        own.exec_driver_sql("ANALYZE")
        own.close()

    def _certificates(self) -> Iterator[tuple[Any, ...]]:
        for n in range(self.count):
            name = n % self.names
            number = n if n < self.applications else 10**9 + n
            spread = hashlib.sha256(f"{n}".encode()).hexdigest()
            issued = T - timedelta(seconds=30 * (self.count - n))
            yield (
                AUTHORITIES[name % 3],
                serial_of(n),
                id_of(number),
                f"o{n}",
                "organisation",
                name_of(name),
                uscc_of(name),
                spread,
                spread[:40],
                self.pem,
                self.pem,
                issued,
                T + timedelta(days=n % 700 - 30),
                issued,
                ("revoked", "hold", *["good"] * 18)[n % 20],
                issued,
                POINTS[name % 4],
                f"TK{n:09}" if n % 2 else None,
            )

    def _applications(self) -> Iterator[tuple[Any, ...]]:
        fields = json.dumps({"state_or_province": "广东省", "locality": "深圳市"})
        for n in range(self.applications):
            at = T - timedelta(seconds=60 * (self.applications - n))
            # Most are through; a day's work waits.
            recent = self.applications - n < 600
            state = STATES[n % 3] if recent else STATES[3 + n % 3]
            personal = {**personal_of(n), "salt": "00" * 16}
            sealed = self.vault.seal_json(place_of(id_of(n)), personal)
            yield (
                id_of(n),
                f"wang:{n}",
                "organisation",
                AUTHORITIES[n % self.names % 3],
                "organisation",
                1,
                state,
                at,
                3,
                name_of(n % self.names),
                uscc_of(n % self.names),
                fields,
                sealed,
                self.csr_pem,
                f"{n:064x}",
                f"{n:064x}",
                at,
                "wang",
                "wang",
                "li",
                POINTS[n % self.names % 4],
                "new",
            )

    def _events(self) -> Iterator[tuple[Any, ...]]:
        for n in range(self.applications):
            at = T - timedelta(seconds=60 * (self.applications - n))
            for step in STEPS:
                state = {"created": "draft", "approved": "approved"}.get(step, step)
                yield id_of(n), at, "wang" if step in {"created", "submitted"} else "li", step, state

    def _marks(self) -> Iterator[tuple[str, str, str]]:
        for n in range(self.applications):
            for kind, mark in marks_of(self.vault, personal_of(n)).items():
                yield mark, id_of(n), kind

    def _parts(self) -> Iterable[tuple[str, int]]:
        # In the order of the key, as octets: the tree is written from left to right.
        found = [(part.encode(), n + 1) for n in range(self.names) for part in parts_of(name_of(n))]
        found.sort()
        return ((part.decode(), number) for part, number in found)

    def _write(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        if self.database.path is not None:
            _write_sqlite(str(self.database.path), table, columns, rows)
        else:
            _write_postgresql(self.database, table, columns, rows)


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


_CERTIFICATE = (
    *("authority", "serial_hex", "application_id", "order_id", "kind", "name", "uscc", "sha256", "sha1"),
    *("certificate_pem", "chain_pem", "not_before", "not_after", "issued_at", "status", "status_since"),
    *("point", "token_number"),
)
_APPLICATION = (
    *("id", "request_key", "kind", "authority", "profile", "profile_version", "state", "state_since"),
    *("revision", "name", "uscc", "fields", "personal_sealed", "csr_pem", "key_sha256", "content_sha256"),
    *("created_at", "created_by", "submitted_by", "reviewed_by", "point", "business"),
)
_EVENT = ("application_id", "at", "actor", "event", "state")


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")[:26] + "Z"


def _write_sqlite(path: str, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -400000")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
        (table,),
    ).fetchall()
    connection.execute("BEGIN IMMEDIATE")
    for name, _sql in indexes:
        connection.execute(f"DROP INDEX {name}")
    marks = ", ".join("?" * len(columns))
    converted = (tuple(_text(v) if isinstance(v, datetime) else v for v in row) for row in rows)
    connection.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",
        converted,
    )
    for _name, sql in indexes:
        connection.execute(sql)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _write_postgresql(
    database: Database, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        found = connection.exec_driver_sql(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            f" WHERE indrelid = '{table}'::regclass AND NOT indisunique"
        ).all()
        for name, _sql in found:
            connection.exec_driver_sql(f"DROP INDEX {name}")
        cursor: Any = connection.connection.cursor()
        with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            write: Callable[[Sequence[Any]], None] = copy.write_row
            for row in rows:
                write(row)
        for _name, sql in found:
            connection.exec_driver_sql(sql)
