"""What somebody typed into the box: how names are spelled for searching, and what a text looks like.

A text may be several things: 18 digits are an identity card or a credit code, 11 digits a mobile number or a
serial. `readings` says all of them, the likeliest first; the first that finds something answers, and the page
offers the others.
"""

import enum
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from onecert.ra.search.tables import PART_CHARS
from onecert.server.languages import _

__all__ = [
    "PERSONAL",
    "READ_NAMES",
    "TEXT_MAX",
    "Read",
    "Reading",
    "mark_text",
    "parts_of",
    "readings",
    "spelled",
]

TEXT_MAX = 200
# Before the first character of a name: what begins with it is found before what only contains it.
START = "^"
TOP = "\U0010ffff"


class Read(enum.StrEnum):
    """What a text was read as."""

    APPLICATION = "application"
    CASE = "case"
    USCC = "uscc"
    IDCARD = "idcard"
    MOBILE = "mobile"
    EMAIL = "email"
    SERIAL = "serial"
    DECIMAL = "decimal"
    SHA1 = "sha1"
    SHA256 = "sha256"
    TOKEN = "token"  # noqa: S105 - the number on a USB key
    NAME = "name"
    HOLDER = "holder"


READ_NAMES: Mapping[Read, str] = MappingProxyType(
    {
        Read.APPLICATION: _("an application number"),
        Read.CASE: _("a case number"),
        Read.USCC: _("a credit code"),
        Read.IDCARD: _("an identity card number"),
        Read.MOBILE: _("a mobile number"),
        Read.EMAIL: _("an e-mail address"),
        Read.SERIAL: _("a serial number"),
        Read.DECIMAL: _("a serial number in decimal"),
        Read.SHA1: _("a SHA-1 thumbprint"),
        Read.SHA256: _("a SHA-256 thumbprint"),
        Read.TOKEN: _("a token number"),
        Read.NAME: _("a name or a part of one"),
        Read.HOLDER: _("exactly this name"),
    }
)
# What must stand in no address and in no log.
PERSONAL = frozenset({Read.IDCARD, Read.MOBILE, Read.EMAIL})

_APPLICATION = re.compile(r"(?:20[0-9]{6}-)?([0-9]{1,12})", re.ASCII)
_CASE = re.compile(r"20[0-9]{6}-C([0-9]{1,12})", re.ASCII | re.IGNORECASE)
_USCC = re.compile(r"[0-9A-HJ-NPQRTUW-Y]{18}", re.ASCII)
_IDCARD = re.compile(r"[1-9][0-9]{16}[0-9X]", re.ASCII)
_MOBILE = re.compile(r"(?:\+?86)?(1[3-9][0-9]{9})", re.ASCII)
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
_HEX = re.compile(r"(?:0x)?[0-9a-f]+", re.ASCII | re.IGNORECASE)
_TOKEN = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{3,63}", re.ASCII)
_SEPARATORS = re.compile(r"[\s:\-]")


@dataclass(frozen=True)
class Reading:
    """One thing that a text may be, in the spelling that is looked for."""

    kind: Read
    value: str


def spelled(name: str) -> str:
    """A name as it is compared: full width and half width, capitals and small, with blanks or without are
    one."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def parts_of(name: str) -> list[str]:
    """The rows of a name: its beginning with a mark, and each of its endings, cut."""
    text = spelled(name)[:128]
    if not text:
        return []
    endings = {text[at : at + PART_CHARS] for at in range(len(text))}
    return sorted({(START + text)[:PART_CHARS], *endings})


def mark_text(kind: str, value: str) -> str:
    """What the keyed hash of a sealed value is made of."""
    text = unicodedata.normalize("NFKC", value).strip()
    if kind == "email":
        text = text.casefold()
    if kind == "mobile" and (found := _MOBILE.fullmatch(_SEPARATORS.sub("", text))):
        text = found[1]
    return f"{kind}\0{text.upper() if kind.endswith('idcard') else text}"


def readings(text: str) -> Sequence[Reading]:
    """Everything that a text may be, the likeliest first; nothing when it can be nothing."""
    plain = " ".join(unicodedata.normalize("NFKC", text).split())
    if not plain or len(plain) > TEXT_MAX or not plain.isprintable():
        return []
    joined = _SEPARATORS.sub("", plain)
    upper = joined.upper()
    found: list[Reading] = []
    if match := _CASE.fullmatch(plain):
        found.append(Reading(Read.CASE, match[1]))
    if "-" in plain and (match := _APPLICATION.fullmatch(plain)):
        found.append(Reading(Read.APPLICATION, match[1]))
    if _EMAIL.fullmatch(plain):
        found.append(Reading(Read.EMAIL, plain))
    if _IDCARD.fullmatch(upper):
        found.append(Reading(Read.IDCARD, upper))
    if _USCC.fullmatch(upper):
        found.append(Reading(Read.USCC, upper))
    if match := _MOBILE.fullmatch(joined):
        found.append(Reading(Read.MOBILE, match[1]))
    found += _numbers(plain, joined)
    if not any(reading.kind is Read.EMAIL for reading in found) and spelled(plain):
        found.append(Reading(Read.NAME, plain))
    return found


def _numbers(plain: str, joined: str) -> list[Reading]:
    """Serials, thumbprints, token and application numbers."""
    found: list[Reading] = []
    digits = joined.lower().removeprefix("0x")
    if _HEX.fullmatch(joined) and digits:
        if len(digits) == 64:
            found.append(Reading(Read.SHA256, digits))
        if len(digits) == 40:
            found.append(Reading(Read.SHA1, digits))
        serial = digits.lstrip("0")
        if 4 <= len(serial) <= 40:
            found.append(Reading(Read.SERIAL, serial))
    if joined.isascii() and joined.isdigit() and 6 <= len(joined) <= 49:
        number = f"{int(joined):x}"
        if 4 <= len(number) <= 40:
            found.append(Reading(Read.DECIMAL, number))
    if plain.isascii() and plain.isdigit() and len(plain) <= 12:
        found.insert(0, Reading(Read.APPLICATION, str(int(plain))))
    if _TOKEN.fullmatch(plain) and any(char.isdigit() for char in plain):
        found.append(Reading(Read.TOKEN, plain))
    return found
