"""Text as people type it: trimmed, normalised with a note, and held to an alphabet.

Full-width digits and letters become ASCII; full-width brackets stay, because registered
Chinese company names contain them. What a certificate must never carry is refused by name: control
characters, text-direction marks, emoji, private-use and unassigned code points, and letters of scripts that
look like Latin.
"""

import re
import unicodedata
from dataclasses import dataclass

from onecert.server.languages import _

# Upper bounds of RFC 5280, appendix A.1, in characters.
UB_COMMON_NAME = 64
UB_ORGANIZATION = 64
UB_LOCALITY = 128

_BLANKS = " \t\u3000"
# The CA's alphabet of names: Han with its extensions (rare characters of personal names are there), Latin
# letters, digits, and the punctuation of names. No combining characters, so that two names that look alike
# are alike. 〇 (U+3007) stands among the symbols of Unicode, but is a character of personal names.
_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003fffd"
_LATIN = "A-Za-zÀ-ÖØ-öø-ÿ"
_RUNS_OF_BLANKS = re.compile(r"  +")
# Full-width digits and letters as ASCII, and the blank that is as wide.
_NARROW = {
    **{
        code: code - 0xFEE0
        for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))
    },
    0x3000: 0x20,
}
_FOREIGN = {
    "name": re.compile(rf"[^{_HAN}{_LATIN}0-9 （）()·•.,，、\-—_&＆'’+/:：]"),
    "person": re.compile(rf"[^{_HAN}{_LATIN} ·•.'’\-]"),
    "address": re.compile(rf"[^{_HAN}{_LATIN}0-9 （）()·•.,，、。\-－—…_&＆'’+/:：;；#*~\[\]【】@°“”《》№]"),
}


@dataclass(frozen=True)
class Cleaned:
    """A value ready to be checked; `note` says what was changed, for the person who typed it."""

    value: str
    note: str = ""


def clean(raw: str) -> Cleaned:
    """Trim blanks, bring to NFC, replace full-width digits and letters; line ends become line feeds."""
    typed = raw.replace("\r\n", "\n").strip(_BLANKS + "\r\n")
    composed = unicodedata.normalize("NFC", typed)
    narrow = composed if composed.isascii() else composed.translate(_NARROW)
    tidy = narrow if "\n" in narrow else _RUNS_OF_BLANKS.sub(" ", narrow)
    if narrow != composed:
        return Cleaned(tidy, _("Full-width characters were changed to ASCII."))
    return Cleaned(tidy, "" if tidy == typed else _("Blanks and accents were written in their usual way."))


def find_foreign_characters(value: str, alphabet: str) -> list[str]:
    """Return the characters that do not belong to the alphabet, each once, in order.

    Alphabets: `name` (companies, places), `person` (names of natural persons), `address`, `note`.
    """
    if alphabet == "note":
        return list(dict.fromkeys(char for char in value if not _is_note(char)))
    return list(dict.fromkeys(_FOREIGN[alphabet].findall(value)))


def describe(char: str) -> str:
    """A character so that a person can find it, also when it cannot be seen: `U+202E`."""
    visible = unicodedata.category(char)[0] in "LNPS"
    return f"{char} (U+{ord(char):04X})" if visible else f"U+{ord(char):04X}"


def _is_note(char: str) -> bool:
    """Free remarks go into no certificate: everything that prints, and line breaks."""
    return char in "\n\t" or unicodedata.category(char)[0] in "LMNPS" or char == " "
