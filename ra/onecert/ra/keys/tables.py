"""Where the key of an application was made; without a row the applicant's own software made it."""

from sqlalchemy import Column, String, Table

from onecert.ra.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["key_origins"]

key_origins = Table(
    "ra_key_origins",
    metadata,
    Column("application_id", String(36), primary_key=True),
    Column("origin", String(16), nullable=False),  # token | browser
    Column("key_sha256", String(64), nullable=False),  # counts only while the application has this key
    Column("token_number", String(64), nullable=True),
    Column("made_at", UtcDateTime, nullable=False),
    Column("made_by", String(64), nullable=False),  # operator id, or "applicant"
)
