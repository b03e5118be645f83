"""Sets a report as PDF on A4 across, with fpdf2 and the font of the papers."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from fpdf import FPDF
from fpdf.fonts import FontFace

from onecert.ra.papers.fonts import load_font

__all__ = ["write_pdf"]


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
    font: Path | None = None,
) -> bytes:
    """The document; `lines` stand above, each section is a table with its title; `font` as for papers.

    Raises:
        FontMissingError
    """
    cjk = load_font(font)
    pdf = _Paper(orientation="landscape", format="A4")
    pdf.set_creation_date(at)
    pdf.set_title(title)
    pdf.set_lang("zh-CN")
    pdf.add_font("cjk", fname=cjk.path, collection_font_number=cjk.number)
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
