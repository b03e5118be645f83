"""Tables of the emergency: the frozen set, its parts at the CA, and what became of each certificate."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from onecert.ra.models import _Sequence, metadata
from onecert.server.database import UtcDateTime

__all__ = ["emergencies", "emergency_items", "emergency_parts"]

emergencies = Table(
    "ra_emergencies",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False),
    Column("request_key", String(128), nullable=False),
    Column("is_drill", Boolean, nullable=False),
    Column("selection", Text, nullable=False),  # JSON: kind and what it names, as the page shows it
    Column("reason", String(32), nullable=False),
    Column("invalidity_date", UtcDateTime, nullable=True),
    Column("why", Text, nullable=False),
    Column("state", String(16), nullable=False),  # proposed | running | paused | done | refused
    Column("certificates", Integer, nullable=False),
    Column("holders", Integer, nullable=False),
    Column("left_out", Integer, nullable=False),  # already revoked or expired when it was frozen
    Column("content_sha256", String(64), nullable=False),
    Column("proposed_by", String(64), nullable=False),
    Column("proposed_certificate", String(64), nullable=True),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("decided_by", String(64), nullable=True),
    Column("decided_certificate", String(64), nullable=True),
    Column("decided_at", UtcDateTime, nullable=True),
    Column("note", Text, nullable=True),
    Column("began_at", UtcDateTime, nullable=True),
    Column("finished_at", UtcDateTime, nullable=True),
    UniqueConstraint("id", name="ra_emergencies_id"),
    UniqueConstraint("request_key", name="ra_emergencies_request_key"),
    Index("ra_emergencies_by_state", "state", "seq"),
)

emergency_items = Table(
    "ra_emergency_items",
    metadata,
    Column("emergency_id", String(36), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("authority", String(64), nullable=False),
    Column("serial_hex", String(64), nullable=False),
    Column("name", String(128), nullable=False),
    Column("state", String(16), nullable=False),  # waiting | posted | done | refused | already
    Column("revocation_id", String(36), nullable=True),
    Column("answered_at", UtcDateTime, nullable=True),
    Column("problem", Text, nullable=True),
    Index("ra_emergency_items_by_state", "emergency_id", "state", "number"),
    Index("ra_emergency_items_by_certificate", "authority", "serial_hex"),
)

emergency_parts = Table(
    "ra_emergency_parts",
    metadata,
    Column("emergency_id", String(36), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("authority", String(64), nullable=False),
    Column("first_item", Integer, nullable=False),
    Column("last_item", Integer, nullable=False),
    Column("mass_revocation", String(36), nullable=False),  # its number at the CA
    Column("state", String(16), nullable=False),  # open | carried | single | done
    Column("proposal", LargeBinary, nullable=True),  # the signed documents, as posted
    Column("confirmation", LargeBinary, nullable=True),
    Column("proposed_at", UtcDateTime, nullable=True),
    Column("frozen_at", UtcDateTime, nullable=True),
    Column("confirmed_at", UtcDateTime, nullable=True),
    Column("finished_at", UtcDateTime, nullable=True),
    Column("at_authority", String(16), nullable=True),
    Column("gone_through", Integer, nullable=False),
    Column("is_exact", Boolean, nullable=False),
    Column("crl_number", BigInteger, nullable=True),
    Column("stop_by", String(64), nullable=True),
    Column("resume_by", String(64), nullable=True),
    Column("problem", Text, nullable=True),
)
