"""Sets a report as PDF on A4 across, with fpdf2 and a font of the machine that has Chinese characters."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from fpdf import FPDF
from fpdf.fonts import FontFace

from onecert.ra.errors.base import RaError
from onecert.server.languages import _

__all__ = ["FontMissingError", "write_pdf"]

# Debian's fonts-noto-cjk; in its collection the third is for simplified Chinese.
FONTS = (
    (Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"), 2),
    (Path("/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc"), 2),
)


class FontMissingError(RaError):
    """Could not: no font on this machine has Chinese characters."""

    def __init__(self) -> None:
        super().__init__(
            "FONT_MISSING",
            status=503,
            text=_("The PDF cannot be made: this machine has no font with Chinese characters."),
            hint=_("Install the package fonts-noto-cjk, or take the CSV."),
        )


class _Paper(FPDF):
    """Page numbers at the foot."""

    def footer(self) -> None:
        self.set_y(-12)
        self.set_font("cjk", size=8)
        self.cell(0, 6, f"{self.page_no()} / {{nb}}", align="R")


def write_pdf(
    title: str,
    lines: Sequence[tuple[str, str]],
    sections: Sequence[tuple[str, Sequence[str], list[list[str]]]],
    *,
    at: datetime,
) -> bytes:
    """The document; `lines` stand above, each section is a table with its title.

    Raises:
        FontMissingError
    """
    font = next(((path, number) for path, number in FONTS if path.is_file()), None)
    if font is None:
        raise FontMissingError
    pdf = _Paper(orientation="landscape", format="A4")
    pdf.set_creation_date(at)
    pdf.set_title(title)
    pdf.set_lang("zh-CN")
    pdf.add_font("cjk", fname=font[0], collection_font_number=font[1])
    pdf.set_margins(14, 14)
    pdf.set_auto_page_break(True, 16)
    pdf.add_page()
    pdf.set_font("cjk", size=16)
    pdf.cell(0, 10, title, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("cjk", size=9)
    for name, value in lines:
        pdf.cell(60, 5, name)
        pdf.multi_cell(0, 5, value, new_x="LMARGIN", new_y="NEXT")
    for heading, columns, rows in sections:
        _section(pdf, heading, columns, rows)
    return bytes(pdf.output())


def _section(pdf: FPDF, heading: str, columns: Sequence[str], rows: list[list[str]]) -> None:
    if pdf.will_page_break(26):
        pdf.add_page()
    pdf.ln(4)
    pdf.set_font("cjk", size=12)
    pdf.cell(0, 8, heading, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("cjk", size=8)
    first = 3 if len(columns) > 3 else 2
    with pdf.table(
        col_widths=(first, *[1] * (len(columns) - 1)),
        text_align=("LEFT", *["RIGHT"] * (len(columns) - 1)),
        headings_style=FontFace(emphasis="", fill_color=(232, 240, 247)),
        borders_layout="HORIZONTAL_LINES",
        line_height=4.6,
        width=pdf.epw if len(columns) > 3 else 140,
        align="LEFT",
    ) as table:
        for row in (columns, *rows):
            cells = table.row()
            for text in row:
                cells.cell(text)
