"""The work queues 待录入, 待审核, 待制证, 待领取, 退回, 待归档: which states, how many, oldest first.

Made for hundreds of thousands of applications: a page is read state by state along an index and merged, its
cursor names the last row (no OFFSET), and a count ends at `COUNT_LIMIT`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from onecert.ra.applications.records import (
    MAX_PAGE,
    Application,
    ApplicationPage,
    application_columns,
    application_of,
)
from onecert.ra.life.machine import State
from onecert.ra.models import applications
from onecert.ra.operators.roles import ARCHIVE, ENTRY, MEDIA, REVIEW
from onecert.ra.operators.scopes import Scope
from onecert.server.languages import _

__all__ = ["CURSOR_START", "QUEUES", "Filters", "Queue", "count_queues", "list_queue"]

CURSOR_START = None
COUNT_LIMIT = 1000


@dataclass(frozen=True, kw_only=True)
class Queue:
    """One queue: its states, and the roles that it is work for."""

    name: str
    title: str
    states: tuple[State, ...]
    roles: tuple[str, ...]


QUEUES: Mapping[str, Queue] = MappingProxyType(
    {
        queue.name: queue
        for queue in (
            Queue(name="entry", title=_("To enter"), states=(State.DRAFT,), roles=(ENTRY,)),
            Queue(
                name="review",
                title=_("To review"),
                states=(State.SUBMITTED, State.SECOND_REVIEW),
                roles=(REVIEW,),
            ),
            Queue(
                name="returned",
                title=_("Returned"),
                states=(State.RETURNED, State.REFUSED_BY_CA),
                roles=(ENTRY,),
            ),
            Queue(name="making", title=_("Being made"), states=(State.APPROVED, State.ORDERED), roles=()),
            Queue(name="delivery", title=_("To hand over"), states=(State.ISSUED,), roles=(MEDIA,)),
            Queue(name="filing", title=_("To file"), states=(State.DELIVERED,), roles=(ARCHIVE,)),
        )
    }
)


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What else a clerk asks of a queue; None: anything. `mine` is an operator's id."""

    point: str | None = None
    project: str | None = None
    authority: str | None = None
    kind: str | None = None
    business: str | None = None
    mine: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The parts of a WHERE clause."""
        named = {
            "point": self.point,
            "project": self.project,
            "authority": self.authority,
            "kind": self.kind,
            "business": self.business,
        }
        found = [applications.c[name] == value for name, value in named.items() if value]
        if self.mine:
            found.append(applications.c.created_by == self.mine)
        return found


def count_queues(connection: Connection, scope: Scope) -> dict[str, int]:
    """How many wait in each queue, at most `COUNT_LIMIT` each; more are not counted."""
    counts = {}
    for queue in QUEUES.values():
        total = 0
        for state in queue.states:
            rows = (
                select(applications.c.seq)
                .where(applications.c.state == state.value, scope.condition(applications.c))
                .limit(COUNT_LIMIT)
            )
            total += connection.scalar(select(func.count()).select_from(rows.subquery())) or 0
        counts[queue.name] = min(total, COUNT_LIMIT)
    return counts


def list_queue(
    connection: Connection,
    scope: Scope,
    states: Sequence[State],
    *,
    cursor: str | None = CURSOR_START,
    limit: int = 50,
    conditions: Sequence[ColumnElement[bool]] = (),
) -> ApplicationPage:
    """One page, longest waiting first; a cursor that we did not write counts as the beginning."""
    limit = max(1, min(limit, MAX_PAGE * 5))
    after = _read_cursor(cursor)
    rows: list[Any] = []
    for state in states:
        query: Select[Any] = select(*application_columns()).where(
            applications.c.state == state.value, scope.condition(applications.c), *conditions
        )
        if after is not None:
            query = query.where(_later(*after))
        query = query.order_by(applications.c.state_since, applications.c.seq).limit(limit + 1)
        rows += connection.execute(query).all()
    rows.sort(key=lambda row: (row.state_since, row.seq))
    items = [application_of(row._asdict()) for row in rows[:limit]]
    return ApplicationPage(items, _cursor(items[-1]) if len(rows) > limit else None)


def _later(since: datetime, seq: int) -> ColumnElement[bool]:
    column = applications.c.state_since
    return and_(column >= since, or_(column > since, applications.c.seq > seq))


def _cursor(item: Application) -> str:
    return f"{item.state_since.isoformat()}~{item.seq}"


def _read_cursor(cursor: str | None) -> tuple[datetime, int] | None:
    moment, _tilde, seq = (cursor or "").partition("~")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return None
    if at.tzinfo is None or not (seq.isascii() and seq.isdigit() and len(seq) < 18):
        return None
    return at, int(seq)
