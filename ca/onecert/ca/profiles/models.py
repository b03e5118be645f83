"""Table of the drafts of profiles, as `migrations/` makes it; installed versions are in `models.profiles`."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table, Text

from onecert.ca.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["profile_drafts"]

profile_drafts = Table(
    "ca_profile_drafts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("authority", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("text", Text, nullable=False),  # TOML as it was written
    Column("in_force_from", UtcDateTime, nullable=False),
    Column("payload", Text, nullable=False),  # JSON: what is signed
    Column("document", LargeBinary, nullable=True),  # with the signatures so far
    Column("signatures", Text, nullable=False),  # JSON list: officer, person, at
    Column("state", String(16), nullable=False),  # open | installed | discarded
    Column("revision", Integer, nullable=False),  # grows with each change
    Column("created_by", String(128), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ca_profile_drafts_by_state", "state", "authority", "name"),
)
