"""Filing: where the papers of an application lie, and which of them were there (档案编号, 材料清单)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import Connection, insert, select

from onecert.ra.errors import FilingInvalidError
from onecert.ra.review.tables import filings
from onecert.server.languages import _

__all__ = ["PAPERS", "Filing", "PlacedFiling", "check_filing", "find_filing", "write_filing"]

MAX_PLACE = 64
MAX_NOTE = 500

# DOMAIN.md 14.1: what an application brings.
PAPERS: Mapping[str, str] = MappingProxyType(
    {
        "form": _("Application form, sealed"),
        "licence": _("Copy of licence or code certificate"),
        "agent_idcard": _("Copy of the agent's identity card"),
        "authorisation": _("Letter of authorisation"),
        "agreement": _("Service agreement"),
        "consent": _("Consent to the use of personal data"),
        "seal_card": _("Seal specimen card"),
        "receipt": _("Receipt of the hand-over, signed"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Filing:
    """Where the papers go and which were there; not checked yet."""

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
    if not set(filing.papers) <= set(PAPERS):
        raise FilingInvalidError("papers")
    if len(note) > MAX_NOTE or "\0" in note:
        raise FilingInvalidError("note")
    return Filing(place=place, papers=tuple(name for name in PAPERS if name in filing.papers), note=note)


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
