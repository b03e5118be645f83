"""Batches: many orders under one signature, kept in chunks that are worked on one by one.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "ca_batches",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("registration_authority", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=False),
    )
    open_batch = sa.text("state = 'accepted'")
    op.create_index(
        "ca_batches_open", "ca_batches", ["received_at"], sqlite_where=open_batch, postgresql_where=open_batch
    )
    op.create_table(
        "ca_batch_chunks",
        sa.Column("batch", sa.String(64), primary_key=True),
        sa.Column("first_line", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("results", sa.Text(), nullable=True),
    )
