"""Renewal, change and search.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0007"
down_revision = "0006"
compatible_with = "0006"

_WAITING = sa.text("state = 'waiting'")
# An INTEGER is where SQLite keeps the row itself.
_PLACE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "ca_successions",
        sa.Column("order_id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("new_authority", sa.String(64), nullable=True),
        sa.Column("new_serial", sa.String(40), nullable=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("reason", sa.String(24), nullable=True),
        sa.Column("revoke_when", sa.String(12), nullable=False),
        sa.Column("revoke_at", UtcDateTime(), nullable=True),
        sa.Column("ordered_by", sa.String(128), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("delivered_at", UtcDateTime(), nullable=True),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
    )
    op.create_index("ca_successions_by_old", "ca_successions", ["authority", "serial"])
    op.create_index("ca_successions_by_new", "ca_successions", ["new_authority", "new_serial"])
    op.create_index(
        "ca_successions_waiting",
        "ca_successions",
        ["recorded_at"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_table(
        "ca_search_postings",
        sa.Column("place", _PLACE, primary_key=True, autoincrement=False),
        sa.Column("bucket", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "ca_search_cursor",
        sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("segment", sa.Integer(), nullable=False),
    )
    op.bulk_insert(
        sa.table("ca_search_cursor", sa.column("id", sa.SmallInteger()), sa.column("segment", sa.Integer())),
        [{"id": 1, "segment": 0}],
    )
    op.create_index("ca_revocations_by_certificate", "ca_revocations", ["authority", "serial"])
    op.create_index("ca_certificates_by_begin", "ca_certificates", ["not_before"])
    op.create_index("ca_certificates_by_end", "ca_certificates", ["not_after"])
    for name, status in (("revoked", "<> 'good'"), ("held", "= 'hold'")):
        where = sa.text(f"status {status}")
        op.create_index(
            f"ca_certificates_by_revocation_{name}",
            "ca_certificates",
            ["revoked_at"],
            sqlite_where=where,
            postgresql_where=where,
        )
