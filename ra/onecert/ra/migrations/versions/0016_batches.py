"""Orders of a batch that go to the CA under one signature.

Programs of before go on; what they approve and order goes alone.

Revision ID: 0016
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0016"
down_revision = "0015"
compatible_with = "0005"

_APPROVED = sa.text("state = 'approved'")
_TOGETHER = sa.text("order_batch IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "ra_order_batches",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("batch_id", sa.String(36), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
    )
    op.create_index("ra_order_batches_of_batch", "ra_order_batches", ["batch_id", "state"])
    op.add_column("ra_orders", sa.Column("order_batch", sa.String(36), nullable=True))
    op.add_column("ra_orders", sa.Column("line", sa.Integer(), nullable=True))
    op.create_index(
        "ra_orders_of_batch",
        "ra_orders",
        ["order_batch", "line"],
        sqlite_where=_TOGETHER,
        postgresql_where=_TOGETHER,
    )
    op.add_column("ra_applications", sa.Column("batch_id", sa.String(36), nullable=True))
    op.create_index(
        "ra_applications_to_order",
        "ra_applications",
        ["batch_id", "seq"],
        sqlite_where=_APPROVED,
        postgresql_where=_APPROVED,
    )
