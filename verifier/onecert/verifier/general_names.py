"""General names, RFC 5280, section 4.2.1.6: of subjects, constraints and addresses."""

from __future__ import annotations

from dataclasses import dataclass

from onecert.verifier.der import DerError, Reader, decode_oid
from onecert.verifier.names import canonical_name

__all__ = ["GeneralName", "parse_general_name", "parse_general_names"]


@dataclass(frozen=True, slots=True)
class GeneralName:
    """One name; ``tag`` is the context number of RFC 5280, section 4.2.1.6.

    ``value`` holds the contents; for a directoryName (4) the DER of the Name.
    """

    tag: int
    value: bytes


def parse_general_names(reader: Reader) -> tuple[GeneralName, ...]:
    """The elements of a ``GeneralNames``; the reader stands inside of its SEQUENCE."""
    names = []
    while reader:
        names.append(parse_general_name(reader))
    if not names:
        raise DerError("empty list")
    return tuple(names)


def parse_general_name(reader: Reader) -> GeneralName:
    """The next ``GeneralName``."""
    tag, value = reader.any()
    number = tag & 0x1F
    constructed = number in {0, 3, 4, 5}
    if tag & 0xE0 != (0xA0 if constructed else 0x80) or number > 8:
        raise DerError("general name")
    if number in {1, 2, 6} and not value.isascii():
        raise DerError("general name is not ASCII")
    if number == 4:
        canonical_name(value)
    elif number == 0:
        other = Reader(value)
        other.oid()
        other.enter(0xA0)
        other.done()
    elif number == 8:
        decode_oid(value)
    return GeneralName(number, value)
