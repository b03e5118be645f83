"""Where each CA of the kit writes who the holder is: the other side of ``profiles/*.json``."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

from onecert.testkit.der import tlv

__all__ = ["CITIZEN", "FIRM", "FIRM_ELSEWHERE", "OTHER_FIRM_CODE", "fields_for"]

# Synthetic numbers with right check digits: no firm and no person has them.
FIRM = "91440300MA5DEM004J"
FIRM_ELSEWHERE = "91110000MA5DEM004J"
FIRM_WRONG_CHECK_DIGIT = "91440300MA5DEM0049"
OTHER_FIRM_CODE = "MA5DEM0A6"
CITIZEN = "440300190001010015"

_UTF8, _PRINTABLE, _SET = 0x0C, 0x13, 0x31


def _uid(kind: str, number: str, key_number: int) -> bytes:
    value = base64.b64encode(number.encode()).decode("ascii")
    return tlv(_UTF8, f"{key_number}@0006{kind}1{value}".encode())


def _utf8(value: str) -> bytes:
    return tlv(_UTF8, value.encode())


def _pearl(entity: str, person: str, key_number: int, _class: str) -> dict[str, bytes]:
    kind, number = ("ZZ", entity) if entity else ("SF", person)
    return {"2.16.156.112548": _uid(kind, number, key_number)}


def _harbour(entity: str, person: str, _key_number: int, _class: str) -> dict[str, bytes]:
    found = {}
    if entity:
        found["1.2.156.10260.4.1.4"] = tlv(_SET, tlv(0xA0, tlv(_PRINTABLE, entity.encode())))
    if person:
        found["1.2.156.10260.4.1.1"] = tlv(0x80, person.encode())
    return found


def _summit(entity: str, person: str, _key_number: int, holder_class: str) -> dict[str, bytes]:
    found = {"1.3.6.1.4.1.58888.7.2": _utf8(holder_class)}
    if entity:
        found["1.3.6.1.4.1.58888.7.1"] = _utf8(entity)
    if person:
        found["1.3.6.1.4.1.58888.7.3"] = _utf8(person)
    return found


_WRITERS: Mapping[str, Callable[[str, str, int, str], dict[str, bytes]]] = {
    "pearl": _pearl,
    "harbour": _harbour,
    "summit": _summit,
}


def fields_for(
    profile: str,
    *,
    entity: str = "",
    person: str = "",
    key_number: int = 10001,
    holder_class: str = "001",
) -> dict[str, bytes]:
    """Object identifier -> DER value, as the CA with this profile writes it.

    Args:
        entity: credit code of a firm; person: number of an identity card. Either may be empty.
        key_number: of the holder's keys; only pearl writes it.
        holder_class: summit's code: 001 organisation, 003 employee, 004 citizen.
    """
    return _WRITERS[profile](entity, person, key_number, holder_class)


def organisation_code_field(code: str) -> dict[str, bytes]:
    """Harbour's second place for an entity: the organisation code."""
    return {"1.2.156.10260.4.1.3": tlv(_SET, tlv(0xA0, tlv(_PRINTABLE, code.encode())))}
