"""The register's entries as an office hands them over, CSV or JSON lines, to the rows of ``registry.jsonl``.

CSV has a heading line with these columns, of which the first three are needed; several values of one field
are separated by ``;``. UTF-8, or GB 18030 as spreadsheets in China write it.

    uscc,name,state,former_names,regno,from,until

``state`` is active, cancelled, revoked, or 存续, 注销, 吊销. A day (2026-11-21) begins at midnight in China.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from onecert.server.languages import CHINA_TIME
from onecert.verifier.errors import VerifyError
from onecert.verifier.identity.registry_rows import read_row
from onecert.verifier.strict_json import format_time

__all__ = ["CheckedRows", "RowFault", "check_rows"]

_NEEDED = ("uscc", "name", "state")
_COLUMNS = (*_NEEDED, "former_names", "regno", "from", "until")
_STATES = {"存续": "active", "注销": "cancelled", "吊销": "revoked"}
_DAY = len("2026-11-21")


@dataclass(frozen=True)
class RowFault:
    """What is wrong with one line of the office's file; 1 is the first."""

    line: int
    detail: str


@dataclass(frozen=True)
class CheckedRows:
    """Rows that every verifier reads, sorted; or what is wrong with them."""

    lines: list[bytes]
    faults: list[RowFault]


def check_rows(data: bytes, *, is_csv: bool) -> CheckedRows:
    """Check every entry, and go on after a fault, so that one report names them all."""
    found: dict[str, tuple[int, bytes]] = {}
    faults: list[RowFault] = []
    for number, entry in _from_csv(data) if is_csv else _from_lines(data):
        if isinstance(entry, str):
            faults.append(RowFault(number, entry))
            continue
        # One spelling of each row: the same register gives the same file.
        line = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode(
            "utf-8", "replace"
        )
        try:
            row = read_row(line)
        except VerifyError as exc:
            faults.append(RowFault(number, str(exc.facts.get("detail", exc.text("en")))))
            continue
        if row.uscc in found:
            faults.append(RowFault(number, f"uscc: the entity stands in line {found[row.uscc][0]} already"))
            continue
        found[row.uscc] = number, line
    return CheckedRows([found[uscc][1] + b"\n" for uscc in sorted(found)], faults)


def _from_lines(data: bytes) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "it is not JSON"
            continue
        yield number, entry if isinstance(entry, dict) else "it is no object"


def _from_csv(data: bytes) -> Iterator[tuple[int, dict[str, Any] | str]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("gb18030", "replace")
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        columns = reader.fieldnames or []
        if not set(_NEEDED) <= set(columns) <= set(_COLUMNS):
            yield 1, f"the columns must be {', '.join(_COLUMNS)}; the first three are needed"
            return
        for row in reader:
            number = reader.line_num
            if None in row or None in row.values():
                yield number, "it has more or fewer fields than the heading"
                continue
            try:
                yield number, _entry({name: (row.get(name) or "").strip() for name in _COLUMNS})
            except ValueError as exc:
                yield number, str(exc)
    except csv.Error as exc:
        yield reader.line_num, str(exc)


def _entry(row: dict[str, str]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "uscc": row["uscc"],
        "names": [row["name"], *_several(row["former_names"])],
        "state": _STATES.get(row["state"], row["state"]),
    }
    if row["regno"]:
        entry["regno"] = _several(row["regno"])
    for name in ("from", "until"):
        if row[name]:
            entry[name] = _time(row[name], name)
    return entry


def _several(text: str) -> list[str]:
    return [part.strip() for part in text.replace("；", ";").split(";") if part.strip()]


def _time(text: str, name: str) -> str:
    if len(text) != _DAY:
        return text  # the verifier's reader judges it
    try:
        begin = datetime.combine(date.fromisoformat(text), time.min, CHINA_TIME)
    except ValueError as exc:
        raise ValueError(f"{name}: a day is written 2026-11-21") from exc
    return format_time(begin.astimezone(UTC))
