"""The grammar of the unique entity identifier (实体唯一标识): seq "@" code4 type2 flag value.

    10001@0006ZZ1<base64 of the credit code>
    1@5009JJ0MA5DEM004

seq is the number of this holder's key (1 is the first), never part of the identity; code4 names the CA or the
project; type2 the kind of number; flag 0 means plain, 1 means base64 of UTF-8. An older short form has only
the kind and the number: SF<18>, JJ<9>. Whatever does not match exactly is refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

from onecert.verifier.identity.errors import DecodeError

MAX_VALUE_CHARACTERS = 128

_UID = re.compile(r"([0-9]{1,10})@([0-9A-Za-z]{4})([A-Z]{2})([01])(.+)", re.ASCII)
_SHORT = re.compile(r"([A-Z]{2})([0-9A-Za-z-]{8,18})", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class Uid(NamedTuple):
    """A parsed identifier; ``value`` is decoded but not yet checked."""

    type_code: str
    value: str
    key_number: int | None = None
    ca_code: str | None = None


def parse_uid(text: str) -> Uid:
    """Parse the form with ``@``.

    Raises:
        DecodeError: UID_GRAMMAR, with the part that does not match.
    """
    match = _UID.fullmatch(text)
    if match is None:
        raise DecodeError("UID_GRAMMAR", part="form")
    sequence, ca_code, type_code, flag, value = match.groups()
    if int(sequence) < 1:
        raise DecodeError("UID_GRAMMAR", part="seq")
    if len(value) > MAX_VALUE_CHARACTERS:
        raise DecodeError("UID_GRAMMAR", part="length")
    if flag == "1":
        value = _decode_base64(value)
    if not value or _CONTROL.search(value) is not None:
        raise DecodeError("UID_GRAMMAR", part="value")
    return Uid(type_code=type_code, value=value, key_number=int(sequence), ca_code=ca_code)


def parse_short(text: str) -> Uid:
    """Parse the older short form: two letters and the number.

    Raises:
        DecodeError: UID_GRAMMAR.
    """
    match = _SHORT.fullmatch(text)
    if match is None:
        raise DecodeError("UID_GRAMMAR", part="form")
    return Uid(type_code=match[1], value=match[2])


def _decode_base64(value: str) -> str:
    try:
        octets = base64.b64decode(value, validate=True)
        # Two spellings of one value would be two texts for one holder: only the canonical one counts.
        if base64.b64encode(octets).decode("ascii") != value:
            raise DecodeError("UID_GRAMMAR", part="base64")
        return octets.decode("utf-8")
    except (binascii.Error, ValueError) as exc:
        raise DecodeError("UID_GRAMMAR", part="base64") from exc
