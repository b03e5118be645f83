"""Reads a report: totals of a period, by day and by what they are broken down, against the period before.

Only what the operator's scope covers is read. Percentiles are by nearest rank: the smallest value that at
least this share of all values does not exceed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from onecert.ra.operators.scopes import Scope
from onecert.ra.reports.counting import COUNTS, DURATIONS, Key
from onecert.ra.reports.days import Period
from onecert.ra.reports.rolling import Figures
from onecert.ra.reports.tables import daily_figures, rolled_days

__all__ = ["DIMENSIONS", "Choice", "Report", "Spread", "read_report"]

DIMENSIONS = ("point", "kind", "authority", "project", "operator")
_BY_REASON = ("return_reason", "revoked", "fees", "media")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a report is limited to; empty: everything in reach."""

    point: str = ""
    authority: str = ""
    kind: str = ""
    project: str = ""

    def holds(self, key: Key) -> bool:
        """Whether a figure belongs to it."""
        return all(wanted in {"", getattr(key, name)} for name, wanted in vars(self).items())

    def condition(self) -> list[ColumnElement[bool]]:
        """The same for rows of the table."""
        return [daily_figures.c[name] == wanted for name, wanted in vars(self).items() if wanted]


@dataclass(frozen=True)
class Spread:
    """How long something took, in minutes."""

    count: int
    median: int
    p95: int

    @classmethod
    def of(cls, amounts: Mapping[int, int]) -> "Spread | None":
        """From how often each number of minutes occurred; None when nothing did."""
        total = sum(amounts.values())
        if not total:
            return None
        return cls(total, _nearest_rank(amounts, total, 50), _nearest_rank(amounts, total, 95))


@dataclass
class Report:
    """The figures of a period. Everything is a number; words are the page's."""

    period: Period
    zone: str
    totals: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    by_day: dict[date, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    by: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    reasons: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    spreads: dict[str, Spread | None] = field(default_factory=dict)
    spreads_by_day: dict[date, Spread | None] = field(default_factory=dict)  # from submission to issue
    days_waiting: int = 0  # for the job; they are not in the figures yet


def read_report(
    connection: Connection,
    figures: Figures,
    scope: Scope,
    period: Period,
    choice: Choice,
    *,
    dimensions: Iterable[str] = DIMENSIONS,
) -> Report:
    """One report. `connection` of `Database.reading()`."""
    report = Report(period, figures.zone_name)
    live, report.days_waiting = _live(connection, figures, scope, period, choice)
    rows = _Rows(connection, figures, scope, period, choice)
    _read_counts(report, rows, live, dimensions)
    _read_reasons(report, rows, live)
    _read_spreads(report, rows, live)
    earlier = period.before()
    live_before, waiting = _live(connection, figures, scope, earlier, choice)
    report.days_waiting += waiting
    before = _Rows(connection, figures, scope, earlier, choice)
    for figure, amount in before.sums((*COUNTS, "fees"), "figure"):
        report.before[figure] += amount
    for counted in live_before.values():
        for key, amount in counted.items():
            if key.figure in COUNTS or key.figure == "fees":
                report.before[key.figure] += amount
    return report


class _Rows:
    """Sums over the rolled rows of one period."""

    def __init__(
        self, connection: Connection, figures: Figures, scope: Scope, period: Period, choice: Choice
    ) -> None:
        self._connection = connection
        days = (period.first.isoformat(), period.last.isoformat())
        self._conditions = [
            daily_figures.c.day.between(*days),
            daily_figures.c.day.in_(
                select(rolled_days.c.day).where(
                    rolled_days.c.zone == figures.zone_name, rolled_days.c.day.between(*days)
                )
            ),
            scope.condition(daily_figures.c),
            *choice.condition(),
        ]

    def sums(self, wanted: Iterable[str], *names: str) -> Iterable[tuple[Any, ...]]:
        """The amounts of some figures, by these columns: (name, …, amount)."""
        columns = [daily_figures.c[name] for name in names]
        query = (
            select(*columns, func.sum(daily_figures.c.amount))
            .where(daily_figures.c.figure.in_(list(wanted)), *self._conditions)
            .group_by(*columns)
        )
        for *values, amount in self._connection.execute(query):
            yield (*values, int(amount))


_Live = Mapping[date, Mapping[Key, int]]


def _live(
    connection: Connection, figures: Figures, scope: Scope, period: Period, choice: Choice
) -> tuple[_Live, int]:
    found, waiting = figures.live(connection, period.first, period.last)
    kept = {
        day: {
            key: amount
            for key, amount in counted.items()
            if choice.holds(key) and scope.covers(key.point, key.authority, key.kind)
        }
        for day, counted in found.items()
    }
    return kept, waiting


def _read_counts(report: Report, rows: _Rows, live: _Live, dimensions: Iterable[str]) -> None:
    for day, figure, amount in rows.sums((*COUNTS, "fees"), "day", "figure"):
        report.by_day[date.fromisoformat(day)][figure] += amount
    for day, counted in live.items():
        for key, amount in counted.items():
            if key.figure in COUNTS or key.figure == "fees":
                report.by_day[day][key.figure] += amount
    for figures in report.by_day.values():
        report.totals.update(figures)
    for name in dimensions:
        table: dict[str, Counter[str]] = defaultdict(Counter)
        for value, figure, amount in rows.sums(COUNTS, name, "figure"):
            table[value][figure] += amount
        for counted in live.values():
            for key, amount in counted.items():
                if key.figure in COUNTS:
                    table[getattr(key, name)][key.figure] += amount
        report.by[name] = dict(sorted(table.items()))


def _read_reasons(report: Report, rows: _Rows, live: _Live) -> None:
    for figure, reason, amount in rows.sums(_BY_REASON, "figure", "reason"):
        report.reasons[figure][reason] += amount
    for counted in live.values():
        for key, amount in counted.items():
            if key.figure in _BY_REASON:
                report.reasons[key.figure][key.reason] += amount


def _read_spreads(report: Report, rows: _Rows, live: _Live) -> None:
    amounts: dict[str, Counter[int]] = {figure: Counter() for figure in DURATIONS}
    of_day: dict[date, Counter[int]] = defaultdict(Counter)
    for figure, value, amount in rows.sums(("to_review", "to_deliver"), "figure", "value"):
        amounts[figure][value] += amount
    for day, value, amount in rows.sums(("to_issue",), "day", "value"):
        amounts["to_issue"][value] += amount
        of_day[date.fromisoformat(day)][value] += amount
    for day, counted in live.items():
        for key, amount in counted.items():
            if key.figure in amounts:
                amounts[key.figure][key.value] += amount
            if key.figure == "to_issue":
                of_day[day][key.value] += amount
    report.spreads = {figure: Spread.of(found) for figure, found in amounts.items()}
    report.spreads_by_day = {day: Spread.of(found) for day, found in sorted(of_day.items())}


def _nearest_rank(amounts: Mapping[int, int], total: int, percent: int) -> int:
    wanted = -(-total * percent // 100)
    seen = 0
    for value, amount in sorted(amounts.items()):
        seen += amount
        if seen >= wanted:
            return value
    raise AssertionError("unreachable: the last value is at or above every rank")
