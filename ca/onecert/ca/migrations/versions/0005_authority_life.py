"""How authorities come, change and go: cross-certificates, keys in shares, roll-over, end.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0005"
down_revision = "0004"
compatible_with = "0004"


def upgrade() -> None:
    # An authority of before is active, ordered by its own name, and nobody's successor.
    op.add_column("ca_authorities", sa.Column("line", sa.String(64), nullable=True))
    op.add_column("ca_authorities", sa.Column("orders_from", UtcDateTime(), nullable=True))
    op.add_column("ca_authorities", sa.Column("predecessor", sa.String(64), nullable=True))
    op.add_column(
        "ca_authorities", sa.Column("state", sa.String(16), nullable=False, server_default="active")
    )
    op.create_table(
        "ca_authority_certificates",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=False),
        sa.Column("ceremony", sa.String(64), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "ca_authority_records",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("act", sa.String(32), primary_key=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "ca_destroyed_keys",
        sa.Column("label", sa.String(64), primary_key=True),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("destroyed_at", UtcDateTime(), nullable=False),
    )
