"""A sheet of A4: heading with QR code, tables of fields, places to sign, and a foot with page numbers.

Nothing here knows what is printed. The same content at the same time gives the same octets.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import segno
from fpdf import FPDF
from fpdf.enums import Align, TextMode, WrapMode, XPos, YPos

from onecert.ra.papers.fonts import Font, Marker
from onecert.server.languages import _, current_language, gettext

__all__ = ["Sheet"]

_FAMILY = "han"
_MARGIN = 18.0
_LABEL = 34.0  # width of a label, in mm
_LINE = 5.6  # height of a line, in mm
_PAD = 1.0
_GREY = (90, 90, 90)
_PALE = (242, 244, 246)


class Sheet(FPDF):
    """One paper being written. Texts are handed in translated.

    Args:
        at: when it is printed; also the PDF's own date.
        foot: at the bottom of every page, left.
    """

    def __init__(self, font: Font, *, title: str, at: datetime, foot: str) -> None:
        super().__init__(format="A4")
        self._marker = Marker(font)
        self._foot = foot
        self.set_creation_date(at)
        self.set_lang("zh-CN" if current_language() == "zh" else "en")
        self.set_title(title)
        self.set_creator("OneCert")
        self.set_margins(_MARGIN, 16, _MARGIN)
        self.set_auto_page_break(auto=True, margin=24)
        self.alias_nb_pages("{pages}")
        self.add_font(_FAMILY, "", font.path, collection_font_number=font.number)
        self.set_font(_FAMILY, size=10)
        self.set_draw_color(120, 120, 120)
        self.set_line_width(0.2)
        self.add_page()

    def footer(self) -> None:
        """Number and content on the left, page on the right; called by fpdf at the end of a page."""
        self.set_y(-17)
        self._ink(8, _GREY)
        pages = gettext(_("Page %(page)s of %(pages)s"), page=self.page_no(), pages="{pages}")
        self.cell(self.epw - 30, 4, self._marker.shown(self._foot))
        self.cell(30, 4, pages, align=Align.R)
        self._ink(10)

    def head(self, title: str, lines: Sequence[str], qr: str) -> None:
        """Title, a few lines under it, and a QR code on the right."""
        top, side = self.get_y(), 27.0
        self._qr(qr, self.w - _MARGIN - side, top, side)
        self.set_xy(_MARGIN, top + 2)
        self._ink(19)
        self._bold(lambda: self.cell(self.epw - side - 6, 10, self._marker.shown(title)))
        self.set_xy(_MARGIN, top + 14)
        self._ink(9.5, _GREY)
        for line in lines:
            self.multi_cell(
                self.epw - side - 6, 5, self._marker.shown(line), align=Align.L, new_x=XPos.LMARGIN
            )
        self._ink(10)
        self.set_y(max(self.get_y(), top + side) + 4)

    def section(self, title: str) -> None:
        """A heading inside the paper."""
        if self.get_y() > self.h - 60:
            self.add_page()
        self.ln(2.5)
        self._ink(11.5)
        self._bold(lambda: self.cell(0, 7, self._marker.shown(title), new_x=XPos.LMARGIN, new_y=YPos.NEXT))
        self._ink(10)
        self.ln(0.8)

    def fields(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Labels and values in boxes, two beside each other where both are short."""
        half = self.epw / 2
        waiting: tuple[str, str] | None = None
        for label, value in [(self._marker.shown(a), self._marker.shown(b)) for a, b in pairs]:
            is_short = len(self._lines(value, half - _LABEL)) <= 1 and len(self._lines(label, _LABEL)) <= 1
            if waiting is not None and is_short:
                self._row([waiting, (label, value)])
                waiting = None
            elif waiting is not None:
                self._row([waiting])
                self._row([(label, value)])
                waiting = None
            elif is_short:
                waiting = (label, value)
            else:
                self._row([(label, value)])
        if waiting is not None:
            self._row([waiting])

    def text(self, words: str, *, size: float = 10, grey: bool = False) -> None:  # type: ignore[override]  # fpdf's own places text
        """A paragraph."""
        self._ink(size, _GREY if grey else (0, 0, 0))
        words = self._marker.shown(words)
        self.multi_cell(
            self.epw, size * 0.53, words, align=Align.L, wrapmode=_wrap(words), new_x=XPos.LMARGIN
        )
        self._ink(10)
        self.ln(1.5)

    def boxes(self, lines: Sequence[str]) -> None:
        """Things to tick by hand."""
        for line in lines:
            y = self.get_y()
            self.rect(_MARGIN + 1, y + 1, 3.4, 3.4)
            self.set_x(_MARGIN + 7)
            self.multi_cell(self.epw - 7, _LINE, self._marker.shown(line), align=Align.L, new_x=XPos.LMARGIN)
        self.ln(1)

    def signatures(self, places: Sequence[str], *, height: float = 27) -> None:
        """Places to sign or seal, beside each other, each with its label above and a date below."""
        if self.get_y() + height > self.h - 24:
            self.add_page()
        self.ln(2)
        width, top = self.epw / len(places), self.get_y()
        for number, place in enumerate(places):
            left = _MARGIN + number * width
            self.rect(left, top, width, height)
            self.set_xy(left + 2, top + 1.5)
            self._ink(9, _GREY)
            self.multi_cell(width - 4, 4.6, self._marker.shown(place), align=Align.L)
            self.set_xy(left + 2, top + height - 6.5)
            self.cell(width - 4, 5, gettext(_("Date:")) + " " * 18)
        self._ink(10)
        self.set_xy(_MARGIN, top + height + 3)

    def secret(self, label: str, value: str) -> None:
        """One short value that must be read without a mistake: large, spaced, in a frame."""
        top = self.get_y()
        self.rect(_MARGIN, top, self.epw, 24)
        self.set_xy(_MARGIN + 4, top + 2)
        self._ink(9, _GREY)
        self.cell(self.epw - 8, 5, self._marker.shown(label))
        self.set_xy(_MARGIN + 4, top + 9)
        self._ink(24)
        self.set_char_spacing(2.5)
        self.cell(self.epw - 8, 12, self._marker.shown(value), align=Align.C)
        self.set_char_spacing(0)
        self._ink(10)
        self.set_xy(_MARGIN, top + 28)

    def octets(self) -> bytes:
        """The PDF; a character that the font lacks gets its note first."""
        if self._marker.seen:
            marks = "、".join(f"[U+{ord(each):04X}]" for each in self._marker.seen)
            note = _(
                "Not in this printer's font, written as code points: %(marks)s. The record has the character."
            )
            self.text(gettext(note, marks=marks), size=8.5, grey=True)
        return bytes(self.output() or b"")

    def _row(self, pairs: Sequence[tuple[str, str]]) -> None:
        width = self.epw / 2
        spans = [width] * len(pairs) if len(pairs) == 2 else [self.epw]
        lines = [
            max(len(self._lines(label, _LABEL)), len(self._lines(value, span - _LABEL)))
            for (label, value), span in zip(pairs, spans, strict=True)
        ]
        height = max(lines) * _LINE + 2 * _PAD
        if self.get_y() + height > self.h - 24 and height < self.eph:
            self.add_page()
        left, top = _MARGIN, self.get_y()
        for (label, value), span in zip(pairs, spans, strict=True):
            self.set_fill_color(*_PALE)
            if height < self.eph:
                self.rect(left, top, _LABEL, height, style="DF")
                self.rect(left + _LABEL, top, span - _LABEL, height)
            self.set_xy(left, top + _PAD)
            self._ink(9, _GREY)
            self.multi_cell(_LABEL, _LINE, label, align=Align.L, wrapmode=_wrap(label))
            self.set_xy(left + _LABEL, top + _PAD)
            self._ink(10)
            self.multi_cell(
                span - _LABEL, _LINE, value, align=Align.L, wrapmode=_wrap(value), new_x=XPos.LMARGIN
            )
            left += span
        self.set_xy(_MARGIN, top + height if height < self.eph else self.get_y())

    def _lines(self, text: str, width: float) -> Sequence[str]:
        if not text:
            return [""]
        found = self.multi_cell(width, _LINE, text, wrapmode=_wrap(text), dry_run=True, output="LINES")
        return found if isinstance(found, list) else [""]

    def _ink(self, size: float, colour: tuple[int, int, int] = (0, 0, 0)) -> None:
        self.set_font(_FAMILY, size=size)
        self.set_text_color(*colour)

    def _bold(self, write: Callable[[], object]) -> None:
        """With a stroke around each letter: a second font would double the size of the file."""
        with self.local_context(text_mode=TextMode.FILL_STROKE, line_width=0.18, draw_color=(0, 0, 0)):
            write()

    def _qr(self, content: str, left: float, top: float, side: float) -> None:
        """Drawn as rectangles, a run of dark modules as one, so that it stays sharp on every printer."""
        rows = [
            [bool(module) for module in row] for row in segno.make(content, error="m", micro=False).matrix
        ]
        module = side / len(rows)
        self.set_fill_color(0, 0, 0)
        for y, row in enumerate(rows):
            x = 0
            while x < len(row):
                length = 0
                while x + length < len(row) and row[x + length]:
                    length += 1
                if length:
                    self.rect(left + x * module, top + y * module, length * module, module, style="F")
                x += length or 1


def _wrap(text: str) -> WrapMode:
    """Chinese breaks between any two characters, other languages between words."""
    return WrapMode.CHAR if any(c >= "\u2e80" for c in text) else WrapMode.WORD
