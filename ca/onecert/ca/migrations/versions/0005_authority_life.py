"""How authorities come, change and go: cross-certificates, keys in shares, roll-over, end.

Revision ID: 0005
"""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Nothing yet."""
