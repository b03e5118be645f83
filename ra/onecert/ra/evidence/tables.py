"""The table of evidence; the octets lie in files (`files.py`)."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from onecert.ra.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["evidence"]

evidence = Table(
    "ra_evidence",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False),  # also the name of its files
    Column("record", String(16), nullable=False),  # application | case
    Column("record_id", String(36), nullable=False),
    Column("material", String(32), nullable=False),  # materials.py
    Column("sha256", String(64), nullable=False),  # of the content as it came
    Column("size", Integer, nullable=False),  # octets
    Column("media_type", String(32), nullable=False),  # by content
    Column("width", Integer, nullable=True),  # pixels; of images
    Column("height", Integer, nullable=True),
    Column("key_sealed", LargeBinary, nullable=False),  # the file's own key, under the RA token's
    Column("request_key", String(128), nullable=True),  # operator and idempotency key
    Column("added_at", UtcDateTime, nullable=False),
    Column("added_by", String(64), nullable=False),
    Column("frozen_at", UtcDateTime, nullable=True),  # a reviewer has it: never removed from here on
    Column("set_aside_at", UtcDateTime, nullable=True),  # kept, and no longer part of what is approved
    UniqueConstraint("id", name="ra_evidence_id"),
    UniqueConstraint("record_id", "sha256", name="ra_evidence_content"),
    UniqueConstraint("request_key", name="ra_evidence_request_key"),
    Index("ra_evidence_by_record", "record_id", "seq"),
)
