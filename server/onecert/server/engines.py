"""Connections: how each database engine is opened, and what its errors mean to us.

SQLite: WAL, synchronous=FULL, BEGIN IMMEDIATE for writers, connections that cannot write for readers.
PostgreSQL: search_path of the service's own schema, time-outs set by the server, ping before use.
"""

from __future__ import annotations

import re
import select
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from onecert.server.errors import DatabaseDamagedError, DatabaseUnavailableError, ServiceError
from onecert.server.lookups import Lookups, PostgresqlLookups, SqliteLookups

__all__ = ["DRIVER_ERRORS", "postgresql_engines", "sqlite_engines", "translate"]

DRIVER_ERRORS = (sqlite3.Error, psycopg.Error)

_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_POOL_SIZE = 10

# Primary result codes, https://www.sqlite.org/rescode.html
_SQLITE_KINDS = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_PERM: "read-only",
    sqlite3.SQLITE_IOERR: "gone",
    sqlite3.SQLITE_CANTOPEN: "gone",
    sqlite3.SQLITE_PROTOCOL: "locked",
}
_SQLITE_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

# https://www.postgresql.org/docs/15/errcodes-appendix.html
_POSTGRESQL_KINDS = {
    "53100": "full",
    "53300": "locked",  # too many connections
    "55P03": "locked",  # lock_timeout
    "57014": "locked",  # statement_timeout
    "40001": "deadlock",
    "40P01": "deadlock",
    "25006": "read-only",
    "42501": "read-only",
    "57P01": "gone",
    "57P02": "gone",
    "57P03": "gone",
    "3D000": "gone",
}


# A standby refuses a transaction that writes as a feature that it lacks. What tells it from others is the
# function of PostgreSQL's source that checks the setting, because texts are translated.
_STANDBY_SAYS = "call_bool_check_hook"


def sqlite_engines(path: Path, lock_timeout_s: float) -> tuple[Engine, Engine, Lookups]:
    """Return (writer, reader, look-ups) on one file; the writer makes the file when it was never there."""
    made_before = path.exists()

    def connect(*, writable: bool) -> sqlite3.Connection:
        nonlocal made_before
        # Once it has been there, a missing file is an outage, not a reason to begin an empty one.
        mode = "rw" if made_before else "rwc"
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            timeout=lock_timeout_s,
            isolation_level=None,  # SQLAlchemy says BEGIN and COMMIT; the module must not guess
            check_same_thread=False,
        )
        made_before = True
        try:
            _enter_wal_mode(connection, lock_timeout_s)
            # A commit that returned is on the disk: see the measurements behind the choice of FULL.
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA trusted_schema=OFF")
            if not writable:
                connection.execute("PRAGMA query_only=ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def engine(*, writable: bool) -> Engine:
        made = create_engine(
            "sqlite://",
            creator=lambda: connect(writable=writable),
            poolclass=QueuePool,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_SIZE * 2,
            pool_timeout=lock_timeout_s,
        )
        begin = "BEGIN IMMEDIATE" if writable else "BEGIN"

        def do_begin(connection: PoolProxiedConnection) -> None:
            connection.cursor().execute(begin)

        # SQLAlchemy's own way, an event on "begin", costs as much as the rest of a short transaction.
        made.dialect.do_begin = do_begin  # type: ignore[assignment]  # this engine's own dialect object
        return made

    return engine(writable=True), engine(writable=False), SqliteLookups(lambda: connect(writable=False))


def _enter_wal_mode(connection: sqlite3.Connection, lock_timeout_s: float) -> None:
    """Switch to WAL; the switch ignores the busy time-out, so two first starts at once need patience."""
    deadline = time.monotonic() + lock_timeout_s
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            if mode != "wal":
                raise sqlite3.OperationalError("this file system cannot hold a database in WAL mode")
            return


def postgresql_engines(url: URL, schema: str | None, lock_timeout_s: float) -> tuple[Engine, Engine, Lookups]:
    """Return (writer, reader, look-ups). Writers and readers share one pool; look-ups have one of their own,
    whose connections are in autocommit from the start: to switch them costs more than to look up."""
    if schema is not None and not _SCHEMA_NAME.fullmatch(schema):
        raise ValueError("a schema is named with lower-case letters, digits and _, and begins with a letter")
    options: dict[str, Any] = {"connect_timeout": 5}
    lock_timeout_ms = int(lock_timeout_s * 1000)
    given = url.query.get("options", "")
    settings = [given if isinstance(given, str) else " ".join(given)]
    settings.append(f"-c lock_timeout={lock_timeout_ms} -c idle_in_transaction_session_timeout=60000")
    if schema is not None:
        settings.append(f"-c search_path={schema}")
    options["options"] = " ".join(settings).strip()
    where = url.difference_update_query(["options"])
    writer = create_engine(
        where,
        connect_args=options,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_SIZE * 2,
        pool_timeout=lock_timeout_s,
        pool_pre_ping=True,  # a server that was restarted costs no failed request
    )
    reader = writer.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
    single = create_engine(
        where,
        connect_args=options | {"autocommit": True},
        pool_size=_POOL_SIZE,
        max_overflow=0,
        pool_timeout=lock_timeout_s,
        pool_pre_ping=True,
        pool_reset_on_return=None,
    )
    for engine in (writer, single):
        _ask_only_when_there_is_news(engine)
    return writer, reader, PostgresqlLookups(single)


def _ask_only_when_there_is_news(engine: Engine) -> None:
    """Before use, ask a connection whether it lives only when the server has sent something unasked.

    A server that ends closes its connections, which can be seen here without asking it.
    """
    ask = engine.dialect.do_ping

    def do_ping(connection: Any) -> bool:
        news = select.poll()
        news.register(connection.fileno(), select.POLLIN)
        return ask(connection) if news.poll(0) else True

    engine.dialect.do_ping = do_ping  # type: ignore[assignment]  # this engine's own dialect object


def translate(error: Exception) -> ServiceError | None:
    """Return our error for an outage, or None when the statement itself was at fault (a constraint…).

    Args:
        error: SQLAlchemy's, or the driver's own from where its cursor is used directly.
    """
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", None)
        if code is None:
            return DatabaseUnavailableError("gone") if "WAL mode" in str(original) else None
        if code & 0xFF in _SQLITE_DAMAGED:
            return DatabaseDamagedError()
        kind = _SQLITE_KINDS.get(code & 0xFF)
        return DatabaseUnavailableError(kind) if kind else None
    sqlstate = getattr(original, "sqlstate", None)
    if isinstance(original, psycopg.NotSupportedError) and original.diag.source_function == _STANDBY_SAYS:
        return DatabaseUnavailableError("read-only")
    if sqlstate in _POSTGRESQL_KINDS:
        return DatabaseUnavailableError(_POSTGRESQL_KINDS[sqlstate])
    if sqlstate is None:
        # psycopg lost the connection or never had one.
        return DatabaseUnavailableError("gone") if isinstance(original, psycopg.OperationalError) else None
    # Class 08 is a broken connection, 58 the server's own disk.
    return DatabaseUnavailableError("gone") if sqlstate.startswith(("08", "58")) else None
