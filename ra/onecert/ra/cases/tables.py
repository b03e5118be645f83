"""What a case leaves besides its row: the hand-over of a key recovery to the key centre."""

from sqlalchemy import Column, Index, String, Table, Text

from onecert.ra.models import metadata
from onecert.server.database import UtcDateTime

__all__ = ["handovers"]

handovers = Table(
    "ra_handovers",
    metadata,
    Column("case_id", String(36), primary_key=True),
    Column("document", Text, nullable=False),  # signed, for the key centre; see cases/handover.py
    Column("at", UtcDateTime, nullable=False),
    Column("written_at", UtcDateTime, nullable=True),  # when its file was in the outbox
    Index("ra_handovers_by_written", "written_at"),
)
