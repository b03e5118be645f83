"""The grants of a batch are read in the order of their numbers.

Revision ID: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.drop_index("pmi_grants_by_batch", table_name="pmi_grants")
    op.create_index("pmi_grants_by_batch", "pmi_grants", ["batch_id", "state", "id"])
