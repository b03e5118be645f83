"""What stands in the entries of a CRL: RFC 5280, section 5.3, and the forms that most entries have."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from onecert.verifier.der import OCTET_STRING, OID, SEQUENCE, DerError, Reader, slice_tlv
from onecert.verifier.extensions import parse_general_names
from onecert.verifier.names import CanonicalName, canonical_name
from onecert.verifier.remembered import remembered
from onecert.verifier.times import read_generalized_time, read_time

__all__ = [
    "REASONS",
    "SERIAL_MAX",
    "EntryExtensions",
    "RevokedEntry",
    "entries_like",
    "read_entry",
    "read_entry_extensions",
    "read_extension",
    "shape_of",
    "usual_entry",
]

# CRLReason (RFC 5280, section 5.3.1) -> name; 7 is not used.
REASONS = {
    0: "unspecified",
    1: "keyCompromise",
    2: "cACompromise",
    3: "affiliationChanged",
    4: "superseded",
    5: "cessationOfOperation",
    6: "certificateHold",
    8: "removeFromCRL",
    9: "privilegeWithdrawn",
    10: "aACompromise",
}
SERIAL_MAX = 21  # octets: RFC 5280 allows 20, and a CA that miscounts the sign bit needs one more
_DIRECTORY_NAME = 4


class RevokedEntry(NamedTuple):
    """What the list says about one serial."""

    revoked_at: datetime
    reason: str
    invalid_since: datetime | None


class EntryExtensions(NamedTuple):
    """The extensions of one entry."""

    reason: str = REASONS[0]
    invalid_since: datetime | None = None
    issuer: CanonicalName | None = None  # certificateIssuer: of this entry and of those that follow
    unknown_critical: str | None = None  # OID


@lru_cache(maxsize=1)
def usual_entry() -> re.Pattern[bytes]:
    """An entry in short form with a reason, an invalidity date, both or neither, none of them critical.

    Nearly all entries are of these forms. The group is the serial number, a whole TLV. A match that another
    one follows at once is a whole entry, if the outer structure has been checked; before anything else it may
    be the beginning of an entry with other extensions.
    """
    reason = b"0\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01."
    date = b"0\x18\x06\x03\x55\x1d\x18\x04\x11\x18\x0f.{15}"
    likely_first = sorted(range(1, SERIAL_MAX + 1), key=lambda size: (size not in {16, 19, 20}, -size))
    serials = b"|".join(b"%b.{%d}" % (_octets(bytes((size,))), size) for size in likely_first)
    times = b"\x17\x0d.{13}|\x18\x0f.{15}"
    extensions = b"\x0c%b|\x1a%b|&%b%b" % (reason, date, reason, date)
    return re.compile(b"0[\x00-\x7f](\x02(?:%b))(?:%b)(?:0(?:%b))?" % (serials, times, extensions), re.DOTALL)


def entries_like(head: bytes, serial_size: int, time: bytes, tail: bytes) -> re.Pattern[bytes]:
    """A run of at most 2,048 entries that differ from one another in serial number and time only.

    Greedy, not possessive: Python before 3.11.5 (Debian 12 has 3.11.2) ends possessive runs in the wrong
    place. Every entry has one length, so there is nothing to go back to.
    """
    one = (
        _octets(head)
        + b".{%d}" % serial_size
        + _octets(time[:2])
        + b".{%d}" % (len(time) - 2)
        + _octets(tail)
    )
    return re.compile(b"(?:%b){1,2048}" % one, re.DOTALL)


_octets = re.escape


def shape_of(der: bytes, pos: int) -> tuple[int, int, int, int]:
    """Offsets of the serial number, the time, what follows the time, and the end of the entry at ``pos``.

    Raises:
        DerError, IndexError: it is no entry.
    """
    if der[pos] != SEQUENCE:
        raise DerError("entry")
    serial, stop = (pos + 2, pos + 2 + der[pos + 1]) if der[pos + 1] < 0x80 else slice_tlv(der, pos)
    size = der[serial + 1]
    if der[serial] != 0x02 or not 0 < size <= SERIAL_MAX:
        raise DerError("serial number of an entry")
    time = serial + 2 + size
    rest = time + 2 + der[time + 1]
    if rest > stop:
        raise DerError("entry")
    return serial, time, rest, stop


def read_entry(der: bytes, pos: int) -> RevokedEntry:
    """The entry at ``pos``.

    Raises:
        DerError: it cannot be read.
    """
    _, time, rest, stop = shape_of(der, pos)
    revoked_at = _read_moment(der[time:rest])
    if rest == stop:
        return RevokedEntry(revoked_at, REASONS[0], None)
    extensions = read_entry_extensions(der[rest:stop])
    return RevokedEntry(revoked_at, extensions.reason, extensions.invalid_since)


@lru_cache(maxsize=8192)
def _read_moment(time_der: bytes) -> datetime:
    return read_time(Reader(time_der))


@remembered(most=4096)
def read_entry_extensions(extensions_der: bytes) -> EntryExtensions:
    """Read the ``Extensions`` of an entry.

    Raises:
        DerError: they cannot be read.
    """
    outer = Reader(extensions_der)
    reader = outer.enter(SEQUENCE)
    outer.done()
    reason, invalid_since, issuer, unknown = 0, None, None, None
    while reader:
        oid, critical, value = read_extension(reader)
        if oid == "2.5.29.21":
            reason = int.from_bytes(Reader(value).contents(0x0A), "big")
        elif oid == "2.5.29.24":
            invalid_since = read_generalized_time(Reader(value))
        elif oid == "2.5.29.29":
            names = parse_general_names(Reader(value).enter(SEQUENCE))
            directory = [name for name in names if name.tag == _DIRECTORY_NAME]
            if len(directory) != 1:
                raise DerError("certificate issuer")
            issuer = canonical_name(directory[0].value)
        elif critical:
            unknown = oid
    return EntryExtensions(REASONS.get(reason, REASONS[0]), invalid_since, issuer, unknown)


def read_extension(reader: Reader) -> tuple[str, bool, bytes]:
    """One ``Extension``: OID, criticality, value."""
    extension = reader.enter(SEQUENCE)
    oid = extension.oid(OID)
    critical = extension.default_false()
    value = extension.contents(OCTET_STRING)
    extension.done()
    return oid, critical, value
