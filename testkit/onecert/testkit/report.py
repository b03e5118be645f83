"""The runner's report for people: a table, and below it what failed and what it means."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from onecert.testkit.misuse import MISUSES
from onecert.testkit.runner import FAILED, OK, SKIPPED, Outcome
from onecert.testkit.texts import catalogue, text
from onecert.verifier.messages import harmless

__all__ = ["advice", "found_text", "report_lines"]

_RESULTS = {OK: "RESULT_OK", FAILED: "RESULT_FAILED", SKIPPED: "RESULT_SKIPPED"}
_CELL_MAX = 60
_MISUSES = frozenset(misuse.name for misuse in MISUSES)


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
    for outcome in failed:
        lines.append(f"- {outcome.name}: {outcome.why[language]}")
        lines.append(f"  {advice(outcome, language)}")
    return lines


def found_text(outcome: Outcome, language: str) -> str:
    """What was expected and what came, in one line."""
    expected, found = _cells(outcome, language)[2:]
    return text("EXPECTED_FOUND", language, expected=expected, found=found)


def advice(outcome: Outcome, language: str) -> str:
    """What to do about a failure."""
    if outcome.found == "error":
        return text("ADVICE_ERROR", language)
    if outcome.expected == "accepted":
        return text("ADVICE_OTHER_ID" if outcome.found == "accepted" else "ADVICE_LET_IN", language)
    if outcome.found != "accepted":
        return text("ADVICE_OTHER_CODE", language)
    row = f"ADVICE_{outcome.name.replace('-', '_').upper()}"
    if row in catalogue():
        return text(row, language)
    kind = "LOGIN" if outcome.name in _MISUSES else outcome.expected_code.partition("_")[0]
    row = f"ADVICE_{kind}"
    return text(row if row in catalogue() else "ADVICE_VERIFY", language)


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
