"""Rolls finished days into the table of daily figures, and reads figures of any period with today's live.

A day is rolled once it is over, and again when the number of its events has changed since: an answer that
arrived late, a clock that was set. Rolling again gives the same rows. Nobody waits for the job: a day that is
not rolled yet is counted when it is read; what of it was counted before is remembered, and counted anew only
when the number of its events has changed.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, delete, func, insert, select

from onecert.ra.models import application_events
from onecert.ra.reports.counting import Key, count, count_sources
from onecert.ra.reports.days import day_of, days_between, start_of, zone_of
from onecert.ra.reports.tables import daily_figures, rolled_days
from onecert.ra.review.service_level import ServiceLevels
from onecert.server.clock import Clock
from onecert.server.database import Database

__all__ = ["Figures"]

log = logging.getLogger(__name__)

# So far back each run looks for events that came late; a run that rolls a new day looks through all days.
LOOK_BACK = timedelta(days=40)
LIVE_DAYS = 7
# What is older than this is remembered: acts that began before have been committed by then, as a rule.
SETTLED = timedelta(minutes=1)


@dataclass(frozen=True)
class _Counted:
    """The figures of a day up to, not including, a moment, and from how many events."""

    until: datetime
    sources: int
    figures: Counter[Key]


class Figures:
    """The daily figures. `zone` is the name of the time zone in which a day begins and ends."""

    def __init__(self, *, database: Database, clock: Clock, zone: str, levels: ServiceLevels) -> None:
        self._database = database
        self._clock = clock
        self._levels = levels
        self._counted: dict[date, _Counted] = {}
        self.zone_name = zone
        self.zone = zone_of(zone)

    def today(self) -> date:
        """The day that is not over yet."""
        return day_of(self._clock.now(), self.zone)

    def run(self, at: datetime) -> None:
        """The job: roll what is not rolled, or no longer agrees with its events."""
        yesterday = day_of(at, self.zone) - timedelta(days=1)
        with self._database.reading() as connection:
            oldest = connection.scalar(select(func.min(application_events.c.at)))
            known = self._rolled(connection)
        if oldest is None:
            return
        first = day_of(oldest, self.zone)
        if yesterday.isoformat() in known:
            first = max(first, yesterday - LOOK_BACK)
        for day in days_between(first, yesterday):
            with self._database.reading() as connection:
                sources = count_sources(connection, *self._bounds(day))
            if known.get(day.isoformat()) != sources:
                self.roll(day)

    def roll(self, day: date) -> None:
        """Count a day and put its rows in place of what was there."""
        name = day.isoformat()
        with self._database.reading() as connection:
            figures = count(connection, *self._bounds(day), self._levels)
            sources = count_sources(connection, *self._bounds(day))
        rows = [
            {"day": name, **{part: getattr(key, part) for part in Key.__dataclass_fields__}, "amount": amount}
            for key, amount in sorted(figures.items())
        ]
        with self._database.transaction() as connection:
            connection.execute(delete(daily_figures).where(daily_figures.c.day == name))
            connection.execute(delete(rolled_days).where(rolled_days.c.day == name))
            if rows:
                connection.execute(insert(daily_figures), rows)
            connection.execute(
                insert(rolled_days).values(
                    day=name, zone=self.zone_name, sources=sources, rolled_at=self._clock.now()
                )
            )
        log.info("day rolled", extra={"day": name, "rows": len(rows)})

    def live(self, connection: Connection, first: date, last: date) -> tuple[dict[date, Counter[Key]], int]:
        """The days of a period that are not in the table, counted now, and how many wait for the job.

        Those are today and what the job has not reached: right after the first start of this program they
        may be years, of which the newest few are counted. Days before anything happened have nothing.
        """
        oldest = connection.scalar(select(func.min(application_events.c.at)))
        if oldest is None:
            return {}, 0
        known = self._rolled(connection, first, last)
        begin, end = max(first, day_of(oldest, self.zone)), min(last, self.today())
        missing = [day for day in days_between(begin, end) if day.isoformat() not in known]
        counted = missing[-LIVE_DAYS:]
        return {day: self._count(connection, day) for day in counted}, len(missing) - len(counted)

    def _count(self, connection: Connection, day: date) -> Counter[Key]:
        """The figures of a day that is not rolled; only what came since the last time is read."""
        start, end = self._bounds(day)
        known = self._counted.get(day)
        if known is None or count_sources(connection, start, known.until) != known.sources:
            known = _Counted(start, 0, Counter())
        until = min(end, self._clock.now() - SETTLED)
        if until > known.until:
            # The number first: an event that is committed in between is then missed by it, and counted anew.
            sources = count_sources(connection, start, until)
            figures = known.figures + count(connection, known.until, until, self._levels)
            known = _Counted(until, sources, figures)
            self._counted = {**dict(list(self._counted.items())[-LIVE_DAYS:]), day: known}
        return known.figures + count(connection, known.until, end, self._levels)

    def _rolled(
        self, connection: Connection, first: date = date.min, last: date = date.max
    ) -> dict[str, int]:
        """The rolled days and from how many events; those of another time zone count as not rolled."""
        rows = connection.execute(
            select(rolled_days.c.day, rolled_days.c.sources).where(
                rolled_days.c.zone == self.zone_name,
                rolled_days.c.day.between(first.isoformat(), last.isoformat()),
            )
        )
        return {row.day: row.sources for row in rows}

    def _bounds(self, day: date) -> tuple[datetime, datetime]:
        return start_of(day, self.zone), start_of(day + timedelta(days=1), self.zone)
