"""Tables of the search: parts of names, keyed hashes of what is sealed, and how far old rows are done.

A name stands once in `ra_names`, however many certificates it has. Each of its endings, cut to eight
characters, is a row of `ra_name_parts`, so that any part of a name is the beginning of a row: a range of one
B-tree, on either engine (docs/decisions/0012). The parts are compared octet by octet.
"""

from sqlalchemy import Column, Index, Integer, String, Table, UniqueConstraint

from onecert.ra.models import _Sequence, metadata
from onecert.server.database import UtcDateTime

__all__ = ["PART_CHARS", "marks", "name_parts", "names", "search_tasks"]

PART_CHARS = 8
# PostgreSQL sorts by the language of the database unless told otherwise; SQLite always by octets.
_Part = String(PART_CHARS).with_variant(String(PART_CHARS, collation="C"), "postgresql")

names = Table(
    "ra_names",
    metadata,
    Column("id", _Sequence, primary_key=True, autoincrement=True),
    Column("name", String(128), nullable=False),  # as the records have it
    UniqueConstraint("name", name="ra_names_name"),
)

name_parts = Table(
    "ra_name_parts",
    metadata,
    Column("part", _Part, primary_key=True),
    Column("name_id", _Sequence, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

marks = Table(
    "ra_marks",
    metadata,
    Column("mark", String(64), primary_key=True),  # keyed hash of what is sealed
    Column("application_id", String(36), primary_key=True),
    Column("kind", String(16), nullable=False),  # email | mobile | agent_idcard
    Index("ra_marks_by_application", "application_id"),
)

search_tasks = Table(
    "ra_search_tasks",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("position", String(160), nullable=False),
    Column("done", Integer, nullable=False),
    Column("finished_at", UtcDateTime, nullable=True),
)
