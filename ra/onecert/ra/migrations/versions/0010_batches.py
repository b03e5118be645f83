"""Batches: many applications by one spreadsheet.

New tables; programs of before go on.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0010"
down_revision = "0009"
compatible_with = "0005"

_AT_WORK = sa.text("phase IN ('reading', 'checking', 'entering', 'ordering')")


def upgrade() -> None:
    _batches()
    op.create_table(
        "ra_batch_files",
        sa.Column("batch_id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("part", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("content_sealed", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "ra_batch_chunks",
        sa.Column("batch_id", sa.String(36), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("rows_sealed", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "ra_batch_rows",
        sa.Column("batch_id", sa.String(36), primary_key=True),
        sa.Column("row", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("excluded", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("masked", sa.String(18), nullable=False),
        sa.Column("entity_key", sa.String(160), nullable=True),
        sa.Column("key_sha256", sa.String(64), nullable=True),
        sa.Column("content_sha256", sa.String(64), nullable=True),
        sa.Column("remarks", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=True),
        sa.Column("application_id", sa.String(36), nullable=True),
    )
    op.create_index("ra_batch_rows_by_state", "ra_batch_rows", ["batch_id", "state", "row"])
    op.create_index("ra_batch_rows_by_entity", "ra_batch_rows", ["batch_id", "entity_key"])
    op.create_index("ra_batch_rows_by_key", "ra_batch_rows", ["batch_id", "key_sha256"])
    op.create_index("ra_batch_rows_by_application", "ra_batch_rows", ["application_id"])


def _batches() -> None:
    op.create_table(
        "ra_batches",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("request_key", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("state_since", UtcDateTime(), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("point", sa.String(32), nullable=False),
        sa.Column("project", sa.String(32), nullable=True),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("title", sa.String(128), nullable=False),
        sa.Column("file_name", sa.String(128), nullable=False),
        sa.Column("file_sha256", sa.String(64), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("salt_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("policy", sa.String(8), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("rows", "checked", "good", "warning", "duplicate", "error", "entered", "refused")
        ),
        sa.Column("content_sha256", sa.String(64), nullable=True),
        sa.Column("accepted", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("submitted_by", sa.String(64), nullable=True),
        sa.Column("reviewed_by", sa.String(64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.UniqueConstraint("id", name="ra_batches_id"),
        sa.UniqueConstraint("request_key", name="ra_batches_request_key"),
    )
    op.create_index("ra_batches_by_state", "ra_batches", ["state", "point", "seq"])
    op.create_index(
        "ra_batches_at_work",
        "ra_batches",
        ["seq"],
        sqlite_where=_AT_WORK,
        postgresql_where=_AT_WORK,
    )
