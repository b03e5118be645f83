"""The parts of an emergency, each a mass revocation of the CA. Programs of before go on.

Revision ID: 0014
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0014"
down_revision = "0013"
compatible_with = "0005"


def upgrade() -> None:
    op.create_table(
        "ra_emergency_parts",
        sa.Column("emergency_id", sa.String(36), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("first_item", sa.Integer(), nullable=False),
        sa.Column("last_item", sa.Integer(), nullable=False),
        sa.Column("mass_revocation", sa.String(36), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("proposal", sa.LargeBinary(), nullable=True),
        sa.Column("confirmation", sa.LargeBinary(), nullable=True),
        sa.Column("proposed_at", UtcDateTime(), nullable=True),
        sa.Column("frozen_at", UtcDateTime(), nullable=True),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("at_authority", sa.String(16), nullable=True),
        sa.Column("gone_through", sa.Integer(), nullable=False),
        sa.Column("is_exact", sa.Boolean(), nullable=False),
        sa.Column("crl_number", sa.BigInteger(), nullable=True),
        sa.Column("stop_by", sa.String(64), nullable=True),
        sa.Column("resume_by", sa.String(64), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
    )
