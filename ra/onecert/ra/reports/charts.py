"""Bar and line charts as SVG, made on the server: no script, no style, readable in print and when read aloud.

Each drawing has a title and a description; the page puts the same numbers beneath it as a table. Colours are
attributes, because the page's content security policy allows no inline style; four that stay apart for
people who do not tell red from green, and dark enough for white paper (WCAG 2.2, 1.4.11).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

__all__ = ["COLOURS", "Series", "bars", "lines"]

COLOURS = ("#1d4f7c", "#b35c00", "#2e7d5b", "#7a4f9a")
_INK, _GRID = "#52606d", "#d5dbe1"
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 14, 30
_HEIGHT = 240
_LABELS = 12


@dataclass(frozen=True)
class Series:
    """One row of numbers, one for each label; None: nothing to draw there."""

    name: str
    values: Sequence[int | None]


def bars(title: str, desc: str, labels: Sequence[str], series: Sequence[Series]) -> str:
    """Bars, the series stacked upon each other in their order."""
    totals = [sum(one.values[i] or 0 for one in series) for i in range(len(labels))]
    drawing = _Drawing(len(labels), max(totals, default=0))
    for number in range(len(labels)):
        below = 0
        for colour, one in zip(COLOURS, series, strict=False):
            value = one.values[number] or 0
            if value:
                drawing.bar(number, below, below + value, colour, f"{labels[number]} {one.name}: {value}")
            below += value
    return drawing.svg(title, desc, labels)


def lines(title: str, desc: str, labels: Sequence[str], series: Sequence[Series]) -> str:
    """A line with a point for each value; a day without a value breaks it."""
    top = max((value for one in series for value in one.values if value is not None), default=0)
    drawing = _Drawing(len(labels), top)
    for colour, one in zip(COLOURS, series, strict=False):
        drawing.line(one.values, colour, [f"{label} {one.name}" for label in labels])
    return drawing.svg(title, desc, labels)


class _Drawing:
    """The plane with its two axes."""

    def __init__(self, slots: int, top: int) -> None:
        self._slots = max(1, slots)
        self._width = _LEFT + _RIGHT + max(1040, min(self._slots, 92) * 22)
        self._step = _step(top)
        self._top = max(self._step, -(-top // self._step) * self._step)
        self._parts: list[str] = []

    def bar(self, slot: int, low: int, high: int, colour: str, words: str) -> None:
        room = self._room()
        wide = min(room * 0.7, 48)
        x = _LEFT + room * slot + (room - wide) / 2
        self._parts.append(
            f'<rect x="{x:.1f}" y="{self._y(high):.1f}" width="{wide:.1f}" '
            f'height="{self._y(low) - self._y(high):.1f}" fill="{colour}">'
            f"<title>{escape(words)}</title></rect>"
        )

    def line(self, values: Sequence[int | None], colour: str, words: Sequence[str]) -> None:
        before: str | None = None
        for slot, value in enumerate(values):
            if value is None:
                before = None
                continue
            here = f"{_LEFT + self._room() * (slot + 0.5):.1f} {self._y(value):.1f}"
            if before is not None:
                self._parts.append(f'<path d="M{before} L{here}" stroke="{colour}" stroke-width="2"/>')
            x, y = here.split()
            self._parts.append(
                f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}">'
                f"<title>{escape(words[slot])}: {value}</title></circle>"
            )
            before = here

    def svg(self, title: str, desc: str, labels: Sequence[str]) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width} {_HEIGHT}" '
            f'width="{self._width}" height="{_HEIGHT}" role="img" aria-label={quoteattr(title)} '
            f'font-size="12" font-family="sans-serif"><title>{escape(title)}</title>'
            f"<desc>{escape(desc)}</desc>"
        )
        parts = [head]
        for value in range(0, self._top + 1, self._step):
            y, right = self._y(value), self._width - _RIGHT
            parts += [
                f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{_GRID}"/>',
                f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{_INK}">{value}</text>',
            ]
        every = -(-len(labels) // _LABELS)
        for slot, label in enumerate(labels):
            if slot % every == 0:
                x = _LEFT + self._room() * (slot + 0.5)
                parts.append(
                    f'<text x="{x:.1f}" y="{_HEIGHT - 10}" text-anchor="middle" fill="{_INK}">'
                    f"{escape(label)}</text>"
                )
        return "".join([*parts, *self._parts, "</svg>"])

    def _room(self) -> float:
        return (self._width - _LEFT - _RIGHT) / self._slots

    def _y(self, value: int) -> float:
        plane = _HEIGHT - _TOP - _BOTTOM
        return _HEIGHT - _BOTTOM - plane * value / self._top


def _step(top: int) -> int:
    """A round number with about four steps up to the top."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor * 4 >= top:
                return step * factor
        step *= 10
