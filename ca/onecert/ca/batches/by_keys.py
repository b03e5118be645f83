"""The rows of many keys in one question, asked of the driver: a chunk asks it of several tables."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Column, Table

from onecert.server.statements import Act

__all__ = ["ByKeys"]


class ByKeys:
    """A query for the rows of some keys, on the cursor of an act.

    Args:
        key: the column of the keys.
        columns: what is read, as the driver gives it: no times.
    """

    def __init__(self, key: Column[Any], *columns: Column[Any]) -> None:
        table: Table = key.table
        self._columns = [column.name for column in columns or table.c]
        self._sql = f"SELECT {', '.join(self._columns)} FROM {table.name} WHERE {key.name} IN "  # noqa: S608 - names of ours

    def find(self, act: Act, wanted: Collection[str], *, authority: str = "") -> list[dict[str, Any]]:
        """List the rows of these keys; where an authority is named, its rows."""
        if not wanted:
            return []
        mark = "?" if act.dialect == "sqlite" else "%s"
        scope, names = (f" AND authority = {mark}", [authority]) if authority else ("", [])
        act.cursor.execute(f"{self._sql}({', '.join([mark] * len(wanted))}){scope}", [*wanted, *names])
        return [dict(zip(self._columns, row, strict=True)) for row in act.cursor.fetchall()]
