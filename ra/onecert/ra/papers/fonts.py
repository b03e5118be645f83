"""The font of the papers, and what is done with a character that it does not have.

Noto Sans CJK (Debian: fonts-noto-cjk, SIL Open Font Licence) has the characters of personal names that the
small fonts lack, those of Unicode's extensions A and B included; what it lacks as well is printed as its code
point in marks, never left out. Only the characters that a paper has are embedded in it.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from onecert.ra.errors import FontMissingError

__all__ = ["DEFAULT_FONT", "Font", "load_font"]

DEFAULT_FONT = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
# In a collection of several regions the one for China: glyphs differ between them.
_WANTED = "CJK SC"
_BLANK = " \n\u3000"


@dataclass(frozen=True)
class Font:
    """A font file that was read; `number` is its place in a collection."""

    path: Path
    number: int
    characters: frozenset[int]

    def missing(self, text: str) -> list[str]:
        """Characters that it has no glyph for, each once, in order."""
        return list(dict.fromkeys(c for c in text if c not in _BLANK and ord(c) not in self.characters))


@dataclass
class Marker:
    """Writes characters that the font lacks as `[U+2CBCE]`, and remembers them for the note."""

    font: Font
    seen: dict[str, None] = field(default_factory=dict)

    def shown(self, text: str) -> str:
        """The text so that every character of it can be printed; control characters become blanks."""
        text = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
        for character in self.font.missing(text):
            self.seen[character] = None
            text = text.replace(character, f"[U+{ord(character):04X}]")
        return text


@lru_cache(maxsize=4)
def load_font(path: Path | None = None) -> Font:
    """Read which characters a font has.

    Args:
        path: a TrueType or OpenType file or collection; None: Debian's Noto Sans CJK.

    Raises:
        FontMissingError: there is none, or it is none.
    """
    from fontTools.ttLib import TTFont, TTLibError  # noqa: PLC0415 - takes long to load

    path = path or DEFAULT_FONT
    try:
        with path.open("rb") as file:
            number = _find_number(file)
            characters = frozenset(TTFont(file, fontNumber=number, lazy=True).getBestCmap() or ())
    except (OSError, TTLibError, KeyError) as exc:
        raise FontMissingError(str(path)) from exc
    if ord("证") not in characters:
        raise FontMissingError(str(path))
    return Font(path, number, characters)


def _find_number(file: BinaryIO) -> int:
    """Which font of a collection; 0 when none is called so, or the file is a single font."""
    from fontTools.ttLib import TTFont  # noqa: PLC0415 - takes long to load

    number, fonts = 0, 1
    while number < fonts:
        font = TTFont(file, fontNumber=number, lazy=True)
        name = font["name"].getDebugName(4) or ""
        if _WANTED in name and "Mono" not in name:
            return number
        fonts = getattr(font.reader, "numFonts", 1)
        number += 1
    return 0
