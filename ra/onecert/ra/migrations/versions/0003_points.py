"""Acceptance points, projects, scopes of operators, four-eyes enrolment, and the certificate behind each act.

Columns are added with a constant default or may be empty, so nothing is rewritten; programs of before go on
and their rows belong to the main point.

Revision ID: 0003
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0003"
down_revision = "0002"
compatible_with = "0002"


def upgrade() -> None:
    op.create_table(
        "ra_points",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("address", sa.String(128), nullable=False),
        sa.Column("phone", sa.String(128), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
    )
    op.create_table(
        "ra_projects",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("point", sa.String(32), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
    )
    op.create_table(
        "ra_operator_scopes",
        sa.Column("operator_id", sa.String(64), primary_key=True),
        sa.Column("point", sa.String(32), primary_key=True),
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("profile", sa.String(64), primary_key=True),
    )
    op.create_table(
        "ra_enrolments",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("operator_id", sa.String(64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("person_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("asked_by", sa.String(64), nullable=False),
        sa.Column("asked_certificate", sa.String(64), nullable=True),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("decided_by", sa.String(64), nullable=True),
        sa.Column("decided_certificate", sa.String(64), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.UniqueConstraint("id", name="ra_enrolments_id"),
    )
    op.create_index("ra_enrolments_by_state", "ra_enrolments", ["state", "seq"])
    op.add_column("ra_applications", sa.Column("point", sa.String(32), nullable=False, server_default="main"))
    op.add_column("ra_applications", sa.Column("project", sa.String(32), nullable=True))
    op.add_column("ra_certificates", sa.Column("point", sa.String(32), nullable=False, server_default="main"))
    op.add_column("ra_application_events", sa.Column("certificate_sha256", sa.String(64), nullable=True))
    op.add_column("ra_revocations", sa.Column("certificate_sha256", sa.String(64), nullable=True))
    op.create_index("ra_applications_by_point", "ra_applications", ["point", "state", "seq"])
    op.create_index("ra_certificates_by_point", "ra_certificates", ["point", "issued_at"])
    points = sa.table(
        "ra_points",
        *(sa.column(name, sa.String()) for name in ("id", "name", "address", "phone")),
        sa.column("opened_at", UtcDateTime()),
    )
    main = {"id": "main", "name": "总受理点", "address": "", "phone": "", "opened_at": datetime.now(UTC)}
    op.bulk_insert(points, [main])
