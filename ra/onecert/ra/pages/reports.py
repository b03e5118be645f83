"""Pages of reports: a day, a month or a range, with charts, tables, and the same as CSV and PDF."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from markupsafe import Markup

from onecert.ra.content.fields import KIND_NAMES, Kind
from onecert.ra.operators.roles import ADMINISTRATOR, AUDITOR
from onecert.ra.pages.common import the_operator, the_ra
from onecert.ra.points.points import list_points, list_projects
from onecert.ra.reports.charts import Series, bars, lines
from onecert.ra.reports.days import Period, days_between, read_period
from onecert.ra.reports.exports import csv_file, pdf_file, shown_figures, table_rows
from onecert.ra.reports.reading import DIMENSIONS, Choice, Report, read_report
from onecert.ra.reports.words import (
    DIMENSION_NAMES,
    FIGURE_NAMES,
    SPREAD_NAMES,
    reason_name,
    shown_minutes,
    shown_yuan,
)
from onecert.server.languages import _, gettext
from onecert.server.operators import Operator

__all__ = ["ask_report", "blueprint", "named"]

ISSUED = ("new", "renewed", "changed", "replaced")
TILES = (*ISSUED, "revoked", "held", "released", "unlocked", "returned", "rejected")
_TYPES: Mapping[str, str] = {"csv": "text/csv; charset=utf-8", "pdf": "application/pdf"}


def blueprint() -> Blueprint:
    """Everybody who is signed in reads the figures of their own places; who did how much is the auditor's."""
    pages = Blueprint("reports", __name__)
    pages.add_url_rule("/reports", "index", _page)
    pages.add_url_rule("/reports/figures.<any(csv, pdf):form>", "download", _download)
    return pages


def ask_report(operator: Operator, given: Mapping[str, str]) -> tuple[Report, Choice]:
    """The report that a query asks for, within the operator's reach.

    Raises:
        BodyError: the period is none.
    """
    ra = the_ra()
    period = read_period(
        shape=given.get("period", "month"),
        day=given.get("day", ""),
        month=given.get("month", ""),
        first=given.get("from", ""),
        last=given.get("to", ""),
        today=ra.figures.today(),
    )
    choice = Choice(**{name: given.get(name, "")[:64] for name in ("point", "authority", "kind", "project")})
    with ra.database.reading() as connection:
        report = read_report(
            connection,
            ra.figures,
            ra.reach.scope(connection, operator),
            period,
            choice,
            dimensions=DIMENSIONS if sees_people(operator) else DIMENSIONS[:-1],
        )
    return report, choice


def sees_people(operator: Operator) -> bool:
    """Whether figures of single operators are shown."""
    return operator.has_role(AUDITOR, ADMINISTRATOR)


def named(report: Report) -> dict[str, dict[str, str]]:
    """What the values of each breakdown are called."""
    ra = the_ra()
    with ra.database.reading() as connection:
        return {
            "point": {point.id: point.name for point in list_points(connection)},
            "project": {"": "–", **{each.id: each.name for each in list_projects(connection)}},
            "operator": {each.id: each.name for each in ra.operators.all(connection)}
            if "operator" in report.by
            else {},
            "kind": {kind.value: gettext(KIND_NAMES[kind]) for kind in Kind},
            "authority": {name: ra.directory.listing().shown(name) for name in report.by["authority"]},
        }


def _page() -> str:
    operator = the_operator()
    report, choice = ask_report(operator, request.args)
    names = named(report)
    ra = the_ra()
    headings = [gettext(FIGURE_NAMES[name]) for name in shown_figures(report)]
    return render_template(
        "ra/report.html",
        report=report,
        choice=choice,
        names=names,
        today=ra.figures.today(),
        given=_given(report.period),
        authorities=[(name, each.shown()) for name, each in ra.directory.listing().authorities.items()],
        tiles=[(name, report.totals[name], _against(report, name)) for name in TILES],
        fees=(shown_yuan(report.totals["fees"]), shown_yuan(report.before["fees"])),
        tables=[
            (name, headings, table_rows(report, name, names))
            for name in report.by
            if set(report.by[name]) - {""}
        ],
        level=_level(report),
        reasons=_reasons(report),
        spreads=[(SPREAD_NAMES[name], found) for name, found in report.spreads.items()],
        issued_chart=_issued_chart(report),
        waiting_chart=_waiting_chart(report),
        days=sorted(report.by_day),
        issued=ISSUED,
        issued_headings=[gettext(FIGURE_NAMES[name]) for name in ISSUED],
        projects=[(name, words) for name, words in names["project"].items() if name],
        shapes=_shapes(report.period),
        earlier=_moved(report.period, -1),
        later=_moved(report.period, 1),
        figure_names=FIGURE_NAMES,
        dimension_names=DIMENSION_NAMES,
        shown_minutes=shown_minutes,
        files=request.args.to_dict(),
    )


