"""What CAs report to have issued: who may report, the certificates, the signed record.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0004"
down_revision = "0003"


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "supervision_reporters",
        sa.Column("service", sa.String(95), primary_key=True),
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("spki_pem", sa.Text(), nullable=False),
        sa.Column("entries", _number(), nullable=False),
        sa.Column("stated_until", UtcDateTime(), nullable=True),
        sa.Column("reported_at", UtcDateTime(), nullable=True),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("added_by", sa.String(256), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
    )
    op.create_table(
        "supervision_issuances",
        sa.Column("service", sa.String(95), sa.ForeignKey("supervision_reporters.service"), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("position", _number(), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("stated_at", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.UniqueConstraint("service", "position", name="supervision_issuances_position"),
    )
    op.create_table(
        "supervision_issuance_records",
        sa.Column("number", _number(), primary_key=True, autoincrement=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("positions", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.Column("issued_at", UtcDateTime(), nullable=False),
        sa.Column("next_update", UtcDateTime(), nullable=False),
    )
