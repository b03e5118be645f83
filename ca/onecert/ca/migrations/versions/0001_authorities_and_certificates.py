"""Everything a certification authority keeps: authorities, profiles, orders, certificates, lists.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "ca_authorities",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("issuer", sa.String(64), nullable=False),
        sa.Column("key_label", sa.String(64), nullable=False),
        sa.Column("algorithm", sa.String(16), nullable=False),
        sa.Column("serial", sa.String(40), nullable=True),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=True),
        sa.Column("crl_lifetime_s", sa.Integer(), nullable=False),
        sa.Column("ceremony", sa.String(64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("status_version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "ca_profiles",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("in_force", sa.Boolean(), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "ca_registration_authorities",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("key_id", sa.String(64), nullable=False, unique=True),
        sa.Column("key_pem", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "ca_orders",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("ordered_by", sa.String(128), nullable=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "ca_certificates",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("serial", sa.String(40), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("profile_version", sa.Integer(), nullable=False),
        sa.Column("profile_sha256", sa.String(64), nullable=False),
        sa.Column("entity", sa.String(160), nullable=False),
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("key_sha256", sa.String(64), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("not_after", UtcDateTime(), nullable=False),
        sa.Column("order_id", sa.String(64), nullable=False),
        sa.Column("tbs_der", sa.LargeBinary(), nullable=True),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=True),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.String(24), nullable=True),
        sa.Column("invalidity_date", UtcDateTime(), nullable=True),
    )
    op.create_index(
        "ca_certificates_by_entity",
        "ca_certificates",
        ["entity"],
    )
    op.create_index(
        "ca_certificates_not_good",
        "ca_certificates",
        ["authority", "not_after"],
        sqlite_where=sa.text("status <> 'good'"),
        postgresql_where=sa.text("status <> 'good'"),
    )
    op.create_index(
        "ca_certificates_unfinished",
        "ca_certificates",
        ["authority"],
        sqlite_where=sa.text("state = 'intended'"),
        postgresql_where=sa.text("state = 'intended'"),
    )
    op.create_table(
        "ca_keys",
        sa.Column("key_sha256", sa.String(64), primary_key=True),
        sa.Column("entity", sa.String(160), nullable=False),
    )
    op.create_table(
        "ca_key_numbers",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("entity", sa.String(160), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("key_sha256", sa.String(64), nullable=False),
    )
    op.create_index(
        "ca_key_numbers_by_key",
        "ca_key_numbers",
        ["authority", "entity", "key_sha256"],
        unique=True,
    )
    op.create_table(
        "ca_blocked_keys",
        sa.Column("key_sha256", sa.String(64), primary_key=True),
        sa.Column("reason", sa.String(128), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "ca_revocations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("requested_by", sa.String(128), nullable=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(24), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=False),
        sa.Column("status_version", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "ca_crl_entries",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("serial", sa.String(40), primary_key=True),
        sa.Column("not_after", UtcDateTime(), nullable=False),
        sa.Column("entry_der", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "ca_crls",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("this_update", UtcDateTime(), nullable=False),
        sa.Column("next_update", UtcDateTime(), nullable=False),
        sa.Column("status_version", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("tbs_sha256", sa.String(64), nullable=False),
        sa.Column("crl_der", sa.LargeBinary(), nullable=True),
        sa.Column("sha256", sa.String(64), nullable=True),
    )
    op.create_table(
        "ca_ceremonies",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("file_sha256", sa.String(64), nullable=False),
        sa.Column("file_text", sa.Text(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=True),
        sa.Column("begun_at", UtcDateTime(), nullable=False),
    )
