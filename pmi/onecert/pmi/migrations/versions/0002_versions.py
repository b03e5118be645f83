"""What every decision asks of policies and authorities is answered from an index.

Their rows hold documents and certificates, which SQLite would otherwise walk through for the columns behind.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("pmi_authorities_versions", "pmi_authorities", ["status_version", "installed_at"])
    op.create_index("pmi_policies_active", "pmi_policies", ["active", "name", "version", "sha256"])
