"""An idempotency key that comes again must come with the same content.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Empty for applications of before: what their requests said cannot be told any more.
    op.add_column("ra_applications", sa.Column("request_hmac", sa.String(64), nullable=True))
