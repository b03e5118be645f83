"""Revocation lists in partitions, and delta lists.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0002"
down_revision = "0001"

_NOT_GOOD = sa.text("status <> 'good'")


def upgrade() -> None:
    # Every default is what a row of before means, and what code that still runs leaves out.
    op.add_column(
        "ca_authorities", sa.Column("crl_partitions", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "ca_authorities", sa.Column("crl_delta_s", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "ca_certificates", sa.Column("crl_partition", sa.Integer(), nullable=False, server_default="0")
    )
    op.create_index(
        "ca_certificates_not_good_by_partition",
        "ca_certificates",
        ["authority", "crl_partition", "not_after"],
        sqlite_where=_NOT_GOOD,
        postgresql_where=_NOT_GOOD,
    )
    op.add_column(
        "ca_crl_entries", sa.Column("crl_partition", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "ca_crl_entries", sa.Column("status_version", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.create_index("ca_crl_entries_by_version", "ca_crl_entries", ["authority", "status_version"])
    op.create_index(
        "ca_crl_entries_by_partition", "ca_crl_entries", ["authority", "crl_partition", "status_version"]
    )
    op.create_index("ca_crl_entries_by_end", "ca_crl_entries", ["authority", "not_after"])
    op.create_table(
        "ca_crl_removals",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("serial", sa.String(40), primary_key=True),
        sa.Column("crl_partition", sa.Integer(), nullable=False),
        sa.Column("status_version", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=False),
    )
    op.create_index("ca_crl_removals_by_version", "ca_crl_removals", ["authority", "status_version"])
    op.create_index(
        "ca_crl_removals_by_partition", "ca_crl_removals", ["authority", "crl_partition", "status_version"]
    )
    op.add_column("ca_crls", sa.Column("crl_partition", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("ca_crls", sa.Column("entries_since", UtcDateTime(), nullable=True))
    op.add_column("ca_crls", sa.Column("delta_der", sa.LargeBinary(), nullable=True))
    op.add_column("ca_crls", sa.Column("delta_sha256", sa.String(64), nullable=True))
    op.add_column("ca_crls", sa.Column("delta_entries", sa.BigInteger(), nullable=True))
    op.add_column("ca_crls", sa.Column("delta_next_update", UtcDateTime(), nullable=True))
    op.add_column("ca_crls", sa.Column("delta_tbs_sha256", sa.String(64), nullable=True))
    op.add_column("ca_crls", sa.Column("base_number", sa.BigInteger(), nullable=True))
    op.create_index("ca_crls_by_partition", "ca_crls", ["authority", "crl_partition", "number"])
    op.create_index("ca_crls_by_end", "ca_crls", ["authority", "crl_partition", "next_update"])
