"""Looking one row up without what a transaction costs: for what every request asks.

A `SELECT` that stands alone sees one consistent state on both engines. On SQLite it runs on a connection of
the driver, in about a tenth of the time of `Database.reading()`; the connections cannot write.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Engine

__all__ = ["Lookups", "PostgresqlLookups", "SqliteLookups"]

Parameters = Sequence[Any] | Mapping[str, Any]


class Lookups(Protocol):
    """Runs one statement in the driver's own spelling and returns its first row."""

    def first(self, sql: str, parameters: Parameters) -> Sequence[Any] | None: ...

    def close(self) -> None: ...


class SqliteLookups:
    """On connections that wait in a stack, so that few threads keep few of them warm."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        # Its append and pop are atomic.
        self._idle: deque[sqlite3.Connection] = deque()

    def first(self, sql: str, parameters: Parameters) -> Sequence[Any] | None:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            cursor = connection.execute(sql, parameters)
            row: Sequence[Any] | None = cursor.fetchone()
            # A statement that is not run to its end would hold its snapshot.
            cursor.close()
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return row

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


class PostgresqlLookups:
    """On connections in autocommit, of a pool of their own: one round trip.

    Args:
        engine: its connections are in autocommit and are not reset when they return.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def first(self, sql: str, parameters: Parameters) -> Sequence[Any] | None:
        connection: Any = self._engine.raw_connection()
        try:
            row: Sequence[Any] | None = connection.driver_connection.execute(sql, parameters).fetchone()
        except BaseException:
            connection.invalidate()
            raise
        finally:
            connection.close()
        return row

    def close(self) -> None:
        self._engine.dispose()
