"""Texts that may stand in attributes: what a person sees is what a program compares."""

from __future__ import annotations

import unicodedata

from onecert.verifier.errors import MalformedError

__all__ = ["BadValueError", "check_text"]

MAX_CHARACTERS = 1000
# Control, format (among them all that change the direction), surrogate, private and unassigned characters,
# line and paragraph separators: nobody sees them, and they make one text look like another.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class BadValueError(ValueError):
    """Not a value of its syntax. Stays inside the package."""

    def __init__(self, detail: str, *, character: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.character = character

    def error(self, syntax: str) -> MalformedError:
        """What leaves the package."""
        if self.character:
            return MalformedError("ATTRIBUTE_TEXT", character=f"U+{ord(self.character):04X}")
        return MalformedError("ATTRIBUTE_VALUE", syntax=syntax, detail=self.detail)


def check_text(value: object) -> str:
    """Return a text that a person can see as it is: NFC, 1 to 1,000 characters, no blank at an end."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CHARACTERS or value != value.strip():
        raise BadValueError("not a text of 1 to 1,000 characters without blanks around it")
    if value.isascii() and value.isprintable():
        return value
    for character in value:
        if unicodedata.category(character) in _UNSEEN:
            raise BadValueError("a character that cannot be seen", character=character)
    if not unicodedata.is_normalized("NFC", value):
        raise BadValueError("not in Unicode's normal form C")
    return value
