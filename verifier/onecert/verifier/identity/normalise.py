"""One spelling for every code, before anything is checked or compared.

Blanks at both ends go; full-width digits and letters become ASCII, with a note, because they show that a
value was typed by hand; lower case becomes upper case. Anything else that is not plain ASCII refuses: a
look-alike character must never make two holders one, or one holder two.
"""

from __future__ import annotations

from typing import NamedTuple

from onecert.verifier.identity.errors import InvalidIdError

MAX_CHARACTERS = 128
_BLANKS = " \t\u3000"
# U+FF01..U+FF5E are the full-width forms of the printable ASCII characters, in the same order.
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}

NOTE_FULL_WIDTH = "FULL_WIDTH"
NOTE_BLANKS = "BLANKS_TRIMMED"


class Normalised(NamedTuple):
    """A value in its one spelling, and the codes of what had to be changed to get there."""

    text: str
    notes: tuple[str, ...] = ()


def normalise(value: str, id_type: str) -> Normalised:
    """Trim, narrow and upper-case a code.

    Raises:
        InvalidIdError: ID_EMPTY, ID_LENGTH or ID_CHARACTER. The value itself is never part of an error.
    """
    if len(value) > MAX_CHARACTERS:
        raise InvalidIdError("ID_LENGTH", id_type=id_type, length=len(value))
    if value.isascii() and value.isalnum():
        return Normalised(value.upper())  # nearly every value
    notes: list[str] = []
    text = value.strip(_BLANKS)
    if text != value:
        notes.append(NOTE_BLANKS)
    narrow = text.translate(_FULL_WIDTH)
    if narrow != text:
        notes.append(NOTE_FULL_WIDTH)
    if not narrow:
        raise InvalidIdError("ID_EMPTY", id_type=id_type)
    # Order matters: upper() of a few non-ASCII letters is ASCII, so refuse those first.
    if not narrow.isascii() or not narrow.isprintable() or " " in narrow:
        raise InvalidIdError("ID_CHARACTER", id_type=id_type)
    return Normalised(narrow.upper(), tuple(notes))
