"""Tables of mass revocations and of the security officers who confirm them, as `migrations/` makes them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, text

from onecert.ca.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["mass_revocation_chunks", "mass_revocations", "security_officers"]

_OPEN = text("state IN ('confirmed', 'running')")

# One decision about many certificates: what was asked, what was shown, who confirmed it, how it went.
mass_revocations = Table(
    "ca_mass_revocations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("content_sha256", String(64), nullable=False),
    Column("authority", String(64), nullable=False),
    # arriving | proposed | confirmed | running | stopped | done
    Column("state", String(16), nullable=False),
    Column("selection", Text, nullable=False),  # JSON, as it was signed
    Column("is_whole", Boolean, nullable=False),  # everything that the authority has issued
    Column("reason", String(24), nullable=False),
    Column("invalidity_date", UtcDateTime, nullable=True),
    Column("why", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),  # as it was signed
    Column("proposed_by", String(128), nullable=False),  # ra:<name> | operator:<id>
    Column("people", Text, nullable=False),  # JSON list
    Column("proposed_at", UtcDateTime, nullable=False),
    # Who writes the chunks now; another attempt takes over by writing its own.
    Column("frozen_by", String(32), nullable=True),
    Column("certificates", Integer, nullable=False),
    Column("holders", Integer, nullable=False),
    Column("already", Integer, nullable=False),  # revoked before it was proposed
    Column("serials_sha256", String(64), nullable=True),  # of the sorted serials, one a line
    Column("confirmed_by", String(128), nullable=True),
    Column("confirmed_people", Text, nullable=True),  # JSON list
    Column("confirmed_at", UtcDateTime, nullable=True),
    Column("confirmation", LargeBinary, nullable=True),
    Column("confirmation_sha256", String(64), nullable=True),
    Column("began_at", UtcDateTime, nullable=True),
    Column("finished_at", UtcDateTime, nullable=True),
    Column("stopped_by", String(128), nullable=True),
    Column("stopped_at", UtcDateTime, nullable=True),
    Column("crl_number", Integer, nullable=True),  # of the full list that has them all
    Index("ca_mass_revocations_open", "proposed_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ca_mass_revocations_by_time", "proposed_at", "id"),
)

# The frozen selection, sorted, so many serials at a time as go through one transaction.
mass_revocation_chunks = Table(
    "ca_mass_revocation_chunks",
    metadata,
    Column("mass_revocation", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 1
    Column("certificates", Integer, nullable=False),
    Column("is_done", Boolean, nullable=False),
    Column("changed", Integer, nullable=False),  # the others were revoked before
    Column("serials", LargeBinary, nullable=False),  # one a line, compressed (zlib)
)

# An operator of this service with a key on a token of their own, for which they alone know the PIN.
security_officers = Table(
    "ca_security_officers",
    metadata,
    Column("id", String(64), primary_key=True),  # of the operator's account
    Column("kid", String(64), nullable=False, unique=True),
    Column("key_pem", Text, nullable=False),
    Column("token_label", String(32), nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Column("removed_at", UtcDateTime, nullable=True),
)
