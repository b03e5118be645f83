"""How long something may wait: the settings `service_levels`, `working_days`, `working_hours`, `holidays`.

A level is a rule (`rules.py`) with `within=4h` or `within=3d`: hours of work, and a day is one working day.
The first rule that holds counts; where none holds, nothing is due. Work is done in China time. Pure: no
clock, no database.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

from onecert.ra.review.rules import Facts, Rule

__all__ = ["Due", "ServiceLevels", "WorkingTime"]

CHINA = timezone(timedelta(hours=8))
TEXTS = ("authority", "business", "point", "state", "type")
_WITHIN = re.compile(r"\bwithin=(\d{1,4})(h|d)\b")
_HOURS = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})")
_LONGEST = timedelta(days=400)


@dataclass(frozen=True)
class WorkingTime:
    """When people work: days of the week (1 is Monday), from, to, and days that are free all the same."""

    days: frozenset[int] = frozenset({1, 2, 3, 4, 5})
    opens: time = time(9)
    closes: time = time(17)
    holidays: frozenset[date] = frozenset()

    @classmethod
    def from_settings(cls, days: str, hours: str, holidays: Iterable[str]) -> "WorkingTime":
        """Read `12345`, `09:00-17:00` and dates (ISO 8601). Raises `ValueError`."""
        match = _HOURS.fullmatch(hours)
        if match is None or not days or not set(days) <= set("1234567"):
            raise ValueError("working_days are digits 1 to 7, working_hours are HH:MM-HH:MM")
        opens, closes = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
        if opens >= closes:
            raise ValueError("working_hours end before they begin")
        free = frozenset(date.fromisoformat(day) for day in holidays)
        return cls(frozenset(map(int, days)), opens, closes, free)

    @property
    def day(self) -> timedelta:
        """How long a working day is."""
        return datetime.combine(date.min, self.closes) - datetime.combine(date.min, self.opens)

    def after(self, since: datetime, work: timedelta) -> datetime:
        """The moment when this much work time has gone by since then."""
        here = since.astimezone(CHINA)
        end = here + _LONGEST
        while here < end:
            if here.isoweekday() in self.days and here.date() not in self.holidays:
                opens = datetime.combine(here.date(), self.opens, CHINA)
                closes = datetime.combine(here.date(), self.closes, CHINA)
                begin = max(here, opens)
                if begin < closes:
                    if begin + work <= closes:
                        return begin + work
                    work -= closes - begin
            here = datetime.combine(here.date() + timedelta(days=1), time(), CHINA)
        return end


@dataclass(frozen=True)
class Due:
    """When something is due, and how that stands: `in_time`, `soon` (a quarter is left) or `overdue`."""

    at: datetime
    standing: str


@dataclass(frozen=True)
class ServiceLevels:
    """The levels, in the order of the settings."""

    levels: tuple[tuple[Rule, timedelta], ...]
    working: WorkingTime

    @classmethod
    def from_settings(cls, lines: Iterable[str], working: WorkingTime) -> "ServiceLevels":
        """Raises `ValueError` when a line is not a rule with `within=`."""
        levels = []
        for line in lines:
            match = _WITHIN.search(line)
            if match is None:
                raise ValueError(f"“{line}” lacks within=4h or within=3d")
            unit = timedelta(hours=1) if match[2] == "h" else working.day
            rule = Rule.parse(line.replace(match[0], ""), texts=TEXTS)
            levels.append((rule, int(match[1]) * unit))
        return cls(tuple(levels), working)

    def due(self, facts: Facts, since: datetime, at: datetime) -> Due | None:
        """When a record that has been in its state since then is due; None: no level holds for it."""
        within = next((span for rule, span in self.levels if rule.holds(facts)), None)
        if within is None:
            return None
        due = self.working.after(since, within)
        if at > due:
            return Due(due, "overdue")
        return Due(due, "soon" if at > self.working.after(since, within * 3 / 4) else "in_time")