def _download(form: str) -> Response:
    report, choice = ask_report(the_operator(), request.args)
    ra = the_ra()
    names, at = named(report), ra.clock.now()
    if form == "pdf":
        content = pdf_file(report, choice, names, at=at, font=ra.config.papers_font)
    else:
        content = csv_file(report, choice, names, at=at)
    name = f"onecert-report-{report.period.first}-{report.period.last}.{form}"
    return Response(
        content, mimetype=_TYPES[form], headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _given(period: Period) -> dict[str, str]:
    """What the form shows as chosen, also for the shapes that are not chosen."""
    return {
        "period": period.shape,
        "day": str(period.last),
        "month": f"{period.last:%Y-%m}",
        "from": str(period.first),
        "to": str(period.last),
    }


def _shapes(period: Period) -> list[dict[str, Any]]:
    """The three shapes of a period, as tabs."""
    labels = {"day": _("Day"), "month": _("Month"), "range": _("Range of days")}
    given = _given(period)
    wanted: dict[str, dict[str, Any]] = {
        "day": {"day": given["day"]},
        "month": {"month": given["month"]},
        "range": {"from": given["from"], "to": given["to"]},
    }
    limits = ("point", "authority", "kind", "project")
    kept: dict[str, Any] = {name: request.args[name] for name in limits if name in request.args}
    return [
        {
            "label": gettext(label),
            "url": url_for("reports.index", period=shape, **wanted[shape], **kept),
            "is_here": shape == period.shape,
        }
        for shape, label in labels.items()
    ]


def _moved(period: Period, by: int) -> str:
    """The address of the period before or after this one."""
    other = period.before() if by < 0 else period.after()
    kept = request.args.to_dict()
    given = _given(other)
    names = {"day": ("day",), "month": ("month",), "range": ("from", "to")}[period.shape]
    query: dict[str, Any] = {**kept, "period": period.shape, **{name: given[name] for name in names}}
    return url_for("reports.index", **query)


def _against(report: Report, name: str) -> str:
    """The change against the period before: `+3`, `−2`, `±0`."""
    change = report.totals[name] - report.before[name]
    return f"+{change}" if change > 0 else (f"−{-change}" if change < 0 else "±0")


def _level(report: Report) -> str:
    """The share of reviews within the service level, as a line; empty when no level held."""
    within, late = report.totals["in_time"], report.totals["late"]
    if not within + late:
        return ""
    share = f"{1000 * within // (within + late) / 10:.1f}%"  # rounded down: 100 % is all of them
    text = _("Reviewed within the service level: %(count)s of %(total)s (%(share)s)")
    return gettext(text, count=within, total=within + late, share=share)


def _reasons(report: Report) -> list[tuple[str, list[tuple[str, str]]]]:
    titles = {
        "return_reason": _("Reasons of returns"),
        "revoked": _("Reasons of revocations"),
        "fees": _("Fees, yuan"),
        "media": _("Tokens"),
    }
    return [
        (
            title,
            [
                (reason_name(figure, reason), shown_yuan(amount) if figure == "fees" else str(amount))
                for reason, amount in report.reasons[figure].most_common()
            ],
        )
        for figure, title in titles.items()
        if report.reasons[figure]
    ]


def _labels(report: Report) -> list[str]:
    return [f"{day.month}-{day.day}" for day in _days(report)]


def _days(report: Report) -> list[Any]:
    return list(days_between(report.period.first, report.period.last))


def _issued_chart(report: Report) -> Markup:
    days = _days(report)
    series = [
        Series(gettext(FIGURE_NAMES[name]), [report.by_day.get(day, Counter())[name] for day in days])
        for name in ISSUED
    ]
    total = sum(report.totals[name] for name in ISSUED)
    desc = gettext(_("%(count)s certificates were issued in this period."), count=total)
    drawing = bars(gettext(_("Certificates issued, by day")), desc, _labels(report), series)
    return Markup(drawing)  # noqa: S704 - its texts are escaped


def _waiting_chart(report: Report) -> Markup:
    days = _days(report)
    found = [report.spreads_by_day.get(day) for day in days]
    series = [
        Series(gettext(_("Median")), [one.median if one else None for one in found]),
        Series(gettext(_("95th percentile")), [one.p95 if one else None for one in found]),
    ]
    desc = gettext(_("Minutes from submission to issue, for each day on which something was issued."))
    drawing = lines(gettext(_("Waiting time, minutes")), desc, _labels(report), series)
    return Markup(drawing)  # noqa: S704 - its texts are escaped
