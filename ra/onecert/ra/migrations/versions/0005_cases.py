"""Cases: hold, release, revoke, unlock and key recovery, asked for by a clerk.

A new table; programs of before go on.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0005"
down_revision = "0004"
compatible_with = "0002"


def upgrade() -> None:
    op.create_table(
        "ra_cases",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("request_key", sa.String(128), nullable=False),
        sa.Column("business", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("state_since", UtcDateTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("point", sa.String(32), nullable=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("serial_hex", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("invalidity_date", UtcDateTime(), nullable=True),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("reviewed_by", sa.String(64), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("revocation_id", sa.String(36), nullable=True),
        sa.UniqueConstraint("id", name="ra_cases_id"),
        sa.UniqueConstraint("request_key", name="ra_cases_request_key"),
    )
    op.create_index("ra_cases_by_state", "ra_cases", ["state", "point", "seq"])
    op.create_index("ra_cases_by_certificate", "ra_cases", ["authority", "serial_hex", "seq"])
    op.create_index("ra_cases_by_revocation", "ra_cases", ["revocation_id"])
