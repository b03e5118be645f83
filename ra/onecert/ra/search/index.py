"""Writing what the search finds by: parts of names, keyed hashes. In the transaction that writes the record.

Nothing is taken away: a name that no record has any more leads nowhere, and is asked about like any other.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, insert, select

from onecert.ra.search.tables import marks, name_parts, names
from onecert.ra.search.terms import mark_text, parts_of
from onecert.ra.vault.sealed import Vault
from onecert.server.statements import insert_if_absent

__all__ = ["MARKED", "marks_of", "remember_marks", "remember_name", "remember_names"]

# The sealed fields by which a record is found.
MARKED = ("email", "mobile", "agent_idcard")


def marks_of(vault: Vault, values: Mapping[str, str]) -> dict[str, str]:
    """Kind -> keyed hash (hex) of the sealed values; needs the token once after start, so no transaction."""
    return {
        kind: vault.search_hmac(mark_text(kind, values[kind]))
        for kind in MARKED
        if values.get(kind, "").strip()
    }


def remember_marks(connection: Connection, application_id: str, found: Mapping[str, str]) -> None:
    """Keep the hashes of an application; again changes nothing."""
    for kind, mark in found.items():
        insert_if_absent(connection, marks, {"mark": mark, "application_id": application_id, "kind": kind})


def remember_name(connection: Connection, name: str) -> None:
    """Keep a name and its parts; again changes nothing."""
    remember_names(connection, [name])


def remember_names(connection: Connection, wanted: Iterable[str]) -> int:
    """Keep names and their parts; tell how many were new."""
    distinct = sorted({name for name in wanted if name})
    if not distinct:
        return 0
    known = set(connection.scalars(select(names.c.name).where(names.c.name.in_(distinct))))
    new = [name for name in distinct if name not in known]
    made = [name for name in new if insert_if_absent(connection, names, {"name": name})]
    if not made:
        return 0
    rows = connection.execute(select(names.c.id, names.c.name).where(names.c.name.in_(made)))
    parts = [{"part": part, "name_id": row.id} for row in rows for part in parts_of(row.name)]
    if parts:
        connection.execute(insert(name_parts), parts)
    return len(made)
