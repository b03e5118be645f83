"""The long form of an application: what was found out at submitting, and why a renewal is early.

Columns that may be empty and one index: nothing is rewritten, programs of before go on. What they approve was
submitted by them, without such findings; what this program submitted they return, because its hash has more.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
compatible_with = "0002"


def upgrade() -> None:
    op.add_column("ra_applications", sa.Column("findings", sa.Text(), nullable=True))
    op.add_column("ra_applications", sa.Column("follows_early", sa.String(200), nullable=True))
    op.create_index("ra_applications_by_author", "ra_applications", ["created_by", "seq"])
