"""Cases as they are on record: hold, release, revoke, unlock and key recovery, asked for by a clerk.

A case names one certificate and says why. Its life line stands with the applications' (same table, by its
id), and its states are those of `life/machine.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select, true

from onecert.ra.applications.records import MAX_PAGE
from onecert.ra.applications.walk import NEWEST, Columns, Order, lanes_of, walk
from onecert.ra.content.fields import Kind
from onecert.ra.errors import NotFoundError
from onecert.ra.life.machine import Business, State
from onecert.ra.models import cases
from onecert.ra.operators.scopes import Scope

__all__ = [
    "Case",
    "CasePage",
    "count_cases",
    "find_case_of_revocation",
    "list_cases",
    "list_cases_of",
    "load_case",
    "load_case_by_number",
]

_CHINA = timezone(timedelta(hours=8))
_UNDER_WAY = (State.SUBMITTED, State.REVIEWED, State.APPROVED, State.ORDERED)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One piece of business about one certificate."""

    seq: int
    id: str
    business: Business
    state: State
    state_since: datetime
    revision: int
    point: str
    authority: str
    serial_hex: str
    kind: Kind
    name: str
    reason: str
    note: str
    invalidity_date: datetime | None
    content_sha256: str
    created_at: datetime
    created_by: str
    reviewed_by: str | None
    answer: str | None  # why it was rejected, or what the CA answered
    revocation_id: str | None

    @property
    def number(self) -> str:
        """What people call it: day of entry in China, and a running number of its own."""
        return f"{self.created_at.astimezone(_CHINA):%Y%m%d}-C{self.seq:06d}"

    @property
    def details(self) -> dict[str, Any]:
        """For the audit entry of a step."""
        return {"serial": self.serial_hex, "reason": self.reason, "revocation": self.revocation_id}


@dataclass(frozen=True)
class CasePage:
    """One page of a list; `next` is the cursor of the following page.

    `is_cut`: so much was looked at without an end that the page is not full; more may follow.
    """

    items: Sequence[Case]
    next: str | None
    is_cut: bool = False


# What lists are filtered by; their indexes have it, see models.py.
_COVERED = ("state", "business", "point", "authority", "kind")
_COLUMNS = [column for column in cases.c if column.name != "request_key"]


def load_case(connection: Connection, case_id: str, *, lock: bool = False) -> Case:
    """Raises `NotFoundError` when there is none; `lock` holds the row until the transaction ends."""
    query = select(*_COLUMNS).where(cases.c.id == case_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(case_id)
    return _case(row)


def find_case_of_revocation(connection: Connection, revocation_id: str) -> Case | None:
    """The case that led to an order of revocation; None: a security officer decided alone."""
    case_id = connection.scalar(select(cases.c.id).where(cases.c.revocation_id == revocation_id))
    return None if case_id is None else load_case(connection, case_id, lock=True)


def count_cases(connection: Connection, scope: Scope, states: Sequence[State], *, at_most: int) -> int:
    """How many cases stand in these states; more than `at_most` are not counted."""
    wanted = [state.value for state in states]
    rows = select(cases.c.seq).where(cases.c.state.in_(wanted), scope.condition(cases.c)).limit(at_most)
    return connection.scalar(select(func.count()).select_from(rows.subquery())) or 0


def load_case_by_number(connection: Connection, seq: int, scope: Scope) -> Case | None:
    """The case of a running number, if it is in scope."""
    query = select(*_COLUMNS).where(cases.c.seq == seq, scope.condition(cases.c))
    row = connection.execute(query).one_or_none()
    return None if row is None else _case(row)


def list_cases_of(
    connection: Connection, places: Sequence[tuple[str, str]], *, limit: int = 200
) -> dict[tuple[str, str], list[Case]]:
    """Cases under way, by the certificates (authority, serial) that they are about, newest first."""
    if not places:
        return {}
    query = select(*_COLUMNS).where(
        cases.c.authority.in_(sorted({authority for authority, _serial in places})),
        cases.c.serial_hex.in_(sorted({serial for _authority, serial in places})),
        cases.c.state.in_([state.value for state in _UNDER_WAY]),
    )
    found: dict[tuple[str, str], list[Case]] = {}
    for row in connection.execute(query.order_by(cases.c.seq.desc()).limit(limit)):
        case = _case(row)
        found.setdefault((case.authority, case.serial_hex), []).append(case)
    return found


def list_cases(
    connection: Connection,
    scope: Scope,
    *,
    states: Sequence[State] = (),
    business: Business | None = None,
    cursor: str | None = None,
    limit: int = 50,
    oldest_first: bool = False,
) -> CasePage:
    """One page, newest first (or oldest, for what waits); `cursor` is `next` of the page before, anything
    else the beginning."""
    limit = max(1, min(limit, MAX_PAGE))
    after = int(cursor) if cursor and cursor.isascii() and cursor.isdigit() and len(cursor) < 18 else None
    lanes = lanes_of(scope, cases.c.point)
    if states:
        lanes = [cases.c.state == state.value for state in dict.fromkeys(states)]

    def fits(columns: Columns) -> ColumnElement[bool]:
        of_business = columns["business"] == business.value if business is not None else true()
        return and_(scope.condition(columns), of_business)

    first = (0,) if oldest_first else NEWEST
    walked = walk(
        connection,
        Order((cases.c.seq,), _COVERED, descending=not oldest_first),
        lanes,
        fits,
        after=first if after is None else (after,),
        limit=limit,
    )
    numbers = [seq for (seq,) in walked.found]
    rows = connection.execute(select(*_COLUMNS).where(cases.c.seq.in_(numbers))) if numbers else ()
    found = {row.seq: _case(row) for row in rows}
    items = [found[number] for number in numbers if number in found]
    return CasePage(items, str(walked.next[0]) if walked.next else None, walked.is_cut)


def _case(row: Row[Any]) -> Case:
    values = dict(row._mapping)
    values["business"] = Business(values["business"])
    values["state"] = State(values["state"])
    values["kind"] = Kind(values["kind"])
    return Case(**values)
