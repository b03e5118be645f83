"""The runner's report for people: a table, and below it what failed and what it means."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from onecert.testkit.runner import FAILED, OK, SKIPPED, Outcome
from onecert.testkit.texts import text
from onecert.verifier.messages import harmless

__all__ = ["report_lines"]

_RESULTS = {OK: "RESULT_OK", FAILED: "RESULT_FAILED", SKIPPED: "RESULT_SKIPPED"}
_CELL_MAX = 60


def report_lines(outcomes: Sequence[Outcome], language: str) -> list[str]:
    """The report in ``zh`` or ``en``."""
    head = ("HEAD_RESULT", "HEAD_CASE", "HEAD_EXPECTED", "HEAD_FOUND")
    rows = [[text(code, language) for code in head]]
    rows += [_cells(outcome, language) for outcome in outcomes]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    failed = [outcome for outcome in outcomes if outcome.result == FAILED]
    skipped = sum(outcome.result == SKIPPED for outcome in outcomes)
    facts = {"failed": len(failed), "skipped": skipped, "count": len(outcomes) - skipped}
    lines += ["", text("SUMMARY_BAD" if failed else "SUMMARY_GOOD", language, **facts)]
    return lines + [f"- {outcome.name}: {outcome.why[language]}" for outcome in failed]


def _cells(outcome: Outcome, language: str) -> list[str]:
    # Of a sign-in that is as expected one word is enough; of one that is not, everything that differs.
    expected = [_verdict(outcome.expected, language), outcome.expected_code]
    found = [_verdict(outcome.found, language), outcome.found_code]
    if outcome.result == FAILED:
        found.append(outcome.note)
    if outcome.expected == outcome.found == "accepted":
        expected.append(outcome.expected_id)
        found.append(outcome.found_id)
    if outcome.result == SKIPPED and outcome.name == "late":
        found.append(text("SKIPPED_SLOW", language))
    cells = [" ".join(filter(None, parts)) for parts in (expected, found)]
    return [
        text(_RESULTS[outcome.result], language),
        outcome.name,
        *(harmless(cell, _CELL_MAX) for cell in cells),
    ]


def _verdict(kind: str, language: str) -> str:
    return text(f"VERDICT_{kind.replace('-', '_').upper()}", language) if kind else ""


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _width(cell: str) -> int:
    """Columns on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in cell)
