"""Grants of any attribute, delegations, holds, batches, the states of authorities.

What was granted before were roles of sources of authority, by the holder's certificate.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _authorities()
    _grants()
    _certificates()
    op.create_table(
        "pmi_holds",
        sa.Column("serial", sa.String(40), primary_key=True),
        sa.Column("held_at", UtcDateTime(), primary_key=True),
        sa.Column("held_by", sa.String(256), nullable=False),
        sa.Column("released_at", UtcDateTime(), nullable=True),
        sa.Column("released_by", sa.String(256), nullable=True),
    )
    op.create_table(
        "pmi_batches",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("needs_approval", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.String(64), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("approved_by", sa.String(64), nullable=True),
        sa.Column("approved_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
    )
    op.create_index("pmi_batches_by_state", "pmi_batches", ["state", "requested_at"])


def _authorities() -> None:
    op.add_column("pmi_authorities", sa.Column("kind", sa.String(8), nullable=False, server_default="soa"))
    op.add_column(
        "pmi_authorities", sa.Column("state", sa.String(16), nullable=False, server_default="active")
    )
    op.add_column("pmi_authorities", sa.Column("state_at", UtcDateTime(), nullable=True))
    op.add_column("pmi_authorities", sa.Column("state_reason", sa.String(32), nullable=True))
    op.create_table(
        "pmi_authority_history",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("since", UtcDateTime(), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=True),
        sa.Column("changed_by", sa.String(256), nullable=False),
    )
    op.execute(
        "INSERT INTO pmi_authority_history (authority, since, state, reason, changed_by) "
        "SELECT name, installed_at, 'active', NULL, 'migration' FROM pmi_authorities "
        "WHERE installed_at IS NOT NULL"
    )


def _grants() -> None:
    for column in (
        sa.Column("kind", sa.String(16), nullable=False, server_default="grant"),
        sa.Column("holder_form", sa.String(16), nullable=False, server_default="certificate"),
        sa.Column("attributes", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("constraints", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("target_groups", sa.Text(), nullable=False, server_default="[]"),
        sa.Column("short_lived", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("audit_identity", sa.String(40), nullable=False, server_default=""),
        sa.Column("source", sa.String(64), nullable=False, server_default=""),
        sa.Column("batch_id", sa.String(36), nullable=True),
        sa.Column("refused_by", sa.String(64), nullable=True),
        sa.Column("refused_at", UtcDateTime(), nullable=True),
        sa.Column("refused_why", sa.String(512), nullable=False, server_default=""),
    ):
        op.add_column("pmi_grants", column)
    op.execute("""UPDATE pmi_grants SET attributes = '{"role": ' || roles || '}'""")
    op.drop_column("pmi_grants", "roles")
    op.create_index("pmi_grants_by_batch", "pmi_grants", ["batch_id", "state"])
    op.create_index("pmi_grants_by_entity", "pmi_grants", ["entity", "state"])


def _certificates() -> None:
    for column in (
        sa.Column("kind", sa.String(16), nullable=False, server_default="grant"),
        sa.Column("holder_form", sa.String(16), nullable=False, server_default="certificate"),
        sa.Column("key_sha256", sa.String(64), nullable=False, server_default=""),
        sa.Column("short_lived", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("under", sa.String(40), nullable=True),
        sa.Column("replaced_by", sa.String(40), nullable=True),
    ):
        op.add_column("pmi_certificates", column)
    op.create_index("pmi_certificates_by_key", "pmi_certificates", ["key_sha256"])
    op.create_index("pmi_certificates_by_under", "pmi_certificates", ["under"])
    op.create_index("pmi_certificates_by_end", "pmi_certificates", ["state", "not_after"])
    op.create_table(
        "pmi_certificate_attributes",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.String(512), primary_key=True),
        sa.Column("serial", sa.String(40), primary_key=True),
    )
    op.execute(
        "INSERT INTO pmi_certificate_attributes (name, value, serial) "
        "SELECT 'role', role, serial FROM pmi_certificate_roles"
    )
    op.create_index("pmi_certificate_attributes_by_serial", "pmi_certificate_attributes", ["serial"])
    op.drop_table("pmi_certificate_roles")
