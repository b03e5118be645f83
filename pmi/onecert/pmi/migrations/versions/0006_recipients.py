"""Who may read the encrypted attributes of a grant.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("pmi_grants", sa.Column("recipient_der", sa.LargeBinary(), nullable=True))
