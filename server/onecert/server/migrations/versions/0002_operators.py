"""Operators, their certificates, one-time links, sessions and refused sign-ins.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "operators",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("valid_until", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("suspended_at", UtcDateTime(), nullable=True),
    )
    op.create_index("operators_person", "operators", ["person"])
    op.create_table(
        "operator_certificates",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("operator_id", sa.String(64), sa.ForeignKey("operators.id"), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("serial_hex", sa.String(64), nullable=False),
        sa.Column("not_after", UtcDateTime(), nullable=False),
        sa.Column("bound_at", UtcDateTime(), nullable=False),
    )
    op.create_index("operator_certificates_operator", "operator_certificates", ["operator_id"])
    op.create_table(
        "sign_in_links",
        sa.Column("token_sha256", sa.String(64), primary_key=True),
        sa.Column("operator_id", sa.String(64), sa.ForeignKey("operators.id"), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
    )
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.String(64), primary_key=True),
        sa.Column("operator_id", sa.String(64), sa.ForeignKey("operators.id"), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("certificate_sha256", sa.String(64), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("notices", sa.Text(), nullable=False),
    )
    op.create_index("sessions_operator", "sessions", ["operator_id"])
    op.create_index("sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "sign_in_failures",
        sa.Column("source", sa.String(64), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("window_ends_at", UtcDateTime(), nullable=False),
    )
