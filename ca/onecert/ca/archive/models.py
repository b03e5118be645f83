"""Tables of archives, as `migrations/` makes them."""

from __future__ import annotations

import hashlib

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from onecert.ca.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["archived_certificates", "archives", "order_digest"]

# One file of certificates that ended in one month, and how far their removal is.
archives = Table(
    "ca_archives",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", String(96), nullable=False, unique=True),
    Column("authority", String(64), nullable=False),
    Column("ended_from", UtcDateTime, nullable=False),
    Column("ended_until", UtcDateTime, nullable=False),  # not in it
    Column("file", Text, nullable=False),  # where it was written
    Column("sha256", String(64), nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("certificates", Integer, nullable=False),
    Column("segments", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # exported | removing | removed | given-up
    Column("exported_at", UtcDateTime, nullable=False),
    Column("exported_by", String(128), nullable=False),
    Column("approvals", Text, nullable=False, server_default="[]"),  # JSON: officer, person, document
    Column("segments_removed", Integer, nullable=False, server_default="0"),
    Column("removed_at", UtcDateTime, nullable=True),
    Index("ca_archives_by_month", "authority", "ended_from"),
)

# What stays of each certificate whose records were removed: a serial and an order are never used again, and
# the status is answered as before.
archived_certificates = Table(
    "ca_archived_certificates",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("serial", String(40), primary_key=True),
    Column("archive", Integer, nullable=False),
    Column("order_sha256", String(32), nullable=False),  # the first half of the hash of its number
    Column("revoked_at", UtcDateTime, nullable=True),  # null: it was good when it ended
    Column("reason", String(24), nullable=True),
    Index("ca_archived_certificates_by_order", "order_sha256"),
)


def order_digest(order_id: str) -> str:
    """How the number of an order is remembered once its records are removed."""
    return hashlib.sha256(order_id.encode()).hexdigest()[:32]
