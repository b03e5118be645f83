"""Reports and notices.

Revision ID: 0012
"""

revision = "0012"
down_revision = "0011"
compatible_with = "0005"


def upgrade() -> None:
    """Nothing yet."""
