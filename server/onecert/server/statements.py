"""Statements that every order, grant and decision runs: spelled once for each engine, run by the driver.

They run on the connection and in the transaction that SQLAlchemy has begun, and convert what goes in and what
comes out as it does; a tenth of the cost of `Connection.execute`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Select, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql import ClauseElement

from onecert.server.database import Database

__all__ = ["Act", "Statement", "Values", "insert_if_absent", "insert_once"]

Values = Mapping[str, Any]

_DIALECTS: Mapping[str, Dialect] = {
    "sqlite": SQLiteDialect_pysqlite(),
    "postgresql": PGDialect_psycopg(),  # type: ignore[no-untyped-call]  # SQLAlchemy's types end here
}


class Act:
    """A cursor of the driver in a connection's transaction, for one statement after the other."""

    def __init__(self, connection: Connection) -> None:
        self.dialect = connection.dialect.name
        self.cursor: Any = connection.connection.cursor()


class Statement:
    """One statement with named parameters. Rows are dicts by the names of its columns.

    Args:
        statement: the statement, or what makes it for the engine of a name.
    """

    def __init__(self, statement: ClauseElement | Callable[[str], ClauseElement]) -> None:
        self._make = statement
        self._spelled: dict[str, _Spelled] = {}

    def run(self, on: Connection | Act, values: Values) -> int:
        """Run it and tell how many rows it made or changed."""
        act, spelled = self._on(on)
        act.cursor.execute(spelled.sql, spelled.parameters(values))
        count: int = act.cursor.rowcount
        return count

    def run_many(self, on: Connection | Act, rows: Iterable[Values]) -> int:
        """Run it once for each row of values and tell how many rows they made or changed together."""
        act, spelled = self._on(on)
        parameters: Any = [spelled.parameters(values) for values in rows]
        act.cursor.executemany(spelled.sql, parameters)
        count: int = act.cursor.rowcount
        return count

    def first(self, on: Connection | Act, values: Values) -> dict[str, Any] | None:
        """Run it and return the first row."""
        rows = self.all(on, values)
        return rows[0] if rows else None

    def all(self, on: Connection | Act, values: Values) -> list[dict[str, Any]]:
        """Run it and return every row."""
        act, spelled = self._on(on)
        act.cursor.execute(spelled.sql, spelled.parameters(values))
        return [spelled.row(row) for row in act.cursor.fetchall()]

    def look_up(self, database: Database, values: Values) -> dict[str, Any] | None:
        """Run it alone, in no transaction, and return the first row."""
        spelled = self._for(database.dialect)
        row = database.lookup(spelled.sql, spelled.parameters(values))
        return None if row is None else spelled.row(row)

    def _on(self, on: Connection | Act) -> tuple[Act, _Spelled]:
        act = on if isinstance(on, Act) else Act(on)
        return act, self._for(act.dialect)

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
        if "POSTCOMPILE" in self.sql:
            raise TypeError("a list of values is spelled at each execution: use or_(), or Connection.execute")
        # Where the driver counts its parameters, their order; where it names them, nothing.
        order: Sequence[str] | None = compiled.positiontup
        self._positional = order is not None
        named = {name: bind for bind, name in compiled.bind_names.items()}
        self._constants = {name: bind.value for name, bind in named.items() if not bind.required}
        self._names = [
            (name, named[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in order or named
        ]
        columns = list(statement.selected_columns) if isinstance(statement, Select) else []
        self._columns = [str(column.key) for column in columns]
        converters = [
            (str(column.key), column.type.dialect_impl(dialect).result_processor(dialect, None))
            for column in columns
        ]
        self._converters = [(name, convert) for name, convert in converters if convert is not None]

    def parameters(self, values: Values) -> Sequence[Any] | Values:
        if self._constants:
            values = {**self._constants, **values}
        if self._positional:
            return [
                values[name] if convert is None else convert(values[name]) for name, convert in self._names
            ]
        return {
            name: values[name] if convert is None else convert(values[name]) for name, convert in self._names
        }

    def row(self, given: Sequence[Any]) -> dict[str, Any]:
        row = dict(zip(self._columns, given, strict=True))
        for name, convert in self._converters:
            row[name] = convert(row[name])
        return row


def insert_once(table: Table) -> Statement:
    """Insert a whole row unless one with the same key stands there; `run` tells 1 or 0."""
    return Statement(lambda dialect: _insert(table, dialect))


_inserts: dict[tuple[str, str], Insert] = {}


def insert_if_absent(connection: Connection, table: Table, values: Values) -> bool:
    """Insert a row, of which `values` may name some columns only, unless one with the same key stands there.

    Returns:
        Whether it was inserted.
    """
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
