"""Statements that read the same on both database engines, and cost little where every order pays for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql import ClauseElement

from onecert.server.database import Database

__all__ = ["PreparedStatement", "Work", "insert_if_absent", "insert_once"]

_DIALECTS: Mapping[str, Dialect] = {
    "sqlite": SQLiteDialect_pysqlite(),
    "postgresql": PGDialect_psycopg(),  # type: ignore[no-untyped-call]  # SQLAlchemy's types end here
}


class Work:
    """A cursor of the driver in a connection's transaction, for one prepared statement after the other."""

    def __init__(self, connection: Connection) -> None:
        self.dialect = connection.dialect.name
        self.cursor: Any = connection.connection.cursor()


class PreparedStatement:
    """A Core statement that is spelled once for each engine and then run by the driver itself.

    It runs on the connection and in the transaction that SQLAlchemy has begun, with the same conversion of
    what goes in; what comes out is as the driver gives it. A tenth of the cost of `Connection.execute`.

    Args:
        statement: the statement, or what makes it for the engine of a name.
    """

    def __init__(self, statement: ClauseElement | Callable[[str], ClauseElement]) -> None:
        self._make = statement
        self._spelled: dict[str, _Spelled] = {}

    def run(self, work: Work, values: Mapping[str, Any]) -> int:
        """Run it and tell how many rows it made or changed."""
        spelled = self._for(work.dialect)
        work.cursor.execute(spelled.sql, spelled.parameters(values))
        count: int = work.cursor.rowcount
        return count

    def first(self, work: Work, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Run it and return the first row."""
        spelled = self._for(work.dialect)
        work.cursor.execute(spelled.sql, spelled.parameters(values))
        row: Sequence[Any] | None = work.cursor.fetchone()
        return row

    def look_up(self, database: Database, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Run it alone, in no transaction, and return the first row."""
        spelled = self._for(database.dialect)
        return database.lookup(spelled.sql, spelled.parameters(values))

    def _for(self, dialect: str) -> _Spelled:
        spelled = self._spelled.get(dialect)
        if spelled is None:
            statement = self._make if isinstance(self._make, ClauseElement) else self._make(dialect)
            spelled = self._spelled.setdefault(dialect, _Spelled(statement, _DIALECTS[dialect]))
        return spelled


class _Spelled:
    """A statement in the words of one engine."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        # Where the driver counts its parameters, their order; where it names them, nothing.
        order: Sequence[str] | None = compiled.positiontup
        self._positional = order is not None
        named = {name: bind for bind, name in compiled.bind_names.items()}
        self._constants = {name: bind.value for name, bind in named.items() if not bind.required}
        self._names = [
            (name, named[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in order or named
        ]

    def parameters(self, values: Mapping[str, Any]) -> Sequence[Any] | Mapping[str, Any]:
        if self._constants:
            values = {**self._constants, **values}
        if self._positional:
            return [
                values[name] if convert is None else convert(values[name]) for name, convert in self._names
            ]
        return {
            name: values[name] if convert is None else convert(values[name]) for name, convert in self._names
        }


def insert_once(table: Table) -> PreparedStatement:
    """Insert a whole row unless one with the same key stands there; `run` tells 1 or 0."""
    return PreparedStatement(lambda dialect: _insert(table, dialect))


_inserts: dict[tuple[str, str], Insert] = {}


def insert_if_absent(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one with the same key stands there; tell whether it was inserted."""
    dialect = connection.dialect.name
    statement = _inserts.get((dialect, table.name))
    if statement is None:
        # Without the option, SQLAlchemy does not ask PostgreSQL's driver how many rows an INSERT made.
        counted = _insert(table, dialect).execution_options(preserve_rowcount=True)
        statement = _inserts.setdefault((dialect, table.name), counted)
    return connection.execute(statement, values).rowcount == 1


def _insert(table: Table, dialect: str) -> Insert:
    made = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    return made.on_conflict_do_nothing()
