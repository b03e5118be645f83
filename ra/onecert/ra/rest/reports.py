"""REST for reports: the figures of a period, in the caller's reach."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from onecert.ra.pages.common import the_operator
from onecert.ra.pages.reports import ask_report
from onecert.ra.reports.counting import COUNTS
from onecert.ra.reports.days import Period
from onecert.ra.reports.reading import Report

__all__ = ["add_to"]

_REASONS = ("return_reason", "revoked", "fees", "media")


def add_to(api: Blueprint) -> None:
    """Add the endpoint."""
    api.add_url_rule("/reports", "report", _report)


def _report() -> Response:
    report, _choice = ask_report(the_operator(), request.args)
    return jsonify(_json(report))


def _json(report: Report) -> dict[str, Any]:
    return {
        "period": _period(report.period),
        "before": _period(report.period.before()),
        "zone": report.zone,
        "days_waiting": report.days_waiting,
        "totals": _counts(report.totals),
        "totals_before": _counts(report.before),
        "by_day": {str(day): _counts(counts) for day, counts in sorted(report.by_day.items())},
        "by": {
            dimension: {value: _counts(counts) for value, counts in rows.items()}
            for dimension, rows in report.by.items()
        },
        "reasons": {figure: dict(report.reasons[figure]) for figure in _REASONS},
        "minutes": {
            figure: {"count": spread.count, "median": spread.median, "p95": spread.p95} if spread else None
            for figure, spread in report.spreads.items()
        },
    }


def _period(period: Period) -> dict[str, str]:
    return {"shape": period.shape, "from": str(period.first), "to": str(period.last)}


def _counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Each figure, also those that are 0; fees in fen."""
    return {name: counts.get(name, 0) for name in (*COUNTS, "fees")}
