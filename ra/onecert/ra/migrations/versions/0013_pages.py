"""What the pages remember.

Revision ID: 0013
"""

revision = "0013"
down_revision = "0012"
compatible_with = "0005"


def upgrade() -> None:
    """Nothing yet."""
