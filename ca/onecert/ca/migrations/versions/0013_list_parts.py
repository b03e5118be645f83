"""Long revocation lists are kept in parts that a list shares with the one before.

A new table and a column that may be empty: nothing is rewritten. A program of before makes its lists whole,
as ever, and passes over those that are kept in parts: their file is written by who made them.

Revision ID: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
compatible_with = "0012"


def upgrade() -> None:
    op.create_table(
        "ca_crl_parts",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("crl_partition", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    op.add_column("ca_crls", sa.Column("parts", sa.Text(), nullable=True))
