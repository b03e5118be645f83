"""Tables of review and filing.

A remark is one reason of a return at one field; those with the highest revision are the present ones. A
pick says who is looking at an application just now: it keeps colleagues off for some minutes and forbids
nothing.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from onecert.ra.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["filings", "picks", "remarks"]

_Sequence = BigInteger().with_variant(Integer, "sqlite")

remarks = Table(
    "ra_remarks",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("application_id", String(36), nullable=False),
    Column("revision", Integer, nullable=False),  # of the application once it was returned
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("code", String(32), nullable=False),  # see review/reasons.py
    Column("field", String(32), nullable=False),  # empty: the application as a whole
    Column("words", Text, nullable=False),
    Index("ra_remarks_by_application", "application_id", "revision", "seq"),
)

picks = Table(
    "ra_picks",
    metadata,
    Column("application_id", String(36), primary_key=True),
    Column("operator_id", String(64), nullable=False),
    Column("until", UtcDateTime, nullable=False),
)

filings = Table(
    "ra_filings",
    metadata,
    Column("application_id", String(36), primary_key=True),
    Column("place", String(64), nullable=False),  # box or shelf number of the archive
    Column("papers", Text, nullable=False),  # JSON list of what was there, see review/filing.py
    Column("note", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(64), nullable=False),
    Index("ra_filings_by_place", "place"),
)
