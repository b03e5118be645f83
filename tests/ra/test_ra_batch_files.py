"""Uploaded files, by content and not by name: what is taken, and the sentence for everything else."""

import csv
import io
import struct
import zipfile
from collections.abc import Callable
from datetime import date

import pytest
import xlsxwriter
from ra_fakes import IDCARD, idcard, make_csr

from onecert.ra.batches import containers
from onecert.ra.batches.checking import RowRules, RowsWork, TypedRow, check_rows
from onecert.ra.batches.columns import read_heading
from onecert.ra.batches.containers import open_requests
from onecert.ra.batches.limits import read_bounded
from onecert.ra.batches.reading import COLUMNS_MAX, read_table
from onecert.ra.batches.sheets import safe_cell, template_csv, template_titles, template_xlsx, write_xlsx
from onecert.ra.content.fields import Kind
from onecert.ra.errors import BatchFileError
from onecert.server.languages import gettext, set_language

HEAD = ("姓名", "身份证号码", "手机")
ROW = ("张三", IDCARD, "13800000000")


def workbook(*rows, change: Callable[[xlsxwriter.Workbook, object], None] | None = None) -> bytes:
    """An XLSX file; cells of type str are text, others what they are."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"strings_to_formulas": False})
    page = book.add_worksheet()
    for number, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            page.write_string(number, column, cell) if isinstance(cell, str) else page.write(
                number, column, cell
            )
    if change is not None:
        change(book, page)
    book.close()
    return out.getvalue()


def repacked(data: bytes, **parts: bytes) -> bytes:
    """The same archive with parts replaced or added; names with `/` are written with `__`."""
    changed = {
        name.replace("__", "/").replace("_xml", ".xml").replace("_bin", ".bin"): new
        for name, new in parts.items()
    }
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in changed:
                new.writestr(name, old.read(name))
        for name, content in changed.items():
            new.writestr(name, content)
    return out.getvalue()


def lying_about_size(data: bytes) -> bytes:
    """The directory promises one octet of the sheet, and the sheet has many."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = b"xl/worksheets/sheet1.xml"
        size = archive.getinfo(name.decode()).file_size
    at = data.rindex(name) - 46
    assert data[at : at + 4] == b"PK\x01\x02"
    assert struct.unpack_from("<I", data, at + 24) == (size,)
    return data[: at + 24] + struct.pack("<I", 1) + data[at + 28 :]


SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>%b</sheetData></worksheet>'
GOOD = workbook(HEAD, ROW)
CSV = "\n".join(",".join(line) for line in (HEAD, ROW))
REFUSED = {
    "nothing": (b"", "is empty"),
    "blanks": (b"\xef\xbb\xbf \r\n", "is empty"),
    "a heading alone": ("姓名,身份证号码".encode(), "no rows"),
    "no heading": (b"a,b,c\n1,2,3\n", "No heading"),
    "zero bytes": (CSV.encode() + b"\0", "zero bytes"),
    "neither encoding": (b"\xff\xff\xff" + CSV.encode("gb18030") + b"\xff\n", "neither UTF-8 nor GB18030"),
    "two encodings": (CSV.encode() + b"\n" + "欧阳修,1,2".encode("gb18030"), "two files were joined"),
    "an open quotation": (CSV.encode() + b'\n"a,b\n', "Row 3 cannot be read"),
    "a cell of 10 MB": (CSV.encode() + b"\n" + b"x" * 10_000_000, "Row 3 cannot be read"),
    "a million columns": (("姓名,身份证号码" + ",x" * 1_000_000).encode(), "columns"),
    "too many cells": ((CSV + "\na,b,c,d").encode(), "Row 3 has more cells"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512, "old Excel workbook"),
    "a password": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
        "protected by a password",
    ),
    "a web page": (b"<html><table><tr><td>name</td></tr></table></html>", "web page"),
    "a web page with a mark": (b"\xef\xbb\xbf<!DOCTYPE html>\n<html>", "web page"),
    "a PDF file": (b"%PDF-1.7\n", "not a table"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "not a table"),
    "OpenDocument": (
        repacked(GOOD, mimetype=b"application/vnd.oasis.opendocument.spreadsheet"),
        "OpenDocument",
    ),
    "a binary workbook": (repacked(GOOD, xl__workbook_bin=b"x"), "binary Excel"),
    "half a workbook": (GOOD[: len(GOOD) // 2], "damaged"),
    "macros": (repacked(GOOD, xl__vbaProject_bin=b"x"), "macros"),
    "other files": (repacked(GOOD, xl__externalLinks__externalLink1_xml=b"<a/>"), "refers to other files"),
    "data from elsewhere": (repacked(GOOD, xl__connections_xml=b"<a/>"), "draws data from elsewhere"),
    "a bomb": (repacked(GOOD, xl__worksheets__sheet1_xml=b" " * 30_000_000), "files made to do harm"),
    "a directory that lies": (lying_about_size(GOOD), "damaged"),
    "entities": (
        repacked(GOOD, xl__sharedStrings_xml=b'<!DOCTYPE x [<!ENTITY a "aaaa">]><sst/>'),
        "document type",
    ),
    "a far row": (
        repacked(
            GOOD, xl__worksheets__sheet1_xml=SHEET % b'<row r="1048576"><c r="A1048576"><v>1</v></c></row>'
        ),
        "far beyond",
    ),
    "a far column": (
        repacked(GOOD, xl__worksheets__sheet1_xml=SHEET % b"<row r='1'><c r='XFD1'><v>1</v></c></row>"),
        "far beyond",
    ),
    "merged cells": (
        workbook(HEAD, ROW, ROW, ROW, change=lambda _book, page: page.merge_range(1, 0, 2, 0, "张三")),
        "merged in row 2",
    ),
    "XML that is none": (repacked(GOOD, xl__worksheets__sheet1_xml=b"<worksheet><"), "cannot be read"),
    "no sheet": (repacked(GOOD, xl__workbook_xml=b"<workbook/>"), "cannot be read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_taken_is_named(name) -> None:
    """Each file is refused as a whole, with a sentence that says what it is and what to do."""
    data, words = REFUSED[name]
    with pytest.raises(BatchFileError) as caught:
        read_table(data)
    with set_language("en"):
        assert words in gettext(caught.value.text, **caught.value.facts)
    with set_language("zh", "onecert.ra"):
        assert gettext(caught.value.hint, **caught.value.facts)


def test_too_many_rows_and_columns(monkeypatch) -> None:
    """A million rows are not kept; wide empty columns do no harm."""
    rows = "\n".join([",".join(HEAD), *[",".join(ROW)] * 12])
    with pytest.raises(BatchFileError, match="more than 10 rows"):
        read_table(rows.encode(), rows_max=10)
    wide = CSV.replace("\n", "," * 200 + "\n") + "," * 200
    assert len(read_table(wide.encode()).titles) == len(HEAD) < COLUMNS_MAX
    monkeypatch.setattr(containers, "_UNPACKED_MAX", 1000)
    with pytest.raises(BatchFileError, match="made to do harm"):
        read_table(GOOD)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_what_programs_write_is_read(encoding, separator) -> None:
    """Every separator in every encoding that Excel and WPS write."""
    table = read_table(CSV.replace(",", separator).encode(encoding))
    assert table.titles == HEAD
    assert table.rows == [(2, list(ROW))]
    assert bool(table.notes) == (encoding in {"gb18030", "utf-16"})


def test_csv_and_workbook_say_the_same() -> None:
    """Rare Han, emoji, direction marks and blanks: kept as they are, trimmed at the ends."""
    odd = ("𠮷野家 ", "Ａ１２", "a\u202eb😀")
    assert read_table("\n".join(map(",".join, (HEAD, odd))).encode()).rows == [
        (2, ["𠮷野家", "Ａ１２", "a\u202eb😀"])
    ]
    assert read_table(workbook(HEAD, odd)).rows == [(2, ["𠮷野家", "Ａ１２", "a\u202eb😀"])]


def test_titles_above_and_two_headings() -> None:
    """A title over merged cells, then the heading in two languages: rows keep their numbers."""

    def title(_book, page) -> None:
        page.merge_range(0, 0, 0, 2, "深圳市示例科技有限公司员工名单")

    table = read_table(
        workbook((), HEAD, ("Name", "Identity card number", "Mobile number"), ROW, change=title)
    )
    assert table.rows == [(4, list(ROW))]
    assert len(table.notes) == 2


def check(*cells: object, kind: Kind = Kind.CITIZEN) -> dict[str, str]:
    """Field -> code of what is wrong with one row of a workbook: name, identity card, mobile number."""
    table = read_table(workbook(HEAD, cells))
    work = RowsWork(
        kind=kind,
        authority="pearl",
        fields=read_heading(table.titles, kind).fields,
        rows=[TypedRow(number, row) for number, row in table.rows],
        at=date(2026, 11, 21),
        rules=RowRules(),
        salt=b"salt",
        with_requests=False,
    )
    [row] = check_rows(work)
    return {
        remark.field: remark.code for remark in row.remarks if remark.field in {"name", "idcard", "mobile"}
    }


@pytest.mark.parametrize(
    ("cells", "wrong"),
    [
        (ROW, {}),
        (("张三", IDCARD, 13800000000), {}),  # a number of 11 digits is exact
        (("张三", 440300190001010015, "13800000000"), {"idcard": "NUMBER_ROUNDED"}),
        (("张三", "440300190001010000", "13800000000"), {"idcard": "NUMBER_ROUNDED"}),
        (("张三", "4.403E+17", "13800000000"), {"idcard": "NUMBER_ROUNDED"}),
        (("张三", idcard(7)[:-1] + "?", "13800000000"), {"idcard": "ID_CHARACTER"}),
        (("张三", date(2020, 1, 1), "13800000000"), {"idcard": "ID_LENGTH"}),
        (("张三", IDCARD, True), {"mobile": "FIELD_FORM"}),
        (("=1+1", IDCARD, "13800000000"), {"name": "CELL_FORMULA"}),
        (("@SUM(A1)", IDCARD, "+8613800000000"), {"name": "CELL_FORMULA", "mobile": "CELL_FORMULA"}),
        (("-张三", IDCARD, "13800000000"), {"name": "CELL_FORMULA"}),
        (("张三😀", IDCARD, "13800000000"), {"name": "FIELD_ALPHABET"}),
        (("张三\u202e", IDCARD, "13800000000"), {"name": "FIELD_ALPHABET"}),
        (("<b>张三</b>", IDCARD, "13800000000"), {"name": "FIELD_ALPHABET"}),
        (("张" * 3000, IDCARD, "13800000000"), {"name": "CELL_TOO_LONG"}),
        (("𠮷田", IDCARD, "13800000000"), {}),
        (
            ("张三", "４４０３００１９０００１０１００１５", "１３８００００００００"),
            {"idcard": "NOTE", "mobile": "NOTE"},
        ),
    ],
)
def test_cells(cells, wrong) -> None:
    """Each odd cell is named at its field by a code of its own; nothing is changed silently."""
    assert check(*cells) == wrong


def test_a_formula_counts_by_its_value() -> None:
    """The value saved with a formula is read, the formula is not."""
    data = workbook(
        HEAD, ROW, change=lambda _book, page: page.write_formula(1, 0, '=CONCAT("李","四")', None, "李四")
    )
    assert read_table(data).rows[0][1][0] == "李四"


@pytest.mark.parametrize("kind", list(Kind))
def test_a_template_is_understood_by_its_reader(kind) -> None:
    """In both languages and both forms: every column of a template is known, and none twice."""
    for language in ("zh", "en"):
        with set_language(language, "onecert.ra"):
            titles = template_titles(kind)
            assert read_heading(titles, kind).unknown == ()
            assert read_heading(titles, kind).doubled == ()
            assert next(csv.reader([template_csv(kind).decode("utf-8-sig")])) == titles
            with pytest.raises(BatchFileError, match="no rows"):
                read_table(template_xlsx(kind))


def test_outputs_carry_no_formulas() -> None:
    """Whatever a spreadsheet would carry out begins with an apostrophe in CSV, and is a text cell in XLSX."""
    assert [safe_cell(text) for text in ("=1", "+1", "-1", "@x", "\tx", "x=1", "")] == [
        "'=1",
        "'+1",
        "'-1",
        "'@x",
        "'\tx",
        "x=1",
        "",
    ]
    made = write_xlsx(["a"], [["=1+1"]], sheet="x")
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


def test_archives_of_requests() -> None:
    """Folders are ignored; two files of one name, long files, and other things are refused."""

    def packed(**files: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name.replace("__", "/"), content)
        return out.getvalue()

    csr = make_csr().encode()
    assert open_requests(packed(**{"a__p1.csr": csr, "p2.csr": csr})) == {"p1": csr, "p2": csr}
    for data, words in (
        (packed(**{"a__p1.csr": csr, "b__p1.csr": csr}), "two requests"),
        (packed(**{"p1.csr": b"x" * 20_000}), "too long"),
        (packed(**{"p1.csr": b"\0" * 5_000_000}), "made to do harm"),
        (b"Rar!", "not a ZIP"),
        (packed(**{f"{number}.csr": b"" for number in range(5)}), "too many parts"),
    ):
        with pytest.raises(BatchFileError, match=words):
            open_requests(data, entries_max=4)


def test_reading_is_bounded(monkeypatch) -> None:
    """The process that reads has limits of memory and time, and a refusal comes back whole."""
    wanted: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr("resource.setrlimit", wanted.__setitem__)
    assert read_bounded(CSV.encode()) == read_table(CSV.encode())
    assert len(wanted) == 3
    text, hint, facts = read_bounded((CSV + "\na,b,c,d").encode())
    assert facts == {"row": 3}
    assert text % facts == "Row 3 has more cells than the heading."
    assert hint
