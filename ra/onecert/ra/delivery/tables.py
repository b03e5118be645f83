"""One-time codes of applicants, how often strangers may try, and what was handed over to whom."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from onecert.ra.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["codes", "deliveries", "public_tries"]

codes = Table(
    "ra_codes",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False),
    Column("application_id", String(36), nullable=False),
    Column("purpose", String(16), nullable=False),  # key | fetch
    Column("code_hmac", String(64), nullable=False),  # keyed: a stolen database gives no code away
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("wrong", Integer, nullable=False),
    Column("used_at", UtcDateTime, nullable=True),  # first right use
    Column("ended_at", UtcDateTime, nullable=True),
    Column("ended_why", String(16), nullable=True),  # done | locked | replaced
    UniqueConstraint("id", name="ra_codes_id"),
    Index("ra_codes_by_application", "application_id", "purpose", "seq"),
)

public_tries = Table(
    "ra_public_tries",
    metadata,
    Column("key", String(80), primary_key=True),  # keyed hash of an address, or of an application number
    Column("since", UtcDateTime, nullable=False),
    Column("count", Integer, nullable=False),
    Index("ra_public_tries_by_since", "since"),
)

deliveries = Table(
    "ra_deliveries",
    metadata,
    Column("application_id", String(36), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("how", String(16), nullable=False),  # counter | post | fetched
    Column("operator_id", String(64), nullable=True),
    Column("document_type", String(16), nullable=True),
    Column("document_masked", String(32), nullable=True),
    Column("recipient_sealed", LargeBinary, nullable=True),  # JSON: name, document_type, document_number
    Column("certificate_sha256", String(64), nullable=True),  # of the actor's own certificate
)
