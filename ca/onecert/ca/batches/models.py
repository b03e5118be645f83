"""Tables of batches, as `migrations/` makes them."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table, Text, text

from onecert.ca.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["batch_chunks", "batches"]

# Many orders under one signature. The signed head names the parts of its lines by their hashes.
batches = Table(
    "ca_batches",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("content_sha256", String(64), nullable=False),
    Column("registration_authority", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # arriving | accepted | done | cancelled
    Column("lines", Integer, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, nullable=True),
    Column("document", LargeBinary, nullable=False),  # the signed head
    Index(
        "ca_batches_open",
        "received_at",
        sqlite_where=text("state = 'accepted'"),
        postgresql_where=text("state = 'accepted'"),
    ),
)

# The lines of a batch, so many at a time as go through one transaction.
batch_chunks = Table(
    "ca_batch_chunks",
    metadata,
    Column("batch", String(64), primary_key=True),
    Column("first_line", Integer, primary_key=True, autoincrement=False),  # the first line is 1
    Column("lines", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # waiting | begun | done | cancelled
    Column("issued", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),  # the lines as they came, compressed (zlib)
    Column("results", Text, nullable=True),  # JSON, one entry a line, once done
    Column("claimed_by", String(16), nullable=True),  # the process that works on it
    Column("claimed_until", UtcDateTime, nullable=True),
    Index(
        "ca_batch_chunks_open",
        "batch",
        "first_line",
        sqlite_where=text("state IN ('waiting', 'begun')"),
        postgresql_where=text("state IN ('waiting', 'begun')"),
    ),
)
