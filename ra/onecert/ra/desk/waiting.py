"""What waits for an operator, by their roles: how many, and since when.

Made for a page that is opened all day: every count runs along an index over what waits, never over what is
done, and ends at `COUNT_LIMIT`; so it costs the same with a thousand applications and with a million
(tests/ra/test_ra_home.py reads the engine's own plans).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from onecert.ra.batches.tables import batches
from onecert.ra.life.machine import Act, Business, State, acts_possible
from onecert.ra.models import applications, cases, certificates, enrolments, revocations
from onecert.ra.operators.roles import ADMINISTRATOR, REVIEW, SECURITY
from onecert.ra.operators.scopes import Scope
from onecert.ra.review.queues import COUNT_LIMIT, QUEUES
from onecert.server.languages import _
from onecert.server.operators import Operator
from onecert.server.operators.models import operators

__all__ = ["COUNT_LIMIT", "Waiting", "list_waiting"]

CASES = (Business.HOLD, Business.RELEASE, Business.REVOKE, Business.UNLOCK, Business.RECOVERY)
_DECIDING = frozenset({Act.APPROVE, Act.CONSENT, Act.COMPLETE})
EXPIRES_SOON = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One counter: `name` is stable, `title` a marked text; the oldest is None when nothing waits."""

    name: str
    title: str
    count: int
    oldest: datetime | None


def list_waiting(
    connection: Connection, scope: Scope, operator: Operator, *, at: datetime
) -> Iterator[Waiting]:
    """The counters of this operator's roles, in the order of the work; those with nothing, too."""
    for queue in QUEUES.values():
        if operator.has_role(*queue.roles):
            yield _applications(connection, scope, queue.name, queue.title, queue.states)
    if operator.has_role(REVIEW):
        submitted = select(batches.c.state_since.label("since")).where(
            batches.c.state == State.SUBMITTED.value, scope.condition(batches.c)
        )
        yield _counted(connection, "batches", _("Batches to review"), [submitted])
    deciding = [
        (business.value, state.value)
        for business in CASES
        for state in State
        if _DECIDING & set(acts_possible(business, state, operator.roles))
    ]
    if deciding:
        yield _cases(connection, scope, deciding)
    if operator.has_role(SECURITY):
        yield _revocations(connection, scope)
    if operator.has_role(ADMINISTRATOR):
        waiting = select(enrolments.c.asked_at.label("since")).where(enrolments.c.state == "waiting")
        yield _counted(connection, "enrolments", _("Requests for accounts to decide"), [waiting])
        ending = select(operators.c.valid_until.label("since")).where(
            operators.c.suspended_at.is_(None),
            operators.c.valid_until > at,
            operators.c.valid_until < at + EXPIRES_SOON,
        )
        yield _counted(connection, "expiring", _("Accounts that end within 30 days"), [ending])


def _applications(
    connection: Connection, scope: Scope, name: str, title: str, states: Sequence[State]
) -> Waiting:
    # One statement a state: the index begins with the state, and ends in the order that is asked for.
    queries = [
        select(applications.c.state_since.label("since"))
        .where(applications.c.state == state.value, scope.condition(applications.c))
        .order_by(applications.c.state_since)
        for state in states
    ]
    return _counted(connection, name, title, queries)


def _cases(connection: Connection, scope: Scope, deciding: Sequence[tuple[str, str]]) -> Waiting:
    wanted = or_(
        *(and_(cases.c.business == business, cases.c.state == state) for business, state in deciding)
    )
    query = select(cases.c.state_since.label("since")).where(
        cases.c.state.in_(sorted({state for _business, state in deciding})), wanted, scope.condition(cases.c)
    )
    return _counted(connection, "cases", _("Cases to decide"), [query])


def _revocations(connection: Connection, scope: Scope) -> Waiting:
    query = (
        select(revocations.c.created_at.label("since"))
        .join(
            certificates,
            and_(
                certificates.c.authority == revocations.c.authority,
                certificates.c.serial_hex == revocations.c.serial_hex,
            ),
        )
        .where(revocations.c.state == "pending", scope.condition(certificates.c))
    )
    return _counted(connection, "revocations", _("Changes of status without an answer of the CA"), [query])


def _counted(connection: Connection, name: str, title: str, queries: Sequence[Select[Any]]) -> Waiting:
    count, oldest = 0, None
    for query in queries:
        rows = query.limit(COUNT_LIMIT).subquery()
        row = connection.execute(select(func.count(), func.min(rows.c.since))).one()
        count += int(row[0])
        if row[1] is not None:
            oldest = row[1] if oldest is None else min(oldest, row[1])
    return Waiting(name=name, title=title, count=min(count, COUNT_LIMIT), oldest=oldest)
