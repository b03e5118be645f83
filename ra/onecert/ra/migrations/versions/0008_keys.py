"""Keys made at the counter and in the browser, and their delivery.

New tables and a column that may be empty: nothing is rewritten, programs of before go on.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0008"
down_revision = "0007"
compatible_with = "0005"

HAS_TOKEN = sa.text("token_number IS NOT NULL")


def upgrade() -> None:
    op.add_column("ra_certificates", sa.Column("token_number", sa.String(64), nullable=True))
    op.create_index(
        "ra_certificates_by_token",
        "ra_certificates",
        ["token_number"],
        sqlite_where=HAS_TOKEN,
        postgresql_where=HAS_TOKEN,
    )
    op.create_table(
        "ra_key_origins",
        sa.Column("application_id", sa.String(36), primary_key=True),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("key_sha256", sa.String(64), nullable=False),
        sa.Column("token_number", sa.String(64), nullable=True),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("made_by", sa.String(64), nullable=False),
    )
    _media()
    _delivery()


def _media() -> None:
    op.create_table(
        "ra_media",
        sa.Column("token_number", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("point", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("state_since", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("application_id", sa.String(36), nullable=True),
        sa.Column("authority", sa.String(64), nullable=True),
        sa.Column("serial_hex", sa.String(64), nullable=True),
    )
    op.create_index("ra_media_by_point", "ra_media", ["point", "state", "state_since"])
    op.create_index("ra_media_by_application", "ra_media", ["application_id"])
    op.create_table(
        "ra_media_events",
        _sequence(),
        sa.Column("token_number", sa.String(64), nullable=False),
        sa.Column("point", sa.String(32), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("application_id", sa.String(36), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("certificate_sha256", sa.String(64), nullable=True),
    )
    op.create_index("ra_media_events_by_token", "ra_media_events", ["token_number", "seq"])
    op.create_index("ra_media_events_by_point", "ra_media_events", ["point", "at"])
    op.create_table(
        "ra_counter_passes",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("operator_id", sa.String(64), nullable=False),
        sa.Column("certificate_sha256", sa.String(64), nullable=True),
        sa.Column("code_hmac", sa.String(64), nullable=True),
        sa.Column("code_until", UtcDateTime(), nullable=False),
        sa.Column("pass_sha256", sa.String(64), nullable=True),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.UniqueConstraint("code_hmac", name="ra_counter_passes_code"),
        sa.UniqueConstraint("pass_sha256", name="ra_counter_passes_pass"),
    )
    op.create_index("ra_counter_passes_by_operator", "ra_counter_passes", ["operator_id"])


def _delivery() -> None:
    op.create_table(
        "ra_codes",
        _sequence(),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("application_id", sa.String(36), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("code_hmac", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_why", sa.String(16), nullable=True),
        sa.UniqueConstraint("id", name="ra_codes_id"),
    )
    op.create_index("ra_codes_by_application", "ra_codes", ["application_id", "purpose", "seq"])
    op.create_table(
        "ra_public_tries",
        sa.Column("key", sa.String(80), primary_key=True),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
    )
    op.create_index("ra_public_tries_by_since", "ra_public_tries", ["since"])
    op.create_table(
        "ra_deliveries",
        sa.Column("application_id", sa.String(36), primary_key=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("how", sa.String(16), nullable=False),
        sa.Column("operator_id", sa.String(64), nullable=True),
        sa.Column("document_type", sa.String(16), nullable=True),
        sa.Column("document_masked", sa.String(32), nullable=True),
        sa.Column("recipient_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("certificate_sha256", sa.String(64), nullable=True),
    )


def _sequence() -> sa.Column[int]:
    return sa.Column(
        "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
