"""Tables that every service has, as `migrations/` makes them: audit trail, leased jobs, processes."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

from onecert.server.database import UtcDateTime

__all__ = [
    "audit_chain",
    "audit_entries",
    "audit_heads",
    "jobs",
    "metadata",
    "processes",
    "schema_compatibility",
]

metadata = MetaData()

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("service", String(64), nullable=False),
    Column("event", String(128), nullable=False),
    Column("actor", String(256), nullable=False),
    Column("subject", String(512), nullable=False),
    Column("details", Text, nullable=False),  # canonical JSON, exactly as hashed
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("audit_entries_by_subject", "subject", "seq"),
)

# The end of the chain. One row: its lock puts the writers in order, and entries that were deleted from the
# end of audit_entries no longer agree with it.
audit_chain = Table(
    "audit_chain",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    CheckConstraint("id = 1", name="audit_chain_is_one_row"),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("document", LargeBinary, nullable=False),  # signed head, JWS
)

jobs = Table(
    "jobs",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("due", UtcDateTime, nullable=False),
    Column("owner", String(128), nullable=True),
    Column("lease_until", UtcDateTime, nullable=True),  # nobody else takes it before then
    Column("runs", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),  # in a row
    Column("last_error", String(256), nullable=True),
    Column("last_success", UtcDateTime, nullable=True),
)

# The processes that run on this database now, and for a day those that ended without a word.
processes = Table(
    "processes",
    metadata,
    Column("id", String(16), primary_key=True),  # drawn at its start
    Column("role", String(16), nullable=False),  # service | status | worker
    Column("state", String(16), nullable=False),  # running | stopping
    Column("host", String(64), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(64), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
)

# Which older programs may go on with these tables; see migrations/run.py.
schema_compatibility = Table(
    "schema_compatibility",
    metadata,
    Column("package", String(64), primary_key=True),
    Column("revision", String(32), nullable=False),  # of the program that wrote this
    Column("oldest_code", String(32), nullable=False),
)
