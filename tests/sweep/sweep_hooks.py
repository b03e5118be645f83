"""Puts the sweep's places under the program: at the drivers of both databases and where files are written.

Nothing of the product is replaced: what fails is what fails in reality, the driver's call or the system's,
with the driver's own errors. On PostgreSQL the server itself raises them, and a connection is gone because
the server ended it.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

import psycopg
from sweep_points import POINTS

__all__ = ["hooked"]

_WORDS = re.compile(r"\s*(BEGIN IMMEDIATE|COMMIT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s*(\S*)", re.IGNORECASE)
_SQLITE_CODES = {
    "locked": (sqlite3.SQLITE_BUSY, "database is locked"),
    "gone": (sqlite3.SQLITE_IOERR, "disk I/O error"),
    "lost": (sqlite3.SQLITE_IOERR, "disk I/O error"),
    "read-only": (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
    "full": (sqlite3.SQLITE_FULL, "database or disk is full"),
}
_POSTGRESQL_CODES = {"locked": "55P03", "read-only": "25006", "full": "53100"}
_FILE_CODES = {"full": errno.ENOSPC, "read-only": errno.EROFS, "gone": errno.EIO}
_WRITING = frozenset("wax+")


@lru_cache(maxsize=4096)
def _place(sql: str) -> tuple[str, str] | None:
    """The kind of a statement and the table that it changes; None: it changes nothing."""
    found = _WORDS.match(sql)
    if found is None:
        return None
    word, table = found[1].upper(), found[2].split("(")[0]
    if word == "BEGIN IMMEDIATE":
        return "begin", "begin"
    if word == "COMMIT":
        return "commit", "commit"
    if word == "WITH" and not re.search(r"\b(INSERT INTO|UPDATE|DELETE FROM)\b", sql):
        return None
    return "write", f"{word.split(maxsplit=1)[0].lower()} {table}"


# ------------------------------------------------------------------ SQLite


class _SqliteCursor(sqlite3.Cursor):
    def execute(self, sql: str, *parameters: Any) -> Any:
        return self._run(sql, super().execute, *parameters)

    def executemany(self, sql: str, *parameters: Any) -> Any:
        return self._run(sql, super().executemany, *parameters)

    def _run(self, sql: str, run: Any, *parameters: Any) -> Any:
        place = _place(sql) if POINTS.is_on else None
        if place is None:
            return run(sql, *parameters)
        connection: Any = self.connection
        kind, what = place
        connection.has_written = kind != "begin" and (connection.has_written or kind == "write")
        fault = POINTS.reach(kind, what)
        if fault is not None:
            _sqlite_fails(connection, fault)
        result = run(sql, *parameters)
        if kind == "commit" and POINTS.reach("committed", what) is not None:
            _sqlite_fails(connection, "lost")
        return result


class _SqliteConnection(sqlite3.Connection):
    has_written = False

    def cursor(self, factory: Any = _SqliteCursor) -> Any:
        return super().cursor(factory)

    def commit(self) -> None:
        if not (POINTS.is_on and self.has_written):
            super().commit()
            return
        fault = POINTS.reach("commit", "commit")
        if fault is not None:
            _sqlite_fails(self, fault)
        super().commit()
        self.has_written = False
        if POINTS.reach("committed", "commit") is not None:
            _sqlite_fails(self, "lost")


def _sqlite_fails(connection: sqlite3.Connection, fault: str) -> NoReturn:
    if fault in {"full", "gone"} and connection.in_transaction:
        # https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction
        sqlite3.Connection.rollback(connection)
    code, text = _SQLITE_CODES[fault]
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    raise error


# ------------------------------------------------------------------ PostgreSQL

_execute, _executemany, _commit = (
    psycopg.Cursor.execute,
    psycopg.Cursor.executemany,
    psycopg.Connection.commit,
)
_wrote = "_sweep_has_written"


def _postgresql_execute(self: Any, query: Any, *args: Any, **named: Any) -> Any:
    _postgresql_reaches(self, query)
    return _execute(self, query, *args, **named)


def _postgresql_executemany(self: Any, query: Any, *args: Any, **named: Any) -> None:
    _postgresql_reaches(self, query)
    _executemany(self, query, *args, **named)


def _postgresql_commit(self: Any) -> None:
    if not (POINTS.is_on and getattr(self, _wrote, False)):
        _commit(self)
        return
    setattr(self, _wrote, False)
    fault = POINTS.reach("commit", "commit")
    if fault is not None:
        _postgresql_fails(self, fault)
    _commit(self)
    if POINTS.reach("committed", "commit") is not None:
        _postgresql_fails(self, "gone")


def _postgresql_reaches(cursor: Any, query: Any) -> None:
    place = _place(query) if POINTS.is_on and isinstance(query, str) else None
    if place is None:
        return
    setattr(cursor.connection, _wrote, True)
    fault = POINTS.reach(*place)
    if fault is not None:
        _postgresql_fails(cursor.connection, fault)


def _postgresql_fails(connection: Any, fault: str) -> None:
    """Let the server raise it; its transaction is then as broken as it would be."""
    code = _POSTGRESQL_CODES.get(fault)
    if code is None:
        info = connection.info
        with psycopg.connect(
            host=info.host, user=info.user, dbname="postgres", port=info.port, autocommit=True
        ) as other:
            _execute(other.cursor(), f"SELECT pg_terminate_backend({info.backend_pid}, 5000)")
    text = f"DO $$ BEGIN RAISE EXCEPTION 'swept' USING ERRCODE = '{code or '57P01'}'; END $$"
    _execute(connection.cursor(), text)


# ------------------------------------------------------------------ files

_open, _replace, _fsync = Path.open, Path.replace, os.fsync


def _file_open(self: Path, mode: str = "r", *args: Any, **named: Any) -> Any:
    if POINTS.is_on and _WRITING & set(mode) and self.suffix != ".lock" and self.name != "log":
        _file_fails(POINTS.reach("open", self.name))
    return _open(self, mode, *args, **named)


def _file_replace(self: Path, target: Any) -> Path:
    if not POINTS.is_on:
        return _replace(self, target)
    _file_fails(POINTS.reach("rename", self.name))
    made = _replace(self, target)
    _file_fails(POINTS.reach("renamed", self.name))
    return made


def _file_flush(descriptor: int) -> None:
    if POINTS.is_on and os.path.isfile(f"/proc/self/fd/{descriptor}"):
        name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
        fault = POINTS.reach("flush", name) if name != "log" else None
        if fault is not None:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            if fault == "torn":
                POINTS.die()
            _file_fails(fault)
    _fsync(descriptor)


def _file_fails(fault: str | None) -> None:
    if fault is not None:
        code = _FILE_CODES[fault]
        raise OSError(code, os.strerror(code))


@contextmanager
def hooked() -> Iterator[None]:
    """Inside the block every place is passed through `POINTS`; outside nothing is changed."""
    connect = sqlite3.connect

    def swept(*args: Any, **named: Any) -> sqlite3.Connection:
        named.setdefault("factory", _SqliteConnection)
        return connect(*args, **named)

    with (
        patch.object(sqlite3, "connect", swept),
        patch.object(psycopg.Cursor, "execute", _postgresql_execute),
        patch.object(psycopg.Cursor, "executemany", _postgresql_executemany),
        patch.object(psycopg.Connection, "commit", _postgresql_commit),
        patch.object(Path, "open", _file_open),
        patch.object(Path, "replace", _file_replace),
        patch.object(os, "fsync", _file_flush),
    ):
        yield
