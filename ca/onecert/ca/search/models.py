"""Tables of the search: which certificates of a stretch of the trail have a token. See `search_segments`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, SmallInteger, Table

from onecert.ca.models import metadata

__all__ = ["cursor", "postings"]

PLACE = BigInteger().with_variant(Integer(), "sqlite")

postings = Table(
    "ca_search_postings",
    metadata,
    # The bucket and, in the lower 32 bits, the segment: SQLite keeps the rows in this order.
    Column("place", PLACE, primary_key=True, autoincrement=False),
    Column("bucket", LargeBinary, nullable=False),
)

cursor = Table(
    "ca_search_cursor",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),  # 1
    Column("segment", Integer, nullable=False),  # the first that has no postings yet
)
