"""Archives of certificates that ended long ago, and what stays of each.

Revision ID: 0012
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0012"
down_revision = "0011"
compatible_with = "0011"


def upgrade() -> None:
    op.create_table(
        "ca_archives",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(96), nullable=False, unique=True),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("ended_from", UtcDateTime(), nullable=False),
        sa.Column("ended_until", UtcDateTime(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("certificates", sa.Integer(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("exported_at", UtcDateTime(), nullable=False),
        sa.Column("exported_by", sa.String(128), nullable=False),
        sa.Column("approvals", sa.Text(), nullable=False, server_default="[]"),
        sa.Column("segments_removed", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
    )
    op.create_index("ca_archives_by_month", "ca_archives", ["authority", "ended_from"])
    op.create_table(
        "ca_archived_certificates",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("serial", sa.String(40), primary_key=True),
        sa.Column("archive", sa.Integer(), nullable=False),
        sa.Column("order_sha256", sa.String(32), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.String(24), nullable=True),
    )
    op.create_index("ca_archived_certificates_by_order", "ca_archived_certificates", ["order_sha256"])
