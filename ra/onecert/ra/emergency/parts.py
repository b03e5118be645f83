"""The parts of an emergency: certificates of one authority that one mass revocation of the CA takes.

A part is a range of item numbers, because items are sorted by authority and serial. `state`:

    open     not answered yet; where it stands, the CA knows by `mass_revocation`
    carried  the CA has done it; here the certificates are being written down
    single   the CA does not offer it, or refused it: each certificate is asked for by itself
    done     every certificate of it has its answer
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from onecert.ra.emergency.tables import emergency_items, emergency_parts

__all__ = [
    "CARRIED",
    "DONE",
    "MOST_LINES",
    "OPEN",
    "SINGLE",
    "Part",
    "ask_of_parts",
    "list_parts",
    "make_parts",
    "new_number",
    "serials_of",
    "set_part",
]

OPEN, CARRIED, SINGLE, DONE = "open", "carried", "single", "done"
# So many a mass revocation; the CA takes 100,000. A smaller one is frozen within the time of one request.
MOST_LINES = 50_000


@dataclass(frozen=True, kw_only=True)
class Part:
    """One mass revocation of an emergency, as it stands."""

    number: int
    authority: str
    first_item: int
    last_item: int
    mass_revocation: str
    state: str
    proposal: bytes | None
    confirmation: bytes | None
    proposed_at: datetime | None
    frozen_at: datetime | None
    confirmed_at: datetime | None
    finished_at: datetime | None
    at_authority: str | None  # the CA's word for its state, when last asked
    gone_through: int  # by the CA so far
    is_exact: bool  # what the CA froze is what is not revoked here
    crl_number: int | None
    stop_by: str | None  # who paused it; the CA is still to be told
    resume_by: str | None  # who went on with it; the CA is still to be told
    problem: str | None

    @property
    def certificates(self) -> int:
        """How many items it has."""
        return self.last_item - self.first_item + 1


_COLUMNS = [emergency_parts.c[field.name] for field in fields(Part)]


def new_number() -> str:
    """The number of a mass revocation."""
    return str(uuid.uuid4())


def make_parts(connection: Connection, emergency_id: str) -> None:
    """Cut the items into parts, once."""
    items = emergency_items.c
    query = (
        select(items.authority, func.min(items.number), func.max(items.number))
        .where(items.emergency_id == emergency_id)
        .group_by(items.authority)
        .order_by(items.authority)
    )
    ranges = [
        (authority, begin, min(begin + MOST_LINES - 1, last))
        for authority, first, last in connection.execute(query)
        for begin in range(first, last + 1, MOST_LINES)
    ]
    rows = [
        {
            "emergency_id": emergency_id,
            "number": number,
            "authority": authority,
            "first_item": first,
            "last_item": last,
            "mass_revocation": new_number(),
            "state": OPEN,
            "gone_through": 0,
            "is_exact": False,
        }
        for number, (authority, first, last) in enumerate(ranges, 1)
    ]
    connection.execute(insert(emergency_parts), rows)


def list_parts(connection: Connection, emergency_id: str) -> list[Part]:
    """All of them, in their order."""
    query = select(*_COLUMNS).where(emergency_parts.c.emergency_id == emergency_id)
    return [Part(**row._mapping) for row in connection.execute(query.order_by(emergency_parts.c.number))]


def set_part(connection: Connection, emergency_id: str, part: Part, **values: Any) -> bool:
    """Write it down; False: it is not as it was read, somebody else was quicker."""
    table = emergency_parts.c
    changed = connection.execute(
        update(emergency_parts)
        .where(
            table.emergency_id == emergency_id,
            table.number == part.number,
            table.state == part.state,
            table.mass_revocation == part.mass_revocation,
        )
        .values(**values)
    )
    return changed.rowcount == 1


def ask_of_parts(
    connection: Connection, emergency_id: str, *, stop_by: str = "", resume_by: str = ""
) -> None:
    """Note that the CA is to stop, or to go on with, what it has of this emergency."""
    table = emergency_parts.c
    connection.execute(
        update(emergency_parts)
        .where(table.emergency_id == emergency_id, table.state == OPEN)
        .values(stop_by=stop_by or None, resume_by=resume_by or None)
    )


def serials_of(connection: Connection, emergency_id: str, part: Part) -> Sequence[str]:
    """The serials of a part, sorted as they were frozen."""
    items = emergency_items.c
    query = select(items.serial_hex).where(
        items.emergency_id == emergency_id, items.number.between(part.first_item, part.last_item)
    )
    return connection.scalars(query.order_by(items.number)).all()
