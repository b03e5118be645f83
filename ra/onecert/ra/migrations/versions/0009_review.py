"""Review.

Revision ID: 0009
"""

revision = "0009"
down_revision = "0008"
compatible_with = "0005"


def upgrade() -> None:
    """Nothing yet."""
