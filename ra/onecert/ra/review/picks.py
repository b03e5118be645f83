"""The next one to review: the oldest that this operator may judge and nobody is reading just now.

A pick keeps colleagues from taking the same one for some minutes and lapses by itself. It forbids nothing:
whoever opens the application by its link may judge it, and the state machine decides who was first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, or_, select, update

from onecert.ra.applications.records import Application, load_application
from onecert.ra.life.duties import Duties
from onecert.ra.life.machine import Act, State
from onecert.ra.models import applications
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.roles import REVIEW
from onecert.ra.review.queues import list_free
from onecert.ra.review.tables import picks
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator, SamePersonError

__all__ = ["REVIEWS", "Pick", "Picks", "drop_pick", "find_picks"]

# What approving means in each state that waits for a reviewer.
REVIEWS = {State.SUBMITTED: Act.APPROVE, State.SECOND_REVIEW: Act.CONFIRM}
LOOKED_AT = 500


@dataclass(frozen=True)
class Pick:
    """Who is reading an application, and until when that is believed."""

    operator_id: str
    until: datetime


class Picks:
    """Takes and looks up picks; `keep` is how long one is believed."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        reach: Reach,
        duties: Duties,
        load_operator: Callable[[Connection, str], Operator],
        keep: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._reach = reach
        self._duties = duties
        self._load_operator = load_operator
        self._keep = keep

    def take_next(self, operator: Operator, *, besides: str | None = None) -> Application | None:
        """The oldest that this operator may review and nobody else is reading, now picked; None: there is
        none.

        Args:
            besides: leave this one out, because the reviewer wants another.
        """
        with self._database.transaction() as connection:
            now = self._clock.now()
            operator = self._reach.account(connection, operator, REVIEW, at=now)
            connection.execute(delete(picks).where(picks.c.until <= now))
            for found in self._candidates(connection, operator):
                if found.id == besides or not self._may(connection, operator, found):
                    continue
                if self._pick(connection, operator, found.id, now):
                    return found
        return None

    def open(self, operator: Operator, application: Application) -> Pick | None:
        """Say that this operator reads it now; a colleague's pick that holds is returned and stays."""
        with self._database.transaction() as connection:
            now = self._clock.now()
            if self._pick(connection, operator, application.id, now):
                return None
            row = connection.execute(select(picks).where(picks.c.application_id == application.id)).one()
            return Pick(row.operator_id, row.until)

    def _candidates(self, connection: Connection, operator: Operator) -> list[Application]:
        scope = self._reach.scope(connection, operator)
        others = select(picks.c.application_id).where(picks.c.operator_id != operator.id)
        free = (
            applications.c.created_by != operator.id,
            applications.c.submitted_by != operator.id,
            applications.c.id.not_in(others),
        )
        return list(list_free(connection, scope, tuple(REVIEWS), limit=LOOKED_AT, conditions=free))

    def _may(self, connection: Connection, operator: Operator, found: Application) -> bool:
        try:
            self._duties.check(connection, operator, found.id, REVIEWS[found.state], self._load_operator)
        except SamePersonError:
            return False
        return True

    def _pick(self, connection: Connection, operator: Operator, application_id: str, now: datetime) -> bool:
        """Take or renew; of two that take at once, the second finds it taken."""
        until = now + self._keep
        mine = update(picks).where(
            picks.c.application_id == application_id,
            or_(picks.c.operator_id == operator.id, picks.c.until <= now),
        )
        if connection.execute(mine.values(operator_id=operator.id, until=until)).rowcount:
            return True
        if connection.scalar(select(picks.c.until).where(picks.c.application_id == application_id)):
            return False
        # The application's row orders two who find no pick: the second waits, and sees the first one's.
        load_application(connection, application_id, lock=True)
        if connection.scalar(select(picks.c.until).where(picks.c.application_id == application_id)):
            return False
        connection.execute(
            insert(picks).values(application_id=application_id, operator_id=operator.id, until=until)
        )
        return True


def drop_pick(connection: Connection, application_id: str) -> None:
    """It was judged: nobody is reading it any more."""
    connection.execute(delete(picks).where(picks.c.application_id == application_id))


def find_picks(connection: Connection, application_ids: Sequence[str], *, at: datetime) -> dict[str, Pick]:
    """Who is reading which of these."""
    rows = connection.execute(
        select(picks).where(picks.c.application_id.in_(application_ids), picks.c.until > at)
    )
    return {row.application_id: Pick(row.operator_id, row.until) for row in rows}
