"""Keys made at the counter and in the browser, and their delivery.

Revision ID: 0008
"""

revision = "0008"
down_revision = "0007"
compatible_with = "0005"


def upgrade() -> None:
    """Nothing yet."""
