"""Tables: officers, drafts with signatures, published lists, known certificates, trust roots, timestamps, and
what CAs report to have issued.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from onecert.server.database import UtcDateTime

__all__ = [
    "draft_signatures",
    "drafts",
    "issuance_records",
    "issuances",
    "known_certificates",
    "metadata",
    "officers",
    "publications",
    "reporters",
    "root_holders",
    "roots",
    "timestamp_keys",
    "timestamps",
]

metadata = MetaData()


def _number() -> TypeEngine[int]:
    return BigInteger().with_variant(Integer(), "sqlite")


officers = Table(
    "supervision_officers",
    metadata,
    Column("id", String(64), primary_key=True),  # the operator's account
    Column("kid", String(64), nullable=False),
    Column("spki_pem", Text(), nullable=False),
    Column("token_label", String(32), nullable=False),
    Column("added_at", UtcDateTime(), nullable=False),
    Column("removed_at", UtcDateTime(), nullable=True),
    UniqueConstraint("kid", name="supervision_officers_kid"),
)

drafts = Table(
    "supervision_drafts",
    metadata,
    Column("id", _number(), primary_key=True, autoincrement=True),
    Column("state", String(16), nullable=False),  # open, aside (for an emergency), published, discarded
    Column("revision", Integer(), nullable=False),
    Column("content", Text(), nullable=False),  # the draft as JSON
    Column("payload", Text(), nullable=True),  # what is being signed; set by the first signature
    Column("document", LargeBinary(), nullable=True),  # the signed document so far
    Column("reason", Text(), nullable=True),  # of an emergency; null: an ordinary draft
    Column("created_at", UtcDateTime(), nullable=False),
    Column("created_by", String(256), nullable=False),
    Column("changed_at", UtcDateTime(), nullable=False),
    Column("changed_by", String(256), nullable=False),
)

draft_signatures = Table(
    "supervision_draft_signatures",
    metadata,
    Column("draft", _number(), ForeignKey("supervision_drafts.id"), primary_key=True),
    Column("officer", String(64), ForeignKey("supervision_officers.id"), primary_key=True),
    Column("person", String(128), nullable=False),  # the opaque person behind the account, when it signed
    Column("signed_at", UtcDateTime(), nullable=False),
)

publications = Table(
    "supervision_publications",
    metadata,
    Column("sequence", _number(), primary_key=True, autoincrement=False),
    Column("draft", _number(), ForeignKey("supervision_drafts.id"), nullable=False),
    Column("content", Text(), nullable=False),  # the draft as JSON, base of the next one
    Column("document", LargeBinary(), nullable=False),
    Column("sha256", String(64), nullable=False),  # of the list's content, as verifiers remember it
    Column("issued_at", UtcDateTime(), nullable=False),
    Column("next_update", UtcDateTime(), nullable=False),
    Column("published_at", UtcDateTime(), nullable=False),
    Column("published_by", String(256), nullable=False),
)

known_certificates = Table(
    "supervision_known_certificates",
    metadata,
    Column("sha256", String(64), primary_key=True),  # of the DER
    Column("der", LargeBinary(), nullable=False),
    Column("source", String(200), nullable=False),  # where it came from, in the words of who brought it
    Column("added_at", UtcDateTime(), nullable=False),
    Column("added_by", String(256), nullable=False),
)

root_holders = Table(
    "supervision_root_holders",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("spki_pem", Text(), nullable=False),
    Column("added_at", UtcDateTime(), nullable=False),
    Column("added_by", String(256), nullable=False),
)

roots = Table(
    "supervision_roots",
    metadata,
    Column("version", _number(), primary_key=True, autoincrement=False),
    Column("document", LargeBinary(), nullable=False),
    Column("sha256", String(64), nullable=False),  # of the payload, as printed on paper
    Column("issued_at", UtcDateTime(), nullable=False),
    Column("expires_at", UtcDateTime(), nullable=False),
    Column("imported_at", UtcDateTime(), nullable=False),
    Column("imported_by", String(256), nullable=False),
)

timestamp_keys = Table(
    "supervision_timestamp_keys",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("label", String(64), nullable=False),  # of the key on the service's token
    Column("spki_pem", Text(), nullable=False),
    Column("made_at", UtcDateTime(), nullable=False),
    UniqueConstraint("label", name="supervision_timestamp_keys_label"),
)

timestamps = Table(
    "supervision_timestamps",
    metadata,
    Column("version", _number(), primary_key=True, autoincrement=False),
    Column("root_version", _number(), nullable=False),
    Column("list_sequence", _number(), nullable=False),
    Column("payload", Text(), nullable=False),  # on record before the key is used
    Column("document", LargeBinary(), nullable=True),  # when it was signed
    Column("issued_at", UtcDateTime(), nullable=False),
    Column("expires_at", UtcDateTime(), nullable=False),
)

reporters = Table(
    "supervision_reporters",
    metadata,
    Column("service", String(95), primary_key=True),
    Column("kid", String(64), nullable=False),  # one key may report for several services
    Column("spki_pem", Text(), nullable=False),
    Column(
        "entries", _number(), nullable=False
    ),  # how many certificates are on record; also the last position
    Column("stated_until", UtcDateTime(), nullable=True),  # until then, times are taken as stated
    Column("reported_at", UtcDateTime(), nullable=True),  # of the last report
    Column("added_at", UtcDateTime(), nullable=False),
    Column("added_by", String(256), nullable=False),
    Column("removed_at", UtcDateTime(), nullable=True),  # what was reported stays on record
)

issuances = Table(
    "supervision_issuances",
    metadata,
    Column("service", String(95), ForeignKey("supervision_reporters.service"), primary_key=True),
    Column("sha256", String(64), primary_key=True),  # of the certificate
    Column("position", _number(), nullable=False),  # 1, 2, 3 … within its service
    Column("serial", String(40), nullable=False),  # empty for what was recovered from the published record
    Column("stated_at", UtcDateTime(), nullable=False),  # when the CA says that it issued it
    Column("received_at", UtcDateTime(), nullable=False),
    Column("recorded_at", UtcDateTime(), nullable=False),  # the time that counts
    UniqueConstraint("service", "position", name="supervision_issuances_position"),
)

issuance_records = Table(
    "supervision_issuance_records",
    metadata,
    Column("number", _number(), primary_key=True, autoincrement=False),
    Column("payload", Text(), nullable=False),  # on record before the key is used
    Column("positions", Text(), nullable=False),  # JSON: up to where each service is in it
    Column("document", LargeBinary(), nullable=True),  # when it was signed
    Column("issued_at", UtcDateTime(), nullable=False),
    Column("next_update", UtcDateTime(), nullable=False),
)
