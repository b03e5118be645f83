"""Small helpers for statements that read the same on both database engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["insert_if_absent"]

_statements: dict[tuple[str, str], Insert] = {}


def insert_if_absent(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one with the same key stands there; tell whether it was inserted."""
    dialect = connection.dialect.name
    statement = _statements.get((dialect, table.name))
    if statement is None:
        made = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
        # Without the option, SQLAlchemy does not ask PostgreSQL's driver how many rows an INSERT made.
        counted = made.on_conflict_do_nothing().execution_options(preserve_rowcount=True)
        statement = _statements.setdefault((dialect, table.name), counted)
    return connection.execute(statement, values).rowcount == 1
