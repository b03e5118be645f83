"""Evidence files.

Revision ID: 0007
"""

revision = "0007"
down_revision = "0006"
compatible_with = "0005"


def upgrade() -> None:
    """Nothing yet."""
