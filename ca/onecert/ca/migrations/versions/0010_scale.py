"""Several processes: who made an intent, and who works on which chunk of a batch.

Columns that may be empty and an index on what is open alone: nothing is rewritten, however many rows there
are, and programs of before go on.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0010"
down_revision = "0009"
compatible_with = "0009"

OPEN = sa.text("state IN ('waiting', 'begun')")


def upgrade() -> None:
    op.add_column("ca_certificates", sa.Column("intended_by", sa.String(16), nullable=True))
    op.add_column("ca_batch_chunks", sa.Column("claimed_by", sa.String(16), nullable=True))
    op.add_column("ca_batch_chunks", sa.Column("claimed_until", UtcDateTime(), nullable=True))
    op.create_index(
        "ca_batch_chunks_open",
        "ca_batch_chunks",
        ["batch", "first_line"],
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    if op.get_bind().dialect.name == "postgresql":
        # Each certificate leaves one dead row (its intent). PostgreSQL's own setting waits for a fifth of the
        # table: of ten million, two million entries of the index of open intents.
        op.execute(
            "ALTER TABLE ca_certificates SET (autovacuum_vacuum_scale_factor = 0.02,"
            " autovacuum_analyze_scale_factor = 0.02)"
        )
