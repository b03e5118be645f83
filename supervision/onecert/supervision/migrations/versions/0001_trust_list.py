"""List officers, drafts with their signatures, published lists.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime

revision = "0001"
down_revision = None


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "supervision_officers",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("spki_pem", sa.Text(), nullable=False),
        sa.Column("token_label", sa.String(32), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.UniqueConstraint("kid", name="supervision_officers_kid"),
    )
    op.create_table(
        "supervision_drafts",
        sa.Column("id", _number(), primary_key=True, autoincrement=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(256), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("changed_by", sa.String(256), nullable=False),
    )
    op.create_table(
        "supervision_draft_signatures",
        sa.Column("draft", _number(), sa.ForeignKey("supervision_drafts.id"), primary_key=True),
        sa.Column("officer", sa.String(64), sa.ForeignKey("supervision_officers.id"), primary_key=True),
        sa.Column("person", sa.String(128), nullable=False),
        sa.Column("signed_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "supervision_publications",
        sa.Column("sequence", _number(), primary_key=True, autoincrement=False),
        sa.Column("draft", _number(), sa.ForeignKey("supervision_drafts.id"), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("issued_at", UtcDateTime(), nullable=False),
        sa.Column("next_update", UtcDateTime(), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("published_by", sa.String(256), nullable=False),
    )
