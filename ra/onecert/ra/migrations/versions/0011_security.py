"""The security console: search, emergencies, first sightings.

New tables, an empty column and indexes; programs of before go on. Old rows are filled by the job `ra.search`,
some hundred at a time, while the service runs; nothing is rewritten here.

Revision ID: 0011
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0011"
down_revision = "0010"
compatible_with = "0005"

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PART = sa.String(8).with_variant(sa.String(8, collation="C"), "postgresql")


def upgrade() -> None:
    _search()
    _emergencies()
    op.create_table(
        "ra_first_sightings",
        sa.Column("revocation_id", sa.String(36), primary_key=True),
        sa.Column("source", sa.String(16), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
    )


def _search() -> None:
    op.create_table(
        "ra_names",
        sa.Column("id", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.UniqueConstraint("name", name="ra_names_name"),
    )
    op.create_table(
        "ra_name_parts",
        sa.Column("part", _PART, primary_key=True),
        sa.Column("name_id", _SEQUENCE, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ra_marks",
        sa.Column("mark", sa.String(64), primary_key=True),
        sa.Column("application_id", sa.String(36), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
    )
    op.create_index("ra_marks_by_application", "ra_marks", ["application_id"])
    op.create_table(
        "ra_search_tasks",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("position", sa.String(160), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
    )
    op.add_column("ra_certificates", sa.Column("sha1", sa.String(40), nullable=True))
    op.create_index("ra_certificates_by_sha1", "ra_certificates", ["sha1"])
    op.create_index("ra_certificates_by_sha256", "ra_certificates", ["sha256"])
    # Newest first within a name or a number, without sorting; each does what the one of before did.
    for column in ("name", "uscc"):
        op.create_index(
            f"ra_certificates_of_{column}", "ra_certificates", [column, "issued_at", "serial_hex"]
        )
        op.drop_index(f"ra_certificates_by_{column}", "ra_certificates")
        op.create_index(f"ra_applications_of_{column}", "ra_applications", [column, "seq"])
        op.drop_index(f"ra_applications_by_{column}", "ra_applications")


def _emergencies() -> None:
    op.create_table(
        "ra_emergencies",
        sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("request_key", sa.String(128), nullable=False),
        sa.Column("is_drill", sa.Boolean(), nullable=False),
        sa.Column("selection", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("invalidity_date", UtcDateTime(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("certificates", sa.Integer(), nullable=False),
        sa.Column("holders", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("proposed_by", sa.String(64), nullable=False),
        sa.Column("proposed_certificate", sa.String(64), nullable=True),
        sa.Column("proposed_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("decided_by", sa.String(64), nullable=True),
        sa.Column("decided_certificate", sa.String(64), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("began_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.UniqueConstraint("id", name="ra_emergencies_id"),
        sa.UniqueConstraint("request_key", name="ra_emergencies_request_key"),
    )
    op.create_index("ra_emergencies_by_state", "ra_emergencies", ["state", "seq"])
    op.create_table(
        "ra_emergency_items",
        sa.Column("emergency_id", sa.String(36), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("serial_hex", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revocation_id", sa.String(36), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
    )
    op.create_index("ra_emergency_items_by_state", "ra_emergency_items", ["emergency_id", "state", "number"])
    op.create_index("ra_emergency_items_by_certificate", "ra_emergency_items", ["authority", "serial_hex"])
