"""Evidence files: what was shown, kept with its application or case.

A new table; programs of before go on.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0007"
down_revision = "0006"
compatible_with = "0005"


def upgrade() -> None:
    op.create_table(
        "ra_evidence",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("record", sa.String(16), nullable=False),
        sa.Column("record_id", sa.String(36), nullable=False),
        sa.Column("material", sa.String(32), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("media_type", sa.String(32), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("key_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("request_key", sa.String(128), nullable=True),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("added_by", sa.String(64), nullable=False),
        sa.Column("frozen_at", UtcDateTime(), nullable=True),
        sa.Column("set_aside_at", UtcDateTime(), nullable=True),
        sa.UniqueConstraint("id", name="ra_evidence_id"),
        sa.UniqueConstraint("record_id", "sha256", name="ra_evidence_content"),
        sa.UniqueConstraint("request_key", name="ra_evidence_request_key"),
    )
    op.create_index("ra_evidence_by_record", "ra_evidence", ["record_id", "seq"])
