"""Batches.

Revision ID: 0010
"""

revision = "0010"
down_revision = "0009"
compatible_with = "0005"


def upgrade() -> None:
    """Nothing yet."""
