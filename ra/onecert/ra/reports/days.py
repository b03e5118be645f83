"""Days and periods in the time zone of reports: where they begin and end, and which one came before."""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from onecert.ra.errors import BodyError
from onecert.server.languages import CHINA_TIME

__all__ = ["MAX_DAYS", "Period", "day_of", "days_between", "read_period", "start_of", "zone_of"]

MAX_DAYS = 366
_MONTH = re.compile(r"(\d{4})-(\d{2})")


def zone_of(name: str) -> tzinfo:
    """The time zone of the setting. Raises `ValueError` when there is none of this name.

    China's is a fixed offset, as everywhere here: it needs no tz database.
    """
    if name == "Asia/Shanghai":
        return CHINA_TIME
    try:
        return ZoneInfo(name)
    except (KeyError, OSError) as exc:
        raise ValueError(f"report_zone {name} is not known on this machine") from exc


@dataclass(frozen=True)
class Period:
    """From the first day to the last, both included. `shape`: day, month or range."""

    first: date
    last: date
    shape: str = "range"

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    def before(self) -> "Period":
        """The period to compare with: the month before, or as many days just before."""
        last = self.first - timedelta(days=1)
        if self.shape == "month":
            return Period(last.replace(day=1), last, "month")
        return Period(self.first - timedelta(days=self.days), last, self.shape)

    def after(self) -> "Period":
        """The one that follows, of the same length or the next month."""
        first = self.last + timedelta(days=1)
        if self.shape == "month":
            end = calendar.monthrange(first.year, first.month)[1]
            return Period(first, first.replace(day=end), "month")
        return Period(first, first + timedelta(days=self.days - 1), self.shape)

    def __str__(self) -> str:
        if self.shape == "month":
            return f"{self.first:%Y-%m}"
        return str(self.first) if self.first == self.last else f"{self.first} – {self.last}"


def read_period(
    *, shape: str, day: str = "", month: str = "", first: str = "", last: str = "", today: date
) -> Period:
    """The period that was asked for; without a word it is today, this month, or the last thirty days.

    Raises:
        BodyError: not a date, the wrong way round, or longer than a year.
    """
    if shape == "month":
        match = _MONTH.fullmatch(month or f"{today:%Y-%m}")
        if match is None or not 1 <= int(match[2]) <= 12 or not 1970 <= int(match[1]) <= 9000:
            raise BodyError("month")
        year, number = int(match[1]), int(match[2])
        end = calendar.monthrange(year, number)[1]
        return Period(date(year, number, 1), date(year, number, end), "month")
    if shape == "range":
        begin = _read(first, today - timedelta(days=29), "from")
        end_day = _read(last, max(today, begin), "to")
        if begin > end_day or (end_day - begin).days >= MAX_DAYS:
            raise BodyError("from, to")
        return Period(begin, end_day, "range")
    if shape != "day":
        raise BodyError("period")
    chosen = _read(day, today, "day")
    return Period(chosen, chosen, "day")


def _read(text: str, default: date, name: str) -> date:
    if not text:
        return default
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise BodyError(name) from None
    if len(text) != 10 or not 1970 <= found.year <= 9000:
        raise BodyError(name)
    return found


def start_of(day: date, zone: tzinfo) -> datetime:
    """The moment when a day begins, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def day_of(at: datetime, zone: tzinfo) -> date:
    """The day of a moment."""
    return at.astimezone(zone).date()


def days_between(first: date, last: date) -> Iterator[date]:
    """Each day, both ends included."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)
