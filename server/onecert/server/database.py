"""One database behind one URL: SQLite by default, PostgreSQL to grow; SQLAlchemy 2 Core on both.

What a caller can rely on, on both engines:

- `transaction()` is the only way to write. It commits at the end of the block or leaves nothing behind.
- Writers of one service wait for each other instead of failing: SQLite transactions begin with
  ``BEGIN IMMEDIATE`` (SQLAlchemy's default, deferred, answers "database is locked" under load).
- A commit that returned survives a power cut (``synchronous=FULL`` in WAL mode; PostgreSQL's own default).
- A database that is gone, full, busy or read-only becomes `DatabaseUnavailableError`.

The engine itself (connections, pragmas) is in `engines.py`; the migrations are in `migrations/`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import Connection, DateTime, Dialect, String, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.types import TypeDecorator, TypeEngine

from onecert.server import engines, metrics
from onecert.server.errors import DatabaseUnavailableError

__all__ = ["Database", "UtcDateTime", "migrate"]

_ERRORS = (DBAPIError, *engines.DRIVER_ERRORS, PoolTimeoutError)
LOCK_TIMEOUT = timedelta(seconds=10)
# "2026-11-21T09:00:00.000000Z": one width for every moment, so that text sorts as time does.
_TEXT_LENGTH = 27


@lru_cache(maxsize=256)
def _utc_text(moment: datetime) -> str:
    # The zone is cut off; a tenth of the cost of strftime.
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware UTC in, aware UTC out, microseconds kept, sorted and compared as time.

    SQLite keeps it as text of one fixed width (readable, sorts rightly), PostgreSQL as timestamptz.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(_TEXT_LENGTH))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone was given to the database; times are aware and in UTC")
        if dialect.name == "sqlite":
            # Many rows of a batch have the same moments.
            return _utc_text(value) if value.tzinfo is UTC else _utc_text(value.astimezone(UTC))
        return value.astimezone(UTC)

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        if not isinstance(value, datetime):
            raise TypeError(f"the database returned {type(value).__name__} for a time")
        return value.astimezone(UTC)


class Database:
    """The database of one service.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql+psycopg://…``.
        schema: PostgreSQL schema that holds the tables; made by `migrate` when it is missing.
        lock_timeout: how long a writer waits for another one before it gives up.

    Nothing is opened until the first use.
    """

    def __init__(
        self, url: str, *, schema: str | None = None, lock_timeout: timedelta = LOCK_TIMEOUT
    ) -> None:
        self._opened_with = url, schema, lock_timeout
        parsed = make_url(url)
        self.dialect = parsed.get_backend_name()
        self.schema = schema
        self._lock_timeout_s = lock_timeout.total_seconds()
        self._identity: tuple[int, int] | None = None
        self.path: Path | None = None
        # Threads of this process queue here; SQLite's own waiting is a poll with sleeps and is not fair.
        self._writer = threading.Lock()
        self._writer_thread: int | None = None
        self._kept: Connection | None = None
        self._own: list[Connection] = []
        if self.dialect == "sqlite":
            if schema is not None:
                raise ValueError("a schema is for PostgreSQL; SQLite has a file of its own for each service")
            if not parsed.database or parsed.database == ":memory:":
                raise ValueError("the database needs a file: sqlite:///name.db")
            self.path = Path(parsed.database).absolute()
            opened = engines.sqlite_engines(self.path, self._lock_timeout_s)
        elif self.dialect == "postgresql":
            opened = engines.postgresql_engines(parsed, schema, self._lock_timeout_s)
        else:
            raise ValueError(f"the database can be sqlite or postgresql, not {self.dialect}")
        self._write_engine, self._read_engine, self._lookups = opened

    def __reduce__(self) -> tuple[Callable[[str, str | None, timedelta], Database], tuple[Any, ...]]:
        """Sent to another process of ours, it is that process's own view of the same database."""
        return _open, self._opened_with

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Write: commits when the block ends, leaves nothing behind when it raises.

        Raises:
            DatabaseUnavailableError: the database did not take it.
        """
        if self.path is None:
            with self.translated(), self._write_engine.begin() as connection:
                yield connection
            return
        # One block and no others inside: each of them would cost as much as a statement.
        self._queue()
        try:
            self._check_file(self.path)
            # The one writer keeps its connection: fetching and returning it costs more than a short act.
            kept, self._kept = self._kept or self._write_engine.connect(), None
            try:
                with kept.begin():
                    self._remember_file(self.path)
                    yield kept
            except BaseException:
                kept.close()
                raise
            self._kept = kept
        except _ERRORS as exc:
            self._raise(exc)
        finally:
            self._writer_thread = None
            self._writer.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read one consistent state; takes no write lock, and a write in it fails."""
        with self.translated():
            if self.path is not None:
                self._check_file(self.path)
            with self._read_engine.begin() as connection:
                if self.path is not None:
                    self._remember_file(self.path)
                yield connection

    def lookup(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any] | None:
        """Read the first row of one statement, which sees one consistent state; quicker than `reading`.

        Args:
            sql: a SELECT in the spelling of this engine's driver.
            parameters: as the driver takes them.
        """
        try:
            if self.path is None:
                return self._lookups.first(sql, parameters)
            self._check_file(self.path)
            row = self._lookups.first(sql, parameters)
            self._remember_file(self.path)
        except _ERRORS as exc:
            self._raise(exc)
        return row

    def check(self) -> None:
        """Readiness: raise DatabaseUnavailableError when the database cannot be read now."""
        with self.reading() as connection:
            connection.exec_driver_sql("SELECT 1").scalar_one()

    def own_connection(self) -> Connection:
        """Open a connection that is in no pool and in no transaction, for a lock that lasts; close it.

        Raises:
            DatabaseUnavailableError
        """
        with self.translated():
            connection = self._write_engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()
            self._own.append(connection)
            return connection

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()
        while self._own:
            self._own.pop().close()
        self._lookups.close()
        self._write_engine.dispose()
        self._read_engine.dispose()

    def _queue(self) -> None:
        """One writer of this process at a time."""
        me = threading.get_ident()
        if self._writer_thread == me:
            raise RuntimeError("a transaction is already open in this thread; pass its connection on")
        if not self._writer.acquire(timeout=self._lock_timeout_s):
            raise DatabaseUnavailableError("locked")
        self._writer_thread = me

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Inside the block, what the driver raises for an outage is our error."""
        try:
            yield
        except _ERRORS as exc:
            self._raise(exc)

    @staticmethod
    def _raise(error: Exception) -> NoReturn:
        """Raise our error for an outage, and what is the caller's business as it is."""
        if isinstance(error, PoolTimeoutError):
            metrics.database_errors.labels("locked").inc()
            raise DatabaseUnavailableError("locked") from error
        translated = engines.translate(error)
        if translated is None:
            raise error
        metrics.database_errors.labels(getattr(translated, "kind", "damaged")).inc()
        raise translated from error

    def _check_file(self, path: Path) -> None:
        """Notice a file that was removed or replaced under an open connection.

        SQLite goes on writing into the removed file and reports success; everything would be lost. The
        check costs one stat().
        """
        try:
            found = os.stat(path)
        except FileNotFoundError:
            if self._identity is None and path.parent.is_dir():
                return  # first use: the connection makes the file
            raise DatabaseUnavailableError("gone") from None
        except OSError as exc:
            raise DatabaseUnavailableError("gone") from exc
        if self._identity not in (None, (found.st_dev, found.st_ino)):
            raise DatabaseUnavailableError("gone")

    def _remember_file(self, path: Path) -> None:
        if self._identity is None:
            found = path.stat()
            self._identity = (found.st_dev, found.st_ino)


def _open(url: str, schema: str | None, lock_timeout: timedelta) -> Database:
    return Database(url, schema=schema, lock_timeout=lock_timeout)


def migrate(database: Database, *packages: str) -> None:
    """Bring the tables of these packages to the newest revision; safe when several processes start at once.

    Args:
        packages: such as ``"onecert.server.migrations"``; each has its own version table.

    Raises:
        DatabaseNewerError: a newer program has already migrated it further.
        DatabaseUnavailableError: it could not be reached or written; nothing of it was kept.
    """
    # Alembic costs a fifth of a second to import, which a command that only verifies a file need not pay.
    from onecert.server.migrations.run import upgrade  # noqa: PLC0415

    upgrade(database, packages)


def wait_until_ready(database: Database, *, patience: timedelta) -> None:
    """Wait for a database server that starts at the same time as this process."""
    deadline = time.monotonic() + patience.total_seconds()
    while True:
        try:
            database.check()
        except DatabaseUnavailableError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.2)
        else:
            return
