"""Tables that are downloaded: the template, the file back with what is wrong beside each row, the result.

Cells are written as text and never as formulas. In CSV, which has no types, a text that a spreadsheet
program would carry out begins with an apostrophe (OWASP, CSV injection). Number columns of a template are
formatted as text, so that 18 digits stay 18 digits.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from onecert.ra.batches.checking import fields_of
from onecert.ra.batches.columns import title_of
from onecert.ra.content.fields import ALL_FIELDS, FIELDS, KIND_NAMES, Kind
from onecert.server.languages import _, gettext

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.worksheet import Worksheet

__all__ = ["safe_cell", "template_csv", "template_xlsx", "write_csv", "write_xlsx"]

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
_XLSX_MAX = 32_767  # characters of a cell, by the format
_TEXT_ROWS = 2_000  # so many rows of a template have their lists of choices
# Shown in the help; nobody is called so.
_EXAMPLES = {
    "organization_name": "深圳市示例科技有限公司",
    "uscc": "91440300MA5DEM004J",
    "name": "张三",
    "idcard": "440300190001010015",
    "agent_name": "李四",
    "agent_idcard": "440300190001010023",
    "state_or_province": "广东省",
    "locality": "深圳市",
    "address": "深圳市福田区示范路1号",
    "postcode": "518000",
    "mobile": "13800000000",
    "email": "office@example.cn",
    "device_name": "gateway-01",
    "key": "zhangsan",
    "csr": "MIIBADCBpg…",
}


def safe_cell(text: str) -> str:
    """A text for CSV that no spreadsheet program takes for a formula."""
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def write_csv(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """UTF-8 with a byte-order mark, so that Excel opens it as what it is."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([safe_cell(title) for title in titles])
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "replace")


def write_xlsx(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, sheet: str, marked: Sequence[int] = ()
) -> bytes:
    """One sheet of text; the columns `marked` stand out."""
    out = io.BytesIO()
    book = _workbook(out, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    page = book.add_worksheet(sheet[:31])
    heading = book.add_format({"bold": True, "bg_color": "#E8EEF4", "bottom": 1})
    plain = book.add_format({"num_format": "@"})
    red = book.add_format({"num_format": "@", "font_color": "#A61B1B"})
    for column, title in enumerate(titles):
        page.set_column(column, column, 40 if column in marked else 18)
        page.write_string(0, column, title, heading)
    page.freeze_panes(1, 0)
    for number, cells in enumerate(rows, start=1):
        for column, cell in enumerate(cells):
            page.write_string(number, column, cell[:_XLSX_MAX], red if column in marked else plain)
    book.close()
    return out.getvalue()


def template_titles(kind: Kind) -> list[str]:
    """The heading of a template; a star marks what is needed."""
    needed = {field.name for field in FIELDS[kind] if field.required}
    titles = []
    for name in fields_of(kind):
        if name in {"consent", "consent_version"}:
            continue
        titles.append(f"{title_of(name)}{'*' if name in needed else ''}")
    return titles


def template_csv(kind: Kind) -> bytes:
    """The heading alone."""
    return write_csv(template_titles(kind), [])


def template_xlsx(kind: Kind) -> bytes:
    """A sheet to fill in and a sheet of help."""
    out = io.BytesIO()
    book = _workbook(out, {"strings_to_formulas": False, "strings_to_urls": False})
    text = book.add_format({"num_format": "@"})
    needed = book.add_format({"bold": True, "bg_color": "#FDE9D9", "bottom": 1, "num_format": "@"})
    heading = book.add_format({"bold": True, "bg_color": "#E8EEF4", "bottom": 1, "num_format": "@"})
    page = book.add_worksheet(gettext(KIND_NAMES[kind])[:31])
    names = [name for name in fields_of(kind) if name not in {"consent", "consent_version"}]
    for column, (name, title) in enumerate(zip(names, template_titles(kind), strict=True)):
        page.set_column(column, column, 24 if name in {"uscc", "idcard", "agent_idcard"} else 16, text)
        page.write_string(0, column, title, needed if title.endswith("*") else heading)
        field = ALL_FIELDS.get(name)
        if field is not None and field.choices:
            page.data_validation(
                1,
                column,
                _TEXT_ROWS,
                column,
                {"validate": "list", "source": [gettext(label) for label in field.choices.values()]},
            )
    page.freeze_panes(1, 0)
    _help(book, book.add_worksheet(gettext(_("Help"))), kind, names)
    book.close()
    return out.getvalue()


def _workbook(out: io.BytesIO, options: dict[str, Any]) -> "Workbook":
    from xlsxwriter import Workbook  # noqa: PLC0415 - XlsxWriter takes long to load

    return Workbook(out, options)


def _help(book: "Workbook", page: "Worksheet", kind: Kind, names: Sequence[str]) -> None:
    bold = book.add_format({"bold": True, "bg_color": "#E8EEF4", "bottom": 1})
    wrapped = book.add_format({"text_wrap": True, "valign": "top", "num_format": "@"})
    titles = [_("Column"), _("Needed"), _("Longest"), _("Example"), _("What to write")]
    for column, (title, width) in enumerate(zip(titles, (26, 10, 10, 28, 70), strict=True)):
        page.set_column(column, column, width)
        page.write_string(0, column, gettext(title), bold)
    required = {field.name for field in FIELDS[kind] if field.required}
    for number, name in enumerate(names, start=1):
        field = ALL_FIELDS.get(name)
        said = gettext(field.help) if field is not None and field.help else gettext(_OWN_HELP.get(name, ""))
        if field is not None and field.choices:
            said = f"{said} {' / '.join(gettext(label) for label in field.choices.values())}".strip()
        cells = [
            title_of(name),
            gettext(_("yes")) if name in required else "",
            str(field.max_length) if field is not None else "",
            _EXAMPLES.get(name, ""),
            said,
        ]
        for column, cell in enumerate(cells):
            page.write_string(number, column, cell, wrapped)
    for number, line in enumerate(_LINES, start=len(names) + 2):
        page.merge_range(number, 0, number, 4, gettext(line), wrapped)


_OWN_HELP = {
    "key": _("Name of the request's file in the ZIP archive beside the table, without its ending."),
    "csr": _("The request itself, PEM or base64 in one line. Either this or the column “Request file”."),
}
_LINES = (
    _("One row is one certificate. Columns may stand in any order; those with a star are needed."),
    _("Number columns are formatted as text. Paste “values only”, or 18 digits become a rounded number."),
    _("Do not merge cells and write no formulas. At most 100,000 rows; the first sheet is read."),
)
