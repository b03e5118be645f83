"""Business types: what an application follows, and the word to the CA that a certificate was handed over.

Columns with a constant default or that may be empty: nothing is rewritten, programs of before go on.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
compatible_with = "0002"

DUE = sa.text("delivery = 'pending'")


def upgrade() -> None:
    op.add_column(
        "ra_applications", sa.Column("business", sa.String(16), nullable=False, server_default="new")
    )
    op.add_column("ra_applications", sa.Column("follows_authority", sa.String(64), nullable=True))
    op.add_column("ra_applications", sa.Column("follows_serial", sa.String(64), nullable=True))
    op.add_column("ra_applications", sa.Column("follows_reason", sa.String(32), nullable=True))
    op.add_column("ra_orders", sa.Column("delivery", sa.String(16), nullable=True))
    op.add_column("ra_orders", sa.Column("delivered_by", sa.String(64), nullable=True))
    op.create_index(
        "ra_orders_deliveries",
        "ra_orders",
        ["next_attempt_at"],
        sqlite_where=DUE,
        postgresql_where=DUE,
    )
