"""Review: remarks of returns, who reads what, where papers are filed, hand-over of key recoveries, and the
first of two reviewers.

New tables, one column that may be empty and two indexes; programs of before go on. The state `second_review`
is new to them: switch the setting `second_review` on when every process runs this revision.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0009"
down_revision = "0008"
compatible_with = "0005"


def upgrade() -> None:
    op.add_column("ra_applications", sa.Column("passed_on_by", sa.String(64), nullable=True))
    op.create_index("ra_applications_by_queue", "ra_applications", ["point", "state", "state_since", "seq"])
    op.create_index(
        "ra_applications_by_enterer", "ra_applications", ["created_by", "state", "state_since", "seq"]
    )
    op.create_table(
        "ra_remarks",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("application_id", sa.String(36), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("field", sa.String(32), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
    )
    op.create_index("ra_remarks_by_application", "ra_remarks", ["application_id", "revision", "seq"])
    op.create_table(
        "ra_picks",
        sa.Column("application_id", sa.String(36), primary_key=True),
        sa.Column("operator_id", sa.String(64), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "ra_filings",
        sa.Column("application_id", sa.String(36), primary_key=True),
        sa.Column("place", sa.String(64), nullable=False),
        sa.Column("papers", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
    )
    op.create_index("ra_filings_by_place", "ra_filings", ["place"])
    op.create_table(
        "ra_handovers",
        sa.Column("case_id", sa.String(36), primary_key=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("written_at", UtcDateTime(), nullable=True),
    )
    op.create_index("ra_handovers_by_written", "ra_handovers", ["written_at"])
