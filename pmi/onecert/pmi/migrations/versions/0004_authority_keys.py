"""Keys of authorities before and after the present one; acts on authorities that two people do.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for table in ("pmi_authorities", "pmi_acrls"):
        op.add_column(table, sa.Column("generation", sa.Integer(), nullable=False, server_default="1"))
    op.create_table(
        "pmi_authority_keys",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("generation", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("key_label", sa.String(64), nullable=False),
        sa.Column("algorithm", sa.String(16), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=True),
        sa.Column("chain_pem", sa.Text(), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("replaced_at", UtcDateTime(), nullable=True),
        sa.Column("needed_until", UtcDateTime(), nullable=True),
    )
    op.create_table(
        "pmi_authority_acts",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("each_certificate", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.String(64), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("confirmed_by", sa.String(64), nullable=True),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
    )
    op.create_index("pmi_authority_acts_by_authority", "pmi_authority_acts", ["authority", "state"])
