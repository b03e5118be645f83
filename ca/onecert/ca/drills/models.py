"""The table of drills, as `migrations/` makes it."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from onecert.ca.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["drills"]

drills = Table(
    "ca_drills",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),  # live | rehearsal
    Column("authority", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # running | done | late | failed
    Column("began_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, nullable=True),
    Column("actor", String(128), nullable=False),
    Column("refused_ms", Integer, nullable=True),  # from the request until every way of asking refuses
    Column("result", Text, nullable=True),  # JSON
    Index("ca_drills_by_time", "authority", "began_at"),
)
