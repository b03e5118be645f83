"""The security console.

Revision ID: 0011
"""

revision = "0011"
down_revision = "0010"
compatible_with = "0005"


def upgrade() -> None:
    """Nothing yet."""
