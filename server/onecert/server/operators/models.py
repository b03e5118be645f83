"""Tables of operators, their certificates, one-time links, sessions and refused sign-ins.

Secrets that travel (link and session tokens) are stored as SHA-256 only. Identity numbers are not stored
at all: ``person`` is an HMAC that tells two accounts of one person, see people.py.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text

from onecert.server.database import UtcDateTime
from onecert.server.models import metadata

__all__ = ["operator_certificates", "operators", "sessions", "sign_in_failures", "sign_in_links"]

operators = Table(
    "operators",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("roles", Text, nullable=False),  # JSON list, sorted
    Column("person", String(64), nullable=False),
    Column("valid_until", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("suspended_at", UtcDateTime, nullable=True),
    Index("operators_person", "person"),
)

operator_certificates = Table(
    "operator_certificates",
    metadata,
    Column("sha256", String(64), primary_key=True),  # of the DER, hex
    Column("operator_id", String(64), ForeignKey("operators.id"), nullable=False),
    Column("subject", Text, nullable=False),
    Column("serial_hex", String(64), nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
    Column("bound_at", UtcDateTime, nullable=False),
    Index("operator_certificates_operator", "operator_id"),
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("operator_id", String(64), ForeignKey("operators.id"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime, nullable=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("operator_id", String(64), ForeignKey("operators.id"), nullable=False),
    Column("method", String(16), nullable=False),  # "certificate" or "link"
    Column("certificate_sha256", String(64), nullable=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("notices", Text, nullable=False),  # JSON list of what the next page tells
    Index("sessions_operator", "operator_id"),
    Index("sessions_expires_at", "expires_at"),
)

sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("window_ends_at", UtcDateTime, nullable=False),
)
