"""Tables of reports: one row for each figure of a day and what it is broken down by.

`value` is 0 for counts; for waiting times it is the number of minutes, so that median and 95th percentile of
any period come out exactly as from the events, to the minute.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from onecert.ra.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["daily_figures", "rolled_days"]

daily_figures = Table(
    "ra_daily_figures",
    metadata,
    Column("figure", String(16), primary_key=True),
    Column("day", String(10), primary_key=True),  # ISO 8601, in the time zone of reports
    Column("point", String(32), primary_key=True),
    Column("authority", String(64), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("project", String(32), primary_key=True),  # empty: none
    Column("operator", String(80), primary_key=True),
    Column("reason", String(64), primary_key=True),  # empty: none
    Column("value", Integer, primary_key=True, autoincrement=False),
    Column("amount", BigInteger, nullable=False),
    Index("ra_daily_figures_by_day", "day"),
)

rolled_days = Table(
    "ra_rolled_days",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("zone", String(64), nullable=False),
    Column("sources", BigInteger, nullable=False),  # how many rows of the event tables it was counted from
    Column("rolled_at", UtcDateTime, nullable=False),
)
