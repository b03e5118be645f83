"""Applications, orders, certificates and revocations of the registration authority.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0001"
down_revision = None


def _sequence() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "ra_applications",
        sa.Column("seq", _sequence(), primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("request_key", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("profile_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("state_since", UtcDateTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("uscc", sa.String(18), nullable=True),
        sa.Column("idcard_hmac", sa.String(64), nullable=True),
        sa.Column("idcard_masked", sa.String(18), nullable=True),
        sa.Column("entity_key", sa.String(160), nullable=True),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("personal_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("csr_pem", sa.Text(), nullable=False),
        sa.Column("key_sha256", sa.String(64), nullable=True),
        sa.Column("content_sha256", sa.String(64), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("submitted_by", sa.String(64), nullable=True),
        sa.Column("reviewed_by", sa.String(64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("order_id", sa.String(36), nullable=True),
        sa.UniqueConstraint("id", name="ra_applications_id"),
        sa.UniqueConstraint("request_key", name="ra_applications_request_key"),
    )
    op.create_index("ra_applications_by_state", "ra_applications", ["state", "state_since", "seq"])
    op.create_index("ra_applications_by_name", "ra_applications", ["name"])
    op.create_index("ra_applications_by_uscc", "ra_applications", ["uscc"])
    op.create_index("ra_applications_by_idcard", "ra_applications", ["idcard_hmac"])
    op.create_index("ra_applications_by_key", "ra_applications", ["key_sha256"])
    op.create_table(
        "ra_application_events",
        sa.Column("seq", _sequence(), primary_key=True, autoincrement=True),
        sa.Column("application_id", sa.String(36), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
    )
    op.create_index(
        "ra_application_events_by_application", "ra_application_events", ["application_id", "seq"]
    )
    op.create_table(
        "ra_claims",
        sa.Column("entity_key", sa.String(160), primary_key=True),
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("application_id", sa.String(36), nullable=False),
    )
    op.create_table(
        "ra_orders",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("application_id", sa.String(36), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("document_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
    )
    op.create_index("ra_orders_pending", "ra_orders", ["state", "next_attempt_at"])
    op.create_table(
        "ra_certificates",
        sa.Column("authority", sa.String(64), primary_key=True),
        sa.Column("serial_hex", sa.String(64), primary_key=True),
        sa.Column("application_id", sa.String(36), nullable=False),
        sa.Column("order_id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("uscc", sa.String(18), nullable=True),
        sa.Column("idcard_hmac", sa.String(64), nullable=True),
        sa.Column("idcard_masked", sa.String(18), nullable=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("certificate_pem", sa.Text(), nullable=False),
        sa.Column("chain_pem", sa.Text(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("not_after", UtcDateTime(), nullable=False),
        sa.Column("issued_at", UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("status_since", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.String(32), nullable=True),
        sa.UniqueConstraint("order_id", name="ra_certificates_order"),
    )
    op.create_index("ra_certificates_by_issued", "ra_certificates", ["issued_at"])
    op.create_index("ra_certificates_by_name", "ra_certificates", ["name"])
    op.create_index("ra_certificates_by_uscc", "ra_certificates", ["uscc"])
    op.create_index("ra_certificates_by_idcard", "ra_certificates", ["idcard_hmac"])
    op.create_index("ra_certificates_by_serial", "ra_certificates", ["serial_hex"])
    op.create_index("ra_certificates_by_application", "ra_certificates", ["application_id"])
    op.create_table(
        "ra_revocations",
        sa.Column("seq", _sequence(), primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("request_key", sa.String(128), nullable=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("serial_hex", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("invalidity_date", UtcDateTime(), nullable=True),
        sa.Column("requested_by", sa.String(64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("crl_number", sa.BigInteger(), nullable=True),
        sa.UniqueConstraint("id", name="ra_revocations_id"),
        sa.UniqueConstraint("request_key", name="ra_revocations_request_key"),
    )
    op.create_index("ra_revocations_pending", "ra_revocations", ["state", "next_attempt_at"])
    op.create_index("ra_revocations_by_certificate", "ra_revocations", ["authority", "serial_hex", "seq"])
    op.create_table(
        "ra_authority_snapshots",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
    )
    op.create_table(
        "ra_secrets",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
    )
