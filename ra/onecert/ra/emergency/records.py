"""Emergencies as they are on record, and how far each is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from onecert.ra.emergency.tables import emergencies, emergency_items
from onecert.ra.errors import NotFoundError
from onecert.ra.operators.scopes import Scope

__all__ = [
    "PAUSED",
    "PROPOSED",
    "RUNNING",
    "Emergency",
    "Item",
    "count_items",
    "list_emergencies",
    "list_items",
    "load_emergency",
]

PROPOSED, RUNNING, PAUSED, DONE, REFUSED = "proposed", "running", "paused", "done", "refused"


@dataclass(frozen=True, kw_only=True)
class Emergency:
    """All that a person needs who is to approve it, and how it stands."""

    seq: int
    id: str
    is_drill: bool
    selection: Mapping[str, Any]
    reason: str
    invalidity_date: datetime | None
    why: str
    state: str
    certificates: int
    holders: int
    left_out: int
    content_sha256: str
    proposed_by: str
    proposed_certificate: str | None
    proposed_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_certificate: str | None
    decided_at: datetime | None
    note: str | None
    began_at: datetime | None
    finished_at: datetime | None

    def is_covered_by(self, scope: Scope) -> bool:
        """Whether all that it touches is in somebody's scope."""
        return all(scope.covers(*place) for place in self.selection["places"])


@dataclass(frozen=True, kw_only=True)
class Item:
    """One certificate of an emergency. `state`: waiting, posted, done, refused, already (so before)."""

    number: int
    authority: str
    serial_hex: str
    name: str
    state: str
    revocation_id: str | None
    answered_at: datetime | None
    problem: str | None


_COLUMNS = [column for column in emergencies.c if column.name != "request_key"]
_ITEM_COLUMNS = [column for column in emergency_items.c if column.name != "emergency_id"]


def _emergency(row: Row[Any]) -> Emergency:
    values = dict(row._mapping)
    values["selection"] = json.loads(values["selection"])
    return Emergency(**values)


def load_emergency(connection: Connection, emergency_id: str, *, lock: bool = False) -> Emergency:
    """Raises `NotFoundError` when there is none."""
    query = select(*_COLUMNS).where(emergencies.c.id == emergency_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(emergency_id[:64])
    return _emergency(row)


def list_emergencies(connection: Connection, scope: Scope, *, limit: int = 50) -> list[Emergency]:
    """The newest in reach."""
    rows = connection.execute(select(*_COLUMNS).order_by(emergencies.c.seq.desc()).limit(limit * 4))
    return [each for each in map(_emergency, rows) if each.is_covered_by(scope)][:limit]


def count_items(connection: Connection, emergency_id: str) -> dict[str, int]:
    """How many certificates of it stand how."""
    items = emergency_items.c
    query = select(items.state, func.count()).where(items.emergency_id == emergency_id).group_by(items.state)
    found = {row[0]: int(row[1]) for row in connection.execute(query)}
    return {state: found.get(state, 0) for state in ("waiting", "posted", "done", "refused", "already")}


def list_items(
    connection: Connection,
    emergency_id: str,
    *,
    states: Sequence[str] = (),
    after: int = 0,
    upto: int | None = None,
    limit: int = 50,
) -> list[Item]:
    """In their order, from a number on, or up to one."""
    items = emergency_items.c
    query = select(*_ITEM_COLUMNS).where(items.emergency_id == emergency_id, items.number > after)
    if upto is not None:
        query = query.where(items.number <= upto)
    if states:
        query = query.where(items.state.in_(states))
    rows = connection.execute(query.order_by(items.number).limit(limit))
    return [Item(**row._mapping) for row in rows]
