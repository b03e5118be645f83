"""Reports and notices: daily figures, mail to send, and the indexes they read by.

New tables and indexes; programs of before go on.

Revision ID: 0012
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0012"
down_revision = "0011"
compatible_with = "0005"

FOLLOWS = sa.text("follows_serial IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "ra_daily_figures",
        sa.Column("figure", sa.String(16), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("point", sa.String(32), primary_key=True),
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("project", sa.String(32), primary_key=True),
        sa.Column("operator", sa.String(80), primary_key=True),
        sa.Column("reason", sa.String(64), primary_key=True),
        sa.Column("value", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
    )
    op.create_index("ra_daily_figures_by_day", "ra_daily_figures", ["day"])
    op.create_table(
        "ra_rolled_days",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("sources", sa.BigInteger(), nullable=False),
        sa.Column("rolled_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "ra_notices",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("notice", sa.String(32), nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("about", sa.String(160), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("point", sa.String(32), nullable=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("content_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.String(200), nullable=True),
        sa.UniqueConstraint("id", name="ra_notices_id"),
        sa.UniqueConstraint("key", name="ra_notices_key"),
    )
    op.create_index("ra_notices_due", "ra_notices", ["state", "next_attempt_at"])
    op.create_index("ra_notices_by_about", "ra_notices", ["about", "seq"])
    op.create_table(
        "ra_notice_marks",
        sa.Column("step", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("not_after", UtcDateTime(), nullable=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("serial_hex", sa.String(64), nullable=False),
    )
    for name, table, columns in (
        ("ra_application_events_by_at", "ra_application_events", ["at", "seq"]),
        ("ra_revocations_by_answer", "ra_revocations", ["answered_at"]),
        ("ra_certificates_by_end", "ra_certificates", ["not_after", "authority", "serial_hex"]),
        ("ra_certificates_by_point_end", "ra_certificates", ["point", "not_after"]),
    ):
        op.create_index(name, table, columns)
    op.create_index(
        "ra_applications_by_followed",
        "ra_applications",
        ["follows_authority", "follows_serial"],
        sqlite_where=FOLLOWS,
        postgresql_where=FOLLOWS,
    )
