"""Filing: where the papers of an application lie, and which of them were there (档案编号, 材料清单)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from onecert.ra.errors import FilingInvalidError
from onecert.ra.evidence.materials import MATERIALS
from onecert.ra.review.tables import filings

__all__ = ["Filing", "PlacedFiling", "check_filing", "find_filing", "write_filing"]

MAX_PLACE = 64
MAX_NOTE = 500


@dataclass(frozen=True, kw_only=True)
class Filing:
    """Where the papers go and which were there (names of `evidence.materials`); not checked yet."""

    place: str
    papers: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class PlacedFiling:
    """A filing on record."""

    place: str
    papers: tuple[str, ...]
    note: str
    at: datetime
    actor: str


def check_filing(filing: Filing) -> Filing:
    """Return it trimmed. Raises `FilingInvalidError`."""
    place, note = filing.place.strip(), filing.note.strip()
    if not place or len(place) > MAX_PLACE or not place.isprintable():
        raise FilingInvalidError("place")
    if not set(filing.papers) <= set(MATERIALS):
        raise FilingInvalidError("papers")
    if len(note) > MAX_NOTE or "\0" in note:
        raise FilingInvalidError("note")
    return Filing(place=place, papers=tuple(name for name in MATERIALS if name in filing.papers), note=note)


def write_filing(
    connection: Connection, application_id: str, filing: Filing, *, actor: str, at: datetime
) -> None:
    """Keep it, in the transaction of the act."""
    connection.execute(
        insert(filings).values(
            application_id=application_id,
            place=filing.place,
            papers=json.dumps(list(filing.papers)),
            note=filing.note,
            at=at,
            actor=actor,
        )
    )


def find_filing(connection: Connection, application_id: str) -> PlacedFiling | None:
    """Where the papers of an application lie; None: not filed, or filed before this was asked."""
    row = connection.execute(select(filings).where(filings.c.application_id == application_id)).one_or_none()
    if row is None:
        return None
    return PlacedFiling(
        place=row.place, papers=tuple(json.loads(row.papers)), note=row.note, at=row.at, actor=row.actor
    )
