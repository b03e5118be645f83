"""The stock of tokens (介质), each by its serial number; passes of the program on the counter's PC."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint

from onecert.ra.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["counter_passes", "media", "media_events"]

media = Table(
    "ra_media",
    metadata,
    Column("token_number", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("point", String(32), nullable=False),
    Column("state", String(16), nullable=False),  # stock | used | spoiled | returned
    Column("state_since", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("application_id", String(36), nullable=True),
    Column("authority", String(64), nullable=True),
    Column("serial_hex", String(64), nullable=True),  # of the certificate written last
    Index("ra_media_by_point", "point", "state", "state_since"),
    Index("ra_media_by_application", "application_id"),
)

media_events = Table(
    "ra_media_events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("token_number", String(64), nullable=False),
    Column("point", String(32), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("event", String(16), nullable=False),  # received | key | written | unlocked | spoiled | returned
    Column("application_id", String(36), nullable=True),  # or the case, of an unlocking
    Column("note", Text, nullable=True),
    Column("certificate_sha256", String(64), nullable=True),  # of the actor's own certificate
    Index("ra_media_events_by_token", "token_number", "seq"),
    Index("ra_media_events_by_point", "point", "at"),
)

counter_passes = Table(
    "ra_counter_passes",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("operator_id", String(64), nullable=False),
    Column("certificate_sha256", String(64), nullable=True),  # of the operator who asked for the code
    Column("code_hmac", String(64), nullable=True),  # gone once it was used
    Column("code_until", UtcDateTime, nullable=False),
    Column("pass_sha256", String(64), nullable=True),
    Column("until", UtcDateTime, nullable=False),
    UniqueConstraint("code_hmac", name="ra_counter_passes_code"),
    UniqueConstraint("pass_sha256", name="ra_counter_passes_pass"),
    Index("ra_counter_passes_by_operator", "operator_id"),
)
