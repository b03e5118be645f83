"""Profiles as signed, versioned data, and what is known about weak keys.

Revision ID: 0006
"""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Nothing yet."""
