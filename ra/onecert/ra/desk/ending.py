"""How many certificates end soon and are not being renewed: a card of the desk, beside what waits.

One way along the index of ends, which stops at `COUNT_LIMIT`, as the counters of `waiting.py` do.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, exists, select

from onecert.ra.models import applications, certificates
from onecert.ra.notices.facts import ENDED
from onecert.ra.operators.scopes import Scope
from onecert.ra.review.queues import COUNT_LIMIT

__all__ = ["count_ending"]


def count_ending(
    connection: Connection, scope: Scope, *, at: datetime, days: Sequence[int]
) -> dict[int, int]:
    """Valid certificates that end within each number of days, and that no submitted application follows."""
    c, a = certificates.c, applications.c
    renewed = exists().where(
        and_(
            a.follows_authority == c.authority,
            a.follows_serial == c.serial_hex,
            a.follows_serial.is_not(None),
            a.state.not_in(ENDED),
        )
    )
    query = (
        select(c.not_after)
        .where(c.not_after > at, c.not_after <= at + timedelta(days=max(days)))
        .where(c.status == "good", scope.condition(c), ~renewed)
        .order_by(c.not_after)
        .limit(COUNT_LIMIT)
    )
    ends = connection.scalars(query).all()
    return {step: sum(end <= at + timedelta(days=step) for end in ends) for step in days}
