"""Profiles as signed, versioned data, and what is known about weak keys.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0006"
down_revision = "0005"
compatible_with = "0005"


def upgrade() -> None:
    op.add_column("ca_profiles", sa.Column("document", sa.LargeBinary(), nullable=True))
    op.add_column("ca_profiles", sa.Column("in_force_from", UtcDateTime(), nullable=True))
    op.add_column("ca_profiles", sa.Column("withdrawn_at", UtcDateTime(), nullable=True))
    op.create_table(
        "ca_profile_drafts",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("in_force_from", UtcDateTime(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.Column("signatures", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
    )
    op.create_index("ca_profile_drafts_by_state", "ca_profile_drafts", ["state", "authority", "name"])
    op.create_table(
        "ca_key_fingerprints",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("reason", sa.String(128), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
    )
