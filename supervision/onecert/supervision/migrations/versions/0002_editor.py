"""The reason of an emergency draft; certificates that the supervision knows, to preview a draft's effect.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("supervision_drafts", sa.Column("reason", sa.Text(), nullable=True))
    op.create_table(
        "supervision_known_certificates",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("added_by", sa.String(256), nullable=False),
    )
