"""A report as CSV and as PDF.

CSV by RFC 4180, UTF-8 with a byte order mark so that spreadsheets read Chinese; a cell that a spreadsheet
would take for a formula gets an apostrophe in front (OWASP, CSV injection).
"""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from onecert.ra.reports.counting import COUNTS
from onecert.ra.reports.reading import Choice, Report
from onecert.ra.reports.words import (
    DIMENSION_NAMES,
    FIGURE_NAMES,
    SPREAD_NAMES,
    reason_name,
    shown_minutes,
    shown_yuan,
)
from onecert.server.languages import _, format_datetime, gettext

__all__ = ["csv_file", "pdf_file", "safe_cell", "sections", "table_rows"]

Names = Mapping[str, Mapping[str, str]]
Section = tuple[str, Sequence[str], list[list[str]]]


def safe_cell(text: str) -> str:
    """The text as no spreadsheet calculates with it."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"} else text


def shown_figures(report: Report) -> list[str]:
    """The counts that have anything to show, now or in the period before."""
    return [name for name in COUNTS if report.totals[name] or report.before[name]]


def table_rows(report: Report, dimension: str, names: Names) -> list[list[str]]:
    """The rows of one breakdown: its value in words, then each figure."""
    figures = shown_figures(report)
    return [
        [names[dimension].get(value, value) or "–", *(str(counts[name]) for name in figures)]
        for value, counts in report.by[dimension].items()
    ]


def sections(report: Report, names: Names) -> list[Section]:
    """Everything that a report says, as tables: title, headings, rows."""
    figures = shown_figures(report)
    headings = [gettext(FIGURE_NAMES[name]) for name in figures]
    found: list[Section] = [
        (
            gettext(_("Totals")),
            [gettext(_("Figure")), gettext(_("This period")), gettext(_("Period before"))],
            [
                *(
                    [gettext(FIGURE_NAMES[name]), str(report.totals[name]), str(report.before[name])]
                    for name in figures
                ),
                [
                    gettext(_("Fees, yuan")),
                    shown_yuan(report.totals["fees"]),
                    shown_yuan(report.before["fees"]),
                ],
            ],
        ),
        (
            gettext(_("By day")),
            [gettext(_("Day")), *headings],
            [
                [str(day), *(str(report.by_day[day][name]) for name in figures)]
                for day in sorted(report.by_day)
            ],
        ),
    ]
    found += [
        (
            gettext(_("By %(dimension)s"), dimension=DIMENSION_NAMES[dimension]),
            [gettext(DIMENSION_NAMES[dimension]), *headings],
            table_rows(report, dimension, names),
        )
        for dimension in report.by
    ]
    found.append(
        (
            gettext(_("Waiting times")),
            [
                gettext(_("Span")),
                gettext(_("Count")),
                gettext(_("Median")),
                gettext(_("95th percentile")),
            ],
            [
                [
                    gettext(SPREAD_NAMES[name]),
                    str(spread.count),
                    shown_minutes(spread.median),
                    shown_minutes(spread.p95),
                ]
                for name, spread in report.spreads.items()
                if spread is not None
            ],
        )
    )
    for figure, title in (
        ("return_reason", _("Reasons of returns")),
        ("revoked", _("Reasons of revocations")),
        ("fees", _("Fees, yuan")),
        ("media", _("Tokens")),
    ):
        rows = [
            [reason_name(figure, reason), shown_yuan(amount) if figure == "fees" else str(amount)]
            for reason, amount in report.reasons[figure].most_common()
        ]
        found.append((gettext(title), [gettext(_("Reason or kind")), gettext(_("Count"))], rows))
    return [section for section in found if section[2]]


def preamble(report: Report, choice: Choice, names: Names, at: datetime) -> list[tuple[str, str]]:
    """What a reader must know about the numbers: period, limits, time zone, when they were read."""
    limits = [
        f"{gettext(DIMENSION_NAMES[name])}: {names[name].get(value, value)}"
        for name, value in vars(choice).items()
        if value
    ]
    lines = [
        (gettext(_("Period")), str(report.period)),
        (gettext(_("Compared with")), str(report.period.before())),
        (gettext(_("Limited to")), "; ".join(limits) or gettext(_("everything in your reach"))),
        (gettext(_("Days begin and end in the time zone")), report.zone),
        (gettext(_("Read at")), format_datetime(at)),
    ]
    if report.days_waiting:
        lines.append((gettext(_("Days not counted yet")), str(report.days_waiting)))
    return lines


def csv_file(report: Report, choice: Choice, names: Names, *, at: datetime) -> bytes:
    """All tables one below the other."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for line in preamble(report, choice, names, at):
        writer.writerow([safe_cell(cell) for cell in line])
    for title, headings, rows in sections(report, names):
        writer.writerows([[], [safe_cell(title)], [safe_cell(cell) for cell in headings]])
        writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def pdf_file(
    report: Report, choice: Choice, names: Names, *, at: datetime, font: Path | None = None
) -> bytes:
    """The same on A4 across, to be printed and filed; `font` as for papers."""
    from onecert.ra.reports.pdf import write_pdf  # noqa: PLC0415 - fpdf2 takes long to load

    title = gettext(_("Report of the registration authority"))
    lines, tables = preamble(report, choice, names, at), sections(report, names)
    made: Any = write_pdf(title, lines, tables, at=at, font=font)
    return bytes(made)
