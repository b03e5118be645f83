"""Known holders and their names, departures, rebindings, OCSP answers; lists are read along indexes.

Revision ID: 0005
"""

import hashlib
import unicodedata

import sqlalchemy as sa
from alembic import op

from onecert.server.database import UtcDateTime
from onecert.verifier.certificate import as_parsed

revision = "0005"
down_revision = "0004"

_PART = sa.String(8).with_variant(sa.String(8, collation="C"), "postgresql")


def upgrade() -> None:
    _indexes()
    op.create_table(
        "pmi_holders",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("key_sha256", sa.String(64), nullable=False),
        sa.Column("entity", sa.String(128), nullable=False),
        sa.Column("person", sa.String(128), nullable=False),
        sa.Column("name", sa.String(512), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("not_after", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("checked_at", UtcDateTime(), nullable=True),
    )
    op.create_index("pmi_holders_by_identity", "pmi_holders", ["entity", "person"])
    op.create_index("pmi_holders_by_person", "pmi_holders", ["person"])
    op.create_index("pmi_holders_by_key", "pmi_holders", ["key_sha256"])
    op.create_index("pmi_holders_unchecked", "pmi_holders", ["checked_at", "seen_at"])
    op.create_table(
        "pmi_holder_names",
        sa.Column("part", _PART, primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
    )
    op.create_table(
        "pmi_rebindings",
        sa.Column("serial", sa.String(40), primary_key=True),
        sa.Column("holder_sha256", sa.String(64), nullable=False),
        sa.Column("proposed_at", UtcDateTime(), nullable=False),
    )
    op.create_index("pmi_rebindings_by_time", "pmi_rebindings", ["proposed_at", "serial"])
    op.create_table(
        "pmi_departures",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("who_kind", sa.String(16), nullable=False),
        sa.Column("who", sa.String(128), nullable=False),
        sa.Column("name", sa.String(512), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("effective_at", UtcDateTime(), nullable=False),
        sa.Column("requested_by", sa.String(64), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=False),
    )
    op.create_index("pmi_departures_by_state", "pmi_departures", ["state", "effective_at"])
    op.create_index("pmi_departures_by_content", "pmi_departures", ["content_sha256"])
    op.create_table(
        "pmi_ocsp_answers",
        sa.Column("serial", sa.String(40), primary_key=True),
        sa.Column("hash_name", sa.String(8), primary_key=True),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("status", sa.String(96), nullable=False),
        sa.Column("this_update", UtcDateTime(), nullable=False),
        sa.Column("next_update", UtcDateTime(), nullable=False),
        sa.Column("response_der", sa.LargeBinary(), nullable=False),
    )
    op.create_index("pmi_ocsp_answers_by_age", "pmi_ocsp_answers", ["next_update"])
    _known_holders()


def _indexes() -> None:
    for name in ("end", "entity", "state"):
        op.drop_index(f"pmi_certificates_by_{name}", "pmi_certificates")
    for name, columns in {
        "end": ["state", "not_after", "serial"],
        "entity": ["entity", "intended_at", "serial"],
        "state": ["authority", "state", "not_after", "serial"],
        "time": ["intended_at", "serial"],
        "kind": ["authority", "kind", "state", "intended_at", "serial"],
    }.items():
        op.create_index(f"pmi_certificates_by_{name}", "pmi_certificates", columns)


def _known_holders() -> None:
    """Whose certificate grants were given by before. Who acted for an entity is not on record for these."""
    connection = op.get_bind()
    columns = "holder_der, entity, holder_name, requested_at"
    rows = connection.execute(sa.text(f"SELECT {columns} FROM pmi_grants ORDER BY requested_at"))  # noqa: S608
    known: set[str] = set()
    for row in rows.all():
        der = bytes(row.holder_der)
        sha256 = hashlib.sha256(der).hexdigest()
        if sha256 in known:
            continue
        known.add(sha256)
        certificate = as_parsed(der)
        values = {
            "sha256": sha256,
            "key_sha256": hashlib.sha256(certificate.spki_der).hexdigest(),
            "entity": row.entity,
            "person": "",
            "name": row.holder_name,
            "certificate_der": der,
            "not_before": certificate.not_before,
            "not_after": certificate.not_after,
            "seen_at": row.requested_at,
            "checked_at": None,
        }
        connection.execute(sa.insert(_HOLDERS), values)
        folded = "".join(unicodedata.normalize("NFKC", row.holder_name).casefold().split())
        parts = {folded[at : at + 8] for at in range(min(len(folded), 64))}
        for part in sorted(parts):
            connection.execute(sa.insert(_NAMES), {"part": part, "sha256": sha256})


_HOLDERS = sa.table(
    "pmi_holders",
    sa.column("sha256", sa.String()),
    sa.column("key_sha256", sa.String()),
    sa.column("entity", sa.String()),
    sa.column("person", sa.String()),
    sa.column("name", sa.String()),
    sa.column("certificate_der", sa.LargeBinary()),
    sa.column("not_before", UtcDateTime()),
    sa.column("not_after", UtcDateTime()),
    sa.column("seen_at", UtcDateTime()),
    sa.column("checked_at", UtcDateTime()),
)
_NAMES = sa.table("pmi_holder_names", sa.column("part", sa.String()), sa.column("sha256", sa.String()))
