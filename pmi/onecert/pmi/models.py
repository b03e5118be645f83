"""Tables of the PMI, as `migrations/` makes them. SQLAlchemy Core; the same on SQLite and PostgreSQL.

Serials are lower-case hex without leading zeros. A row of `certificates` is made before the key is used
(state `intended`) and stays for good: whatever may have been signed has a row and can be revoked.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from onecert.server.database import UtcDateTime

__all__ = [
    "acrls",
    "authorities",
    "catalogues",
    "certificate_roles",
    "certificates",
    "grants",
    "metadata",
    "policies",
]

metadata = MetaData()

authorities = Table(
    "pmi_authorities",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("key_label", String(64), nullable=False),
    Column("algorithm", String(16), nullable=False),
    Column("certificate_der", LargeBinary, nullable=True),  # null: requested, not yet installed
    Column("chain_pem", Text, nullable=False),
    # Grows with each change of a certificate's status; a list made at an older value is out of date.
    Column("status_version", BigInteger, nullable=False),
    Column("acrl_number", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("installed_at", UtcDateTime, nullable=True),
    Index("pmi_authorities_versions", "status_version", "installed_at"),
)

catalogues = Table(
    "pmi_catalogues",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),  # canonical JSON, never changed
    Column("sha256", String(64), nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("published_by", String(256), nullable=False),
)

grants = Table(
    "pmi_grants",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("authority", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # waiting | approved | issued
    Column("content_sha256", String(64), nullable=False),  # what is approved is what was shown
    Column("holder_der", LargeBinary, nullable=False),
    Column("holder_name", String(512), nullable=False),
    Column("entity", String(128), nullable=False),
    Column("roles", Text, nullable=False),  # JSON list
    Column("targets", Text, nullable=False),  # JSON list
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
    Column("needs_approval", Boolean, nullable=False),
    Column("requested_by", String(64), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("approved_by", String(64), nullable=True),
    Column("approved_at", UtcDateTime, nullable=True),
    Column("serial", String(40), nullable=True),  # of the certificate, once issued
    Index("pmi_grants_by_state", "state", "requested_at"),
)

certificates = Table(
    "pmi_certificates",
    metadata,
    Column("serial", String(40), primary_key=True),
    Column("authority", String(64), nullable=False),
    Column("grant_id", String(36), nullable=False),
    Column("state", String(16), nullable=False),  # intended | issued | revoked | abandoned
    Column("holder_sha256", String(64), nullable=False),  # of the identity certificate
    Column("holder_name", String(512), nullable=False),
    Column("entity", String(128), nullable=False),  # canonical id of the holder
    Column("info_der", LargeBinary, nullable=False),  # what is or may have been signed
    Column("certificate_der", LargeBinary, nullable=True),
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
    Column("intended_at", UtcDateTime, nullable=False),
    Column("issued_at", UtcDateTime, nullable=True),
    Column("revoked_at", UtcDateTime, nullable=True),
    Column("reason", String(32), nullable=True),
    Column("revoked_by", String(256), nullable=True),
    Index("pmi_certificates_by_holder", "holder_sha256"),
    Index("pmi_certificates_by_entity", "entity"),
    Index("pmi_certificates_by_state", "authority", "state", "not_after"),
    Index("pmi_certificates_by_grant", "grant_id"),
)

certificate_roles = Table(
    "pmi_certificate_roles",
    metadata,
    Column("role", String(512), primary_key=True),
    Column("serial", String(40), primary_key=True),
    Index("pmi_certificate_roles_by_serial", "serial"),
)

acrls = Table(
    "pmi_acrls",
    metadata,
    Column("authority", String(64), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("status_version", BigInteger, nullable=False),
    Column("this_update", UtcDateTime, nullable=False),
    Column("next_update", UtcDateTime, nullable=False),
    Column("tbs_der", LargeBinary, nullable=False),  # on record before the key is used
    Column("acrl_der", LargeBinary, nullable=True),
)

policies = Table(
    "pmi_policies",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("sha256", String(64), nullable=False),
    Column("document", LargeBinary, nullable=False),  # signed, never changed
    Column("active", Boolean, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("published_by", String(256), nullable=False),
    Index("pmi_policies_active", "active", "name", "version", "sha256"),
)
