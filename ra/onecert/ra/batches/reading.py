"""Reads an uploaded table into rows of text: CSV in three encodings, or the first sheet of an XLSX workbook.

    table = read_table(data)      # BatchFileError: the file as a whole cannot be taken
    table.titles, table.rows, table.notes

Cells become text and nothing is corrected here. What a spreadsheet program has already destroyed is marked so
that the check can say it: a number of more than 15 digits kept as a floating-point number has lost its last
digits. Formulas count by the value that was saved with them. Runs without database, token or network, so that
it can be done in a process of its own.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from onecert.ra.batches.columns import count_known
from onecert.ra.batches.containers import MAX_ROWS, check_workbook, sniff
from onecert.ra.errors.batches import BatchFileError
from onecert.server.languages import _

__all__ = ["CELL_MAX", "CSR_MAX", "CUT", "DAMAGED", "Table", "read_table"]

COLUMNS_MAX = 64
CELL_MAX = 2_000
CSR_MAX = 24_000  # 16 KiB of a request in base64 with its line ends
_FIELD_MAX = 64 * 1024
_HEADING_ROWS = 8  # a heading is looked for in so many rows; titles may stand above it
_EXACT = 10**15  # integers up to here are exact in a spreadsheet
# A private character in front of a cell that cannot be trusted; no file brings it, see `_text`.
DAMAGED = "\ue0f0"
CUT = "\ue0f1"
_SCIENTIFIC = re.compile(r"[0-9](?:\.[0-9]+)?[eE]\+?(?:1[4-9]|2[0-9])")


@dataclass(frozen=True)
class Table:
    """A heading and its rows; each row with its number as a spreadsheet counts."""

    titles: tuple[str, ...]
    rows: list[tuple[int, list[str]]]
    notes: tuple[str, ...] = ()


def read_table(data: bytes, *, rows_max: int = MAX_ROWS) -> Table:
    """Read the whole file.

    Raises:
        BatchFileError
    """
    if sniff(data) == "xlsx":
        check_workbook(data)
        return _table(_sheet_rows(data), (), rows_max)
    text, notes = _decoded(data)
    return _table(_csv_rows(text), notes, rows_max)


def _decoded(data: bytes) -> tuple[str, tuple[str, ...]]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16"), (_("The file was read as UTF-16."),)
        except UnicodeDecodeError as exc:
            raise _not_text() from exc
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        pass
    if _is_mixed(data):
        raise BatchFileError(
            _("Some lines are UTF-8 and others GB18030: two files were joined."),
            _("Put the rows together in Excel or WPS and save them as one file."),
        )
    try:
        return data.decode("gb18030"), (_("The file was read as GB18030 (GBK); compare a name below."),)
    except UnicodeDecodeError as exc:
        raise _not_text() from exc


def _not_text() -> BatchFileError:
    return BatchFileError(
        _("The file is neither UTF-8 nor GB18030 text."),
        _("Save it as “CSV UTF-8” or as “Excel Workbook (.xlsx)”."),
    )


_HAN_UTF8 = re.compile(rb"(?:[\xe4-\xe9][\x80-\xbf]{2}){3}")


def _is_mixed(data: bytes) -> bool:
    """Whether lines of both encodings stand in one file: three Han in UTF-8 are no accident in GB18030."""
    has_utf8 = has_other = False
    for line in data.splitlines():
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            has_other = True
        else:
            has_utf8 = has_utf8 or _HAN_UTF8.search(line) is not None
        if has_utf8 and has_other:
            return True
    return False


def _csv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    csv.field_size_limit(_FIELD_MAX)
    number = 0
    try:
        # A quoted cell may hold line breaks; people count rows as the spreadsheet shows them.
        for number, cells in enumerate(reader, start=1):
            if len(cells) > COLUMNS_MAX and any(cells[COLUMNS_MAX:]):
                raise _too_wide()
            yield number, [_text(cell) for cell in cells[:COLUMNS_MAX]]
    except csv.Error as exc:
        raise BatchFileError(
            _("Row %(row)s cannot be read: a quotation mark is not closed, or a cell is longer than 64 KB."),
            _("Open the file in Excel or WPS, look at this row, and save it again."),
            row=number + 1,
        ) from exc


def _too_wide() -> BatchFileError:
    return BatchFileError(
        _("The table has more than %(limit)s columns."),
        _("Keep the columns of the template and delete the others."),
        limit=COLUMNS_MAX,
    )


def _separator(text: str) -> str:
    """Comma, semicolon or tab: the one that finds most headings in the first lines."""
    lines = text[:_FIELD_MAX].splitlines()[:_HEADING_ROWS]
    return max(
        ",;\t",
        key=lambda mark: max((count_known(line.replace('"', "").split(mark)) for line in lines), default=0),
    )


def _sheet_rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        with CalamineWorkbook.from_object(io.BytesIO(data)) as book:
            sheet = book.get_sheet_by_index(0)
            start = sheet.start
            if start is None:
                return
            _check_merged(sheet.merged_cell_ranges or [], start[0])
            if sheet.total_width > COLUMNS_MAX * 4:
                raise _too_wide()
            rows = sheet.to_python(skip_empty_area=True)
    except PasswordError as exc:
        raise BatchFileError(
            _("The workbook is protected by a password, so it cannot be read."),
            _("Remove the password (File, Info, Protect Workbook) and upload it again."),
        ) from exc
    except (CalamineError, ValueError, TypeError, OSError) as exc:
        raise BatchFileError(
            _("The workbook cannot be read; it is damaged or was written by a program that we do not know."),
            _("Open it in Excel or WPS, save it again, and upload the new file."),
        ) from exc
    for number, cells in enumerate(rows, start=start[0] + 1):
        if len(cells) > COLUMNS_MAX and any(cell != "" for cell in cells[COLUMNS_MAX:]):
            raise _too_wide()
        yield number, [_cell_text(cell) for cell in cells[:COLUMNS_MAX]]


def _check_merged(ranges: Sequence[tuple[tuple[int, int], tuple[int, int]]], first_row: int) -> None:
    """Merged cells above the heading are a title; below it they leave rows without their values."""
    for (row, _column), (last, _last_column) in sorted(ranges):
        if last >= first_row + _HEADING_ROWS or last > row >= first_row + 1:
            raise BatchFileError(
                _("Cells are merged in row %(row)s, so it cannot be told to which row their text belongs."),
                _("Select all cells, choose “Unmerge cells”, fill in the empty ones, and upload it again."),
                row=row + 1,
            )


def _cell_text(cell: Any) -> str:
    if isinstance(cell, str):
        return _text(cell)
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, (int, float)):
        if not math.isfinite(cell):
            return ""
        if abs(cell) >= _EXACT:
            return f"{DAMAGED}{cell:.0f}"
        return str(int(cell)) if cell == int(cell) else repr(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time(0) else cell.isoformat(" ", "seconds")
    if isinstance(cell, (date, time, timedelta)):
        return str(cell)
    return ""


def _text(cell: str) -> str:
    """Trimmed, and bounded; a mark of ours in the file itself is taken out."""
    text = cell.strip(" \t\r\n\u3000\xa0\ufeff")
    if DAMAGED in text or CUT in text:
        text = text.replace(DAMAGED, "\ufffd").replace(CUT, "\ufffd")
    if len(text) > CELL_MAX and not (text.lstrip("-").startswith(("BEGIN", "MI")) and len(text) <= CSR_MAX):
        return CUT + text[:64]
    if len(text) < 32 and _SCIENTIFIC.fullmatch(text):
        return DAMAGED + text
    return text


def _table(rows: Iterator[tuple[int, list[str]]], notes: tuple[str, ...], rows_max: int) -> Table:
    above: list[tuple[int, list[str]]] = []
    for number, cells in rows:
        above.append((number, cells))
        if len(above) == _HEADING_ROWS:
            break
    scores = [count_known(cells) for _number, cells in above]
    at = scores.index(max(scores)) if scores and max(scores) >= 2 else None
    if at is None:
        raise BatchFileError(
            _("No heading was found in the first rows: there is no row with the names of the columns."),
            _("Take the heading from the template; Chinese and English names are both known."),
        )
    titles = above[at][1]
    while titles and not titles[-1]:
        titles = titles[:-1]
    if at:
        notes = (*notes, _("Rows above the heading were left out."))
    rest = above[at + 1 :]
    if rest and scores[at + 1] >= 2 and scores[at + 1] * 2 >= len([cell for cell in rest[0][1] if cell]):
        notes = (*notes, _("The second heading row was left out."))
        rest = rest[1:]
    kept: list[tuple[int, list[str]]] = []
    for number, cells in (*rest, *rows):
        if not any(cells):
            continue
        if len(kept) == rows_max:
            raise BatchFileError(
                _("The table has more than %(limit)s rows."),
                _("Divide it into several files."),
                limit=rows_max,
            )
        if any(cells[len(titles) :]):
            raise BatchFileError(
                _("Row %(row)s has more cells than the heading."),
                _("Look for a comma inside a text, or a column without a name."),
                row=number,
            )
        kept.append((number, cells[: len(titles)]))
    if not kept:
        raise BatchFileError(
            _("The table has a heading and no rows."), _("Fill in one row for each certificate.")
        )
    return Table(tuple(titles), kept, notes)
