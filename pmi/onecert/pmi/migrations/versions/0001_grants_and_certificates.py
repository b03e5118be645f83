"""Authorities, catalogues, grants, attribute certificates, revocation lists, policies.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "pmi_authorities",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("key_label", sa.String(64), nullable=False),
        sa.Column("algorithm", sa.String(16), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=True),
        sa.Column("chain_pem", sa.Text(), nullable=False),
        sa.Column("status_version", sa.BigInteger(), nullable=False),
        sa.Column("acrl_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("installed_at", UtcDateTime(), nullable=True),
    )
    op.create_table(
        "pmi_catalogues",
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("published_by", sa.String(256), nullable=False),
    )
    op.create_table(
        "pmi_grants",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("holder_der", sa.LargeBinary(), nullable=False),
        sa.Column("holder_name", sa.String(512), nullable=False),
        sa.Column("entity", sa.String(128), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("targets", sa.Text(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("not_after", UtcDateTime(), nullable=False),
        sa.Column("needs_approval", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.String(64), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("approved_by", sa.String(64), nullable=True),
        sa.Column("approved_at", UtcDateTime(), nullable=True),
        sa.Column("serial", sa.String(40), nullable=True),
    )
    op.create_index("pmi_grants_by_state", "pmi_grants", ["state", "requested_at"])
    op.create_table(
        "pmi_certificates",
        sa.Column("serial", sa.String(40), primary_key=True),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("grant_id", sa.String(36), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("holder_sha256", sa.String(64), nullable=False),
        sa.Column("holder_name", sa.String(512), nullable=False),
        sa.Column("entity", sa.String(128), nullable=False),
        sa.Column("info_der", sa.LargeBinary(), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=True),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("not_after", UtcDateTime(), nullable=False),
        sa.Column("intended_at", UtcDateTime(), nullable=False),
        sa.Column("issued_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.String(32), nullable=True),
        sa.Column("revoked_by", sa.String(256), nullable=True),
    )
    op.create_index("pmi_certificates_by_holder", "pmi_certificates", ["holder_sha256"])
    op.create_index("pmi_certificates_by_entity", "pmi_certificates", ["entity"])
    op.create_index("pmi_certificates_by_state", "pmi_certificates", ["authority", "state", "not_after"])
    op.create_index("pmi_certificates_by_grant", "pmi_certificates", ["grant_id"])
    op.create_table(
        "pmi_certificate_roles",
        sa.Column("role", sa.String(512), primary_key=True),
        sa.Column("serial", sa.String(40), primary_key=True),
    )
    op.create_index("pmi_certificate_roles_by_serial", "pmi_certificate_roles", ["serial"])
    op.create_table(
        "pmi_acrls",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("status_version", sa.BigInteger(), nullable=False),
        sa.Column("this_update", UtcDateTime(), nullable=False),
        sa.Column("next_update", UtcDateTime(), nullable=False),
        sa.Column("tbs_der", sa.LargeBinary(), nullable=False),
        sa.Column("acrl_der", sa.LargeBinary(), nullable=True),
    )
    op.create_table(
        "pmi_policies",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("published_by", sa.String(256), nullable=False),
    )
