"""Tables of the search: which certificates of a stretch of the trail have a token. See `search_index`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, SmallInteger, Table

from onecert.ca.models import metadata

__all__ = ["cursor", "postings"]

postings = Table(
    "ca_search_postings",
    metadata,
    Column("token", BigInteger, primary_key=True, autoincrement=False),
    Column("segment", Integer, primary_key=True, autoincrement=False),
    Column("offsets", LargeBinary, nullable=False),  # see `search_index.encoded`
    sqlite_with_rowid=False,
)

cursor = Table(
    "ca_search_cursor",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),  # 1
    Column("segment", Integer, nullable=False),  # the first that has no postings yet
)
