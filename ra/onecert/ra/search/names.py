"""From a part of a name to the names that have it, best first, a bounded number of rows at a time.

First the name itself, then those that begin with the text, then those that contain it. A text of several
words is looked for by its longest; the others are compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, select, tuple_

from onecert.ra.search.tables import PART_CHARS, name_parts, names
from onecert.ra.search.terms import START, TOP, parts_of, spelled

__all__ = ["Found", "Place", "find_names"]

# Rows that one look reads at most: some tens of milliseconds on either engine, whatever was typed.
SCAN = 4000
CHUNK = 200


@dataclass(frozen=True)
class Place:
    """Where to go on: which of the two ranges, and the row before the first that is still to be read."""

    inside: bool = False
    part: str = ""
    name_id: int = 0


@dataclass(frozen=True)
class Found:
    """A name, and the place after it."""

    name: str
    after: Place


class _Row(NamedTuple):
    part: str
    id: int
    name: str


def find_names(
    connection: Connection, text: str, *, after: Place | None = None, scan: int = SCAN
) -> tuple[Sequence[Found], Place | None]:
    """Read on from a place.

    Returns:
        some names in their order, and where to go on; None: that was all.
    """
    typed = [spelled(word) for word in text.split()]
    if not any(typed):
        return [], None
    begins, words = typed[0], sorted(typed, key=len, reverse=True)
    place, read = after or Place(), 0
    found: list[Found] = []
    while read < scan and len(found) < CHUNK:
        key = (words[0] if place.inside else START + begins)[:PART_CHARS]
        rows = _rows(connection, key, place)
        read += max(len(rows), 1)
        for row in rows:
            place = Place(place.inside, row.part, row.id)
            name = spelled(row.name)
            # What begins with it was found in the first range; what has it twice counts at the first place.
            is_first = not place.inside or row.part == _first_part(row.name, key)
            if is_first and name.startswith(begins) is not place.inside and all(w in name for w in words):
                found.append(Found(row.name, place))
        if len(rows) < CHUNK:
            if place.inside:
                return found, None
            place = Place(inside=True)
    return found, place


def _first_part(name: str, key: str) -> str:
    return next((part for part in parts_of(name) if part.startswith(key)), "")


def _rows(connection: Connection, key: str, place: Place) -> Sequence[_Row]:
    """Two looks and not a join, so that no engine thinks of sorting what the first has in order."""
    parts = name_parts.c
    query = (
        select(parts.part, parts.name_id)
        .where(parts.part >= key, parts.part < key + TOP)
        .order_by(parts.part, parts.name_id)
        .limit(CHUNK)
    )
    if place.part:
        query = query.where(tuple_(parts.part, parts.name_id) > (place.part, place.name_id))
    rows = connection.execute(query).all()
    ids = {row.name_id for row in rows}
    if not ids:
        return []
    known = {row.id: row.name for row in connection.execute(select(names).where(names.c.id.in_(ids)))}
    return [_Row(row.part, row.name_id, known[row.name_id]) for row in rows if row.name_id in known]
