"""Many certificates revoked by two people, and drills.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0008"
down_revision = "0007"
compatible_with = "0007"

_OPEN = sa.text("state IN ('confirmed', 'running')")


def upgrade() -> None:
    op.create_table(
        "ca_mass_revocations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("selection", sa.Text(), nullable=False),
        sa.Column("is_whole", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(24), nullable=False),
        sa.Column("invalidity_date", UtcDateTime(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("proposed_by", sa.String(128), nullable=False),
        sa.Column("people", sa.Text(), nullable=False),
        sa.Column("proposed_at", UtcDateTime(), nullable=False),
        sa.Column("frozen_by", sa.String(32), nullable=True),
        sa.Column("certificates", sa.Integer(), nullable=False),
        sa.Column("holders", sa.Integer(), nullable=False),
        sa.Column("already", sa.Integer(), nullable=False),
        sa.Column("serials_sha256", sa.String(64), nullable=True),
        sa.Column("confirmed_by", sa.String(128), nullable=True),
        sa.Column("confirmed_people", sa.Text(), nullable=True),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.Column("confirmation", sa.LargeBinary(), nullable=True),
        sa.Column("confirmation_sha256", sa.String(64), nullable=True),
        sa.Column("began_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("stopped_by", sa.String(128), nullable=True),
        sa.Column("stopped_at", UtcDateTime(), nullable=True),
        sa.Column("crl_number", sa.Integer(), nullable=True),
    )
    op.create_index(
        "ca_mass_revocations_open",
        "ca_mass_revocations",
        ["proposed_at"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index("ca_mass_revocations_by_time", "ca_mass_revocations", ["proposed_at", "id"])
    op.create_table(
        "ca_mass_revocation_chunks",
        sa.Column("mass_revocation", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("certificates", sa.Integer(), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("serials", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "ca_security_officers",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kid", sa.String(64), nullable=False, unique=True),
        sa.Column("key_pem", sa.Text(), nullable=False),
        sa.Column("token_label", sa.String(32), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
    )
    op.create_table(
        "ca_drills",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("began_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("refused_ms", sa.Integer(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
    )
    op.create_index("ca_drills_by_time", "ca_drills", ["authority", "began_at"])
