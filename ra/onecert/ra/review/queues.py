"""The work queues 待录入, 待审核, 待制证, 待领取, 退回, 待归档: which states, how many, oldest first.

Made for hundreds of thousands of applications: a page is read state by state along an index and merged, its
cursor names the last row (no OFFSET), a count ends at `COUNT_LIMIT`, and filters look at a bounded part of
the queue for one page (`applications/walk.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select, true

from onecert.ra.applications.records import (
    FILTERED,
    MAX_PAGE,
    Application,
    ApplicationPage,
    application_columns,
    application_of,
    load_in_order,
)
from onecert.ra.applications.walk import Columns, Order, lanes_of, walk
from onecert.ra.life.machine import State
from onecert.ra.models import applications
from onecert.ra.operators.roles import ARCHIVE, ENTRY, MEDIA, REVIEW
from onecert.ra.operators.scopes import Scope
from onecert.server.languages import _

__all__ = [
    "CURSOR_START",
    "EVERYTHING",
    "QUEUES",
    "Filters",
    "Queue",
    "count_queues",
    "list_free",
    "list_queue",
]

CURSOR_START = None
COUNT_LIMIT = 1000
WAITING = Order((applications.c.state_since, applications.c.seq), FILTERED)


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

    def condition(self, columns: Columns) -> ColumnElement[bool]:
        """The part of a WHERE clause."""
        named = {
            "point": self.point,
            "project": self.project,
            "authority": self.authority,
            "kind": self.kind,
            "business": self.business,
            "created_by": self.mine,
        }
        return and_(true(), *(columns[name] == value for name, value in named.items() if value))


EVERYTHING = Filters()


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
    filters: Filters = EVERYTHING,
) -> ApplicationPage:
    """One page, longest waiting first; a cursor that we did not write counts as the beginning."""
    limit = max(1, min(limit, MAX_PAGE))
    lanes = lanes_of(
        scope,
        applications.c.point,
        point=filters.point,
        each=[applications.c.state == state.value for state in states],
    )
    if filters.mine:
        lanes = [and_(lane, applications.c.created_by == filters.mine) for lane in lanes]
    walked = walk(
        connection,
        WAITING,
        lanes,
        lambda columns: and_(scope.condition(columns), filters.condition(columns)),
        after=_read_cursor(cursor),
        limit=limit,
    )
    next_cursor = None if walked.next is None else f"{walked.next[0].isoformat()}~{walked.next[1]}"
    return ApplicationPage(
        load_in_order(connection, [seq for _since, seq in walked.found]), next_cursor, walked.is_cut
    )


def list_free(
    connection: Connection,
    scope: Scope,
    states: Sequence[State],
    *,
    limit: int,
    conditions: Sequence[ColumnElement[bool]],
) -> Sequence[Application]:
    """Those longest waiting that fit conditions which nearly all do."""
    rows: list[Any] = []
    for state in states:
        query: Select[Any] = select(*application_columns()).where(
            applications.c.state == state.value, scope.condition(applications.c), *conditions
        )
        query = query.order_by(applications.c.state_since, applications.c.seq).limit(limit)
        rows += connection.execute(query).all()
    rows.sort(key=lambda row: (row.state_since, row.seq))
    return [application_of(row._asdict()) for row in rows[:limit]]


def _read_cursor(cursor: str | None) -> tuple[datetime, int] | None:
    moment, _tilde, seq = (cursor or "").partition("~")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return None
    if at.tzinfo is None or not (seq.isascii() and seq.isdigit() and len(seq) < 18):
        return None
    return at, int(seq)
