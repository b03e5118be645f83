"""Table of what follows what: one row for each order that follows a certificate."""

from __future__ import annotations

from sqlalchemy import Column, Index, String, Table, Text, text

from onecert.ca.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["DONE", "NOTHING", "VOID", "WAITING", "successions"]

# What is still to be done to the old certificate. It is written with the intent of the new one.
WAITING, DONE, VOID, NOTHING = "waiting", "done", "void", "nothing"

successions = Table(
    "ca_successions",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("authority", String(64), nullable=False),  # the old certificate
    Column("serial", String(40), nullable=False),
    # The new one; null while a replacement is only about to be made.
    Column("new_authority", String(64), nullable=True),
    Column("new_serial", String(40), nullable=True),
    Column("state", String(8), nullable=False),
    Column("reason", String(24), nullable=True),
    Column("revoke_when", String(12), nullable=False),  # never | first | issued | delivered | at
    Column("revoke_at", UtcDateTime, nullable=True),
    Column("ordered_by", String(128), nullable=False),
    Column("approved_by", Text, nullable=False),  # JSON list
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("delivered_at", UtcDateTime, nullable=True),
    Column("settled_at", UtcDateTime, nullable=True),
    Index("ca_successions_by_old", "authority", "serial"),
    Index("ca_successions_by_new", "new_authority", "new_serial"),
    Index(
        "ca_successions_waiting",
        "recorded_at",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
)
