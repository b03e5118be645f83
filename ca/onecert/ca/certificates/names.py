"""Subject names: which attributes a profile allows, in which alphabet, and their DER.

RFC 5280, section 4.1.2.4 and appendix A (upper bounds); X.520. Values are UTF8String, except country and
serialNumber, which are PrintableString. Each attribute stands in a set of its own, at most once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from onecert.ca import der
from onecert.ca.errors import (
    FieldAlphabetError,
    FieldLengthError,
    FieldMissingError,
    FieldNotAllowedError,
    FieldValueError,
)


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One attribute of a distinguished name: its type and RFC 5280's upper bound in characters."""

    oid: str
    upper_bound: int
    printable: bool = False


# The order is the order inside the name: from the country down to the holder.
ATTRIBUTES: Mapping[str, Attribute] = {
    "country": Attribute(oid="2.5.4.6", upper_bound=2, printable=True),
    "state_or_province": Attribute(oid="2.5.4.8", upper_bound=128),
    "locality": Attribute(oid="2.5.4.7", upper_bound=128),
    "organization": Attribute(oid="2.5.4.10", upper_bound=64),
    "organizational_unit": Attribute(oid="2.5.4.11", upper_bound=64),
    "common_name": Attribute(oid="2.5.4.3", upper_bound=64),
    "title": Attribute(oid="2.5.4.12", upper_bound=64),
    "serial_number": Attribute(oid="2.5.4.5", upper_bound=64, printable=True),
}

_FIELDS = {der.oid(attribute.oid): field for field, attribute in ATTRIBUTES.items()}

# Han characters with their extensions, Latin letters, digits, and the punctuation of names of firms and
# people. No control, format or combining characters, so that two names that look alike are alike. 〇 (U+3007)
# stands among the symbols of Unicode, but is a character of personal names.
_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003fffd"
ALPHABETS: Mapping[str, re.Pattern[str]] = {
    "name": re.compile(rf"[{_HAN}A-Za-z0-9À-ÖØ-öø-ÿ （）()·•.,，、\-－—_&＆'’+/:：@]"),
    "printable": re.compile(r"[A-Za-z0-9 '()+,\-./:=?]"),
    "country": re.compile(r"[A-Z]"),
    "code": re.compile(r"[0-9A-Z\-]"),
    "host": re.compile(r"[a-z0-9.\-]"),
}
# Most values of a name are those of many holders, such as a country; what is wrong is not remembered.
REMEMBERED = 4096
_WHOLE = {name: re.compile(f"(?:{alphabet.pattern})*") for name, alphabet in ALPHABETS.items()}


@dataclass(frozen=True, kw_only=True)
class SubjectRule:
    """What a profile says about one attribute."""

    required: bool = False
    max_length: int = 64
    alphabet: str = "name"
    fixed: str | None = None


def checked_subject(given: Mapping[str, str], rules: Mapping[str, SubjectRule]) -> dict[str, str]:
    """Check a subject against its rules; return it in the order of the name, fixed values filled in.

    Raises:
        FieldMissingError, FieldNotAllowedError, FieldLengthError, FieldAlphabetError, FieldValueError
    """
    for field in given:
        if field not in rules:
            raise FieldNotAllowedError(field)
    subject: dict[str, str] = {}
    for field in ATTRIBUTES:
        rule = rules.get(field)
        if rule is None:
            continue
        value = given.get(field) or rule.fixed or ""
        if not value:
            if rule.required:
                raise FieldMissingError(field)
            continue
        check_value(field, value, rule)
        subject[field] = value
    return subject


@lru_cache(maxsize=REMEMBERED)
def check_value(field: str, value: str, rule: SubjectRule) -> None:
    """Check length, alphabet and fixed value of one attribute."""
    if rule.fixed is not None and value != rule.fixed:
        raise FieldValueError(field, rule.fixed)
    allowed = min(rule.max_length, ATTRIBUTES[field].upper_bound)
    if len(value) > allowed:
        raise FieldLengthError(field, len(value), allowed)
    if not _WHOLE[rule.alphabet].fullmatch(value):
        alphabet = ALPHABETS[rule.alphabet]
        stranger = next(character for character in value if not alphabet.fullmatch(character))
        raise FieldAlphabetError(field, f"U+{ord(stranger):04X}")
    if value != value.strip() or "  " in value:
        raise FieldAlphabetError(field, "U+0020")


def subject_der(subject: Mapping[str, str]) -> bytes:
    """Encode a checked subject, in the order of `ATTRIBUTES`."""
    return der.sequence(*(_attribute_der(field, subject[field]) for field in ATTRIBUTES if field in subject))


@lru_cache(maxsize=REMEMBERED)
def _attribute_der(field: str, value: str) -> bytes:
    attribute = ATTRIBUTES[field]
    text = der.printable(value) if attribute.printable else der.utf8(value)
    return der.set_of(der.sequence(der.oid(attribute.oid), text))


def subject_text(subject: Mapping[str, str]) -> str:
    """Write a subject for people and searches: `CN=…, OU=…, O=…` with the holder first."""
    short = {
        "common_name": "CN",
        "organizational_unit": "OU",
        "organization": "O",
        "locality": "L",
        "state_or_province": "ST",
        "country": "C",
        "title": "T",
        "serial_number": "serialNumber",
    }
    return ", ".join(f"{label}={subject[field]}" for field, label in short.items() if field in subject)


def read_subject(name_der: bytes) -> Iterator[tuple[str, int, str]]:
    """Read a name back: for each attribute its field name (or dotted OID), its string tag and its value.

    Written apart from `subject_der`, so that the lint does not trust the writer.

    Raises:
        der.DerError: not a name of single-valued sets of strings.
    """
    for whole in der.wholes(der.content_of(name_der)):
        yield _read_attribute(whole)


@lru_cache(maxsize=REMEMBERED)
def _read_attribute(whole: bytes) -> tuple[str, int, str]:
    set_tag, values, _whole = der.element_at(whole, 0)
    if set_tag != der.SET:
        raise der.DerError("a name is a sequence of sets")
    pair = der.elements(der.content_of(values))
    if len(pair) != 2:
        raise der.DerError("an attribute is a type and a value")
    (_tag, _content, oid_der), (tag, content, _whole) = pair
    if tag not in {der.UTF8_STRING, der.PRINTABLE_STRING}:
        raise der.DerError(f"string type {tag:#04x} in a name")
    return _FIELDS.get(oid_der, oid_der.hex()), tag, content.decode("utf-8")
