"""One field for everything: what a text that somebody typed or pasted may be.

Each guess is one search; the first that finds something answers, so the sharpest come first.
"""

from __future__ import annotations

import re

from onecert.ca.search.terms import NAME_MAX

__all__ = ["TEXT_MAX", "guesses"]

TEXT_MAX = 200
_HEX = re.compile(r"(?:0x)?[0-9a-f]+", re.ASCII)
_NUMBER = re.compile(r"[0-9A-Z]{8,32}", re.ASCII)
_ORDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}", re.ASCII)
_ALTERNATIVE = re.compile(r"[^\s@/]+@[^\s@/]+|[\w*-]+(\.[\w-]+)+|[0-9a-f:]*:[0-9a-f:]+", re.IGNORECASE)


def guesses(text: str) -> list[dict[str, str]]:
    """Tell what to search for, the likeliest first; nothing when it can be nothing.

    Args:
        text: a name or a part of one, a number of a firm or person, a serial or its first digits, a
            thumbprint, a key identifier, an e-mail address or host name, an order.
    """
    plain = " ".join(text.split())
    if not plain or len(plain) > TEXT_MAX or not plain.isprintable():
        return []
    found: list[dict[str, str]] = []
    digits = re.sub(r"[: \-]", "", plain).lower()
    if _HEX.fullmatch(digits):
        digits = digits.removeprefix("0x")
        if len(digits) == 64:
            found += [{"sha256": digits}, {"key_sha256": digits}]
        if len(digits) == 40:
            found += [{"sha1": digits}, {"key_id": digits}]
        if len(digits.lstrip("0")) <= 40:
            found.append({"serial": digits.lstrip("0") or "0"})
            if len(digits) >= 6:
                found.append({"serial_begins": digits.lstrip("0") or digits})
    if _NUMBER.fullmatch(plain.upper()):
        found.insert(0, {"identity": plain.upper()})
    if _ALTERNATIVE.fullmatch(plain):
        found.insert(0, {"alternative_name": plain})
    if _ORDER.fullmatch(plain) and not plain.isdigit():
        found.append({"order": plain})
    if 2 <= len(plain) <= NAME_MAX:
        found.append({"name": plain})
    return [guess for guess in found if all(len(value) > 5 for value in guess.values()) or _is_short(guess)]


def _is_short(guess: dict[str, str]) -> bool:
    return "name" in guess or "serial" in guess
