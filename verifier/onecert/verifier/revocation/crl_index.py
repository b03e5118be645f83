"""The entries of a CRL: walked once, found by serial number, read when found.

The index is a hash table of offsets into the DER, 8 to 16 bytes an entry and no object for any of them; a
hit is confirmed in the DER. RFC 5280, section 5.3, has the entries.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from onecert.verifier.der import OCTET_STRING, OID, SEQUENCE, DerError, Reader, slice_tlv
from onecert.verifier.errors import MalformedError
from onecert.verifier.extensions import parse_general_names
from onecert.verifier.names import CanonicalName, canonical_name
from onecert.verifier.times import read_generalized_time, read_time

__all__ = ["OFFSET_MAX", "REASONS", "CrlIndex", "RevokedEntry", "read_extension"]

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
OFFSET_MAX = 1 << 32
_DIRECTORY_NAME = 4
_SERIAL_MAX = 21
_KNOWN_EXTENSIONS_MAX = 4096
_RUNS_TRIED, _RUN_MIN = 256, 3
_PATTERNS_MAX = 64
_SMALLEST_TABLE = 16


class RevokedEntry(NamedTuple):
    """What the list says about one serial."""

    revoked_at: datetime
    reason: str
    invalid_since: datetime | None


class CrlIndex:
    """All entries of one list. Immutable once it is made."""

    def __init__(self, der: bytes, start: int = 0, end: int = 0, *, indirect: bool = False) -> None:
        """Walk the entries between two offsets of ``der``, whose outer structure has been checked.

        Args:
            indirect: entries may name their certificate issuer; else that extension means nothing.

        Raises:
            DerError: an entry cannot be read.
        """
        self.unknown_critical: str | None = None  # OID in some entry; the list must not be used then
        self._der = der
        self._indirect = indirect
        self._count = 0
        # (offset, issuer) where a certificateIssuer extension changes the issuer of the entries that follow.
        self._issuer_offsets: list[int] = []
        self._issuers: list[CanonicalName] = []
        self._known_extensions: set[bytes] = set()
        guess = (end - start) // (slice_tlv(der, start)[1] - start) if end > start else 0
        self._table = _new_table(2 * guess)
        self._walk(start, end)
        self._known_extensions = set()

    def __len__(self) -> int:
        return self._count

    def _walk(self, pos: int, end: int) -> None:
        der, table = self._der, self._table
        mask, room = len(table) - 1, 7 * len(table) // 10
        runs = _Runs(der, end)
        while pos < end:
            serial, time, size = _shape(der, pos)
            rest = time + 2 + der[pos + time + 1]
            if rest != size:
                if rest > size:
                    raise DerError("entry")
                self._note_extensions(pos, der[pos + rest : pos + size])
            # What holds for this entry holds for all that follow it with the same bytes around the serial.
            stop = runs.end_of(pos, serial, time, rest, size)
            self._count += (stop - pos) // size
            while self._count > room:
                table = self._grow(table)
                mask, room = len(table) - 1, 7 * len(table) // 10
            for offset in range(pos, stop, size):
                slot = hash(der[offset + serial : offset + time]) & mask
                while table[slot]:
                    slot = (slot + 1) & mask
                table[slot] = offset
            pos = stop
        if pos != end:
            raise DerError("entries")
        self._table = table

    def _grow(self, table: array[int]) -> array[int]:
        der, bigger = self._der, _new_table(2 * len(table))
        mask = len(bigger) - 1
        # In the order of the list, so that of two entries for one serial the first is found first.
        for offset in sorted(filter(None, table)):
            serial, time, _ = _shape(der, offset)
            slot = hash(der[offset + serial : offset + time]) & mask
            while bigger[slot]:
                slot = (slot + 1) & mask
            bigger[slot] = offset
        return bigger

    def _note_extensions(self, pos: int, extensions: bytes) -> None:
        if extensions in self._known_extensions:
            return
        _read_entry_extensions(extensions)
        issuer: CanonicalName | None = None
        reader = Reader(extensions)
        inner = reader.enter(SEQUENCE)
        reader.done()
        while inner:
            oid, critical, value = read_extension(inner)
            if oid == "2.5.29.29":
                names = parse_general_names(Reader(value).enter(SEQUENCE))
                directory = [name for name in names if name.tag == _DIRECTORY_NAME]
                if len(directory) != 1:
                    raise DerError("certificate issuer")
                issuer = canonical_name(directory[0].value)
            elif critical and oid not in {"2.5.29.21", "2.5.29.24"}:
                # RFC 5280, section 5.3: the list must not be used to determine any status.
                self.unknown_critical = oid
        if issuer is not None and self._indirect:
            self._issuer_offsets.append(pos)
            self._issuers.append(issuer)
        elif len(self._known_extensions) < _KNOWN_EXTENSIONS_MAX:
            self._known_extensions.add(extensions)

    def find(self, serial: int, issuer: CanonicalName, list_issuer: CanonicalName) -> RevokedEntry | None:
        """The first entry with this serial and certificate issuer.

        Args:
            list_issuer: the issuer of entries before the first one that names its own.

        Raises:
            MalformedError: the entry's time cannot be read.
        """
        der, table = self._der, self._table
        size = serial.bit_length() // 8 + 1
        wanted = serial.to_bytes(size, "big", signed=True)
        mask = len(table) - 1
        slot = hash(wanted) & mask
        while offset := table[slot]:
            slot = (slot + 1) & mask
            start = offset + 2 if der[offset + 1] < 0x80 else slice_tlv(der, offset)[0]
            time = start + 2 + size
            if (
                der[start + 1] == size
                and der[start + 2 : time] == wanted
                and (self._issuer_at(offset, list_issuer) if self._issuers else list_issuer) == issuer
            ):
                try:
                    return self._entry(time, slice_tlv(der, offset)[1])
                except DerError as exc:
                    # Times are not read before they are asked for.
                    raise MalformedError("NOT_DER", kind="CRL", detail=str(exc)) from exc
        return None

    def _issuer_at(self, offset: int, list_issuer: CanonicalName) -> CanonicalName:
        # RFC 5280, section 5.3.3: the certificate issuer holds until another entry names a new one.
        position = bisect_right(self._issuer_offsets, offset)
        return self._issuers[position - 1] if position else list_issuer

    def _entry(self, time: int, stop: int) -> RevokedEntry:
        rest = time + 2 + self._der[time + 1]
        revoked_at = _read_moment(self._der[time:rest])
        if rest == stop:
            return RevokedEntry(revoked_at, REASONS[0], None)
        reason, invalid_since = _read_entry_extensions(self._der[rest:stop])
        return RevokedEntry(revoked_at, reason, invalid_since)


class _Runs:
    """Finds runs of entries that differ in serial and time only, at the speed of a regular expression.

    Lists of most CAs are one run. Where runs are short, looking for them is given up.
    """

    def __init__(self, der: bytes, end: int) -> None:
        self._der = der
        self._end = end
        self._patterns: dict[tuple[bytes, bytes, int], re.Pattern[bytes]] = {}
        self._runs = self._octets = 0

    def end_of(self, pos: int, serial: int, time: int, rest: int, size: int) -> int:
        """Where the run that begins at ``pos`` ends; the other numbers are offsets in its first entry."""
        der = self._der
        if self._runs == _RUNS_TRIED:
            if self._octets < _RUNS_TRIED * _RUN_MIN * size:
                return pos + size
            self._runs = self._octets = 0
        key = der[pos : pos + serial], der[pos + rest : pos + size], rest - time
        pattern = self._patterns.get(key)
        if pattern is None:
            head, tail = re.escape(key[0]), re.escape(key[1])
            clock = re.escape(der[pos + time : pos + time + 2]) + b".{%d}" % (rest - time - 2)
            one = head + b".{%d}" % (time - serial) + clock + tail
            # Greedy, not possessive: Python before 3.11.5 (Debian 12 has 3.11.2) ends possessive runs in the
            # wrong place. Every entry has one length, so there is nothing to go back to.
            pattern = re.compile(b"(?:%s){1,4096}" % one, re.DOTALL)
            if len(self._patterns) >= _PATTERNS_MAX:
                self._patterns.clear()
            self._patterns[key] = pattern
        match = pattern.match(der, pos, self._end)
        stop = match.end() if match else pos + size
        self._runs += 1
        self._octets += stop - pos
        return stop


def _new_table(wanted: int) -> array[int]:
    return array("I", bytes(4 << max(wanted, _SMALLEST_TABLE).bit_length()))


def _shape(der: bytes, pos: int) -> tuple[int, int, int]:
    """Where serial, time and end of the entry at ``pos`` lie, counted from there."""
    if der[pos] != SEQUENCE:
        raise DerError("entry")
    start, stop = slice_tlv(der, pos)
    size = der[start + 1]
    if der[start] != 0x02 or not 0 < size <= _SERIAL_MAX:
        raise DerError("serial number of an entry")
    return start + 2 - pos, start + 2 + size - pos, stop - pos


@lru_cache(maxsize=256)
def _read_moment(time_der: bytes) -> datetime:
    return read_time(Reader(time_der))


@lru_cache(maxsize=1024)
def _read_entry_extensions(extensions: bytes) -> tuple[str, datetime | None]:
    """Reason and invalidity date. Few different ones stand in a list."""
    reason, invalid_since = 0, None
    reader = Reader(extensions).enter(SEQUENCE)
    while reader:
        oid, _, value = read_extension(reader)
        if oid == "2.5.29.21":
            reason = int.from_bytes(Reader(value).contents(0x0A), "big")
        elif oid == "2.5.29.24":
            invalid_since = read_generalized_time(Reader(value))
    return REASONS.get(reason, "unspecified"), invalid_since


def read_extension(reader: Reader) -> tuple[str, bool, bytes]:
    """One ``Extension``: OID, criticality, value."""
    extension = reader.enter(SEQUENCE)
    oid = extension.oid(OID)
    critical = extension.default_false()
    value = extension.contents(OCTET_STRING)
    extension.done()
    return oid, critical, value
