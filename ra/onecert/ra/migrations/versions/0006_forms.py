"""The long form of an application.

Revision ID: 0006
"""

revision = "0006"
down_revision = "0005"
compatible_with = "0005"


def upgrade() -> None:
    """Nothing yet."""
