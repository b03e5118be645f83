"""The entries of a CRL: walked once, found by (certificate issuer, serial number), read when found.

The index is a hash table of offsets into the DER, 6 to 16 bytes an entry and no object for any of them; a
hit is confirmed in the DER.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from onecert.verifier.der import DerError
from onecert.verifier.errors import MalformedError
from onecert.verifier.limits import DEFAULT_LIMITS, Limits
from onecert.verifier.names import CanonicalName
from onecert.verifier.revocation.crl_entries import (
    SERIAL_MAX,
    RevokedEntry,
    entries_like,
    read_entry,
    read_entry_extensions,
    shape_of,
    usual_entry,
)

__all__ = ["OFFSET_MAX", "CrlIndex"]

OFFSET_MAX = 1 << 32
_SMALLEST_TABLE = 16
_FULL = 0.7
# At that load a million different serials lie 5 places from theirs, and none of them so far.
_STEPS_MAX, _PROBES_MAX = 16, 4096
# Octets that are searched for usual entries at once; less while others keep turning up among them.
_SPAN_MIN, _SPAN_MAX = 256, 1 << 16
_RUN_MIN = 32
_PATTERNS_MAX = 256
_TRY_RUNS_AGAIN = 16
_HARMLESS_MAX = 4096
# One of these stands in extensions that are critical or name a certificate issuer.
_MARKS = (b"\x01\x01\xff", b"\x55\x1d\x1d")


class CrlIndex:
    """All entries of one list. Immutable once it is made."""

    def __init__(
        self,
        der: bytes,
        start: int = 0,
        end: int = 0,
        *,
        issuer: CanonicalName = (),
        indirect: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Walk the entries between two offsets of ``der``, whose outer structure has been checked.

        Args:
            issuer: of the list, and so of the certificates in it until an entry names another one.
            indirect: entries may name their certificate issuer; else that extension means nothing.

        Raises:
            DerError, IndexError: an entry cannot be read.
            MalformedError: ``CRL_ENTRIES``, ``CRL_UNUSUAL_ENTRIES``.
        """
        self.unknown_critical: str | None = None  # OID in some entry; the list must not be used then
        self._der = der
        self._indirect = indirect
        self._limits = limits
        self._count = self._unusual = 0
        self._span = _SPAN_MAX
        self._collides = False
        # RFC 5280, section 5.3.3: the issuer that an entry names holds until another entry names a new one.
        # So the list falls into sections: where each begins, and the number of its issuer.
        self._issuer = issuer
        self._issuers: dict[CanonicalName, int] = {issuer: 0}
        self._section_offsets = array("I")
        self._section_issuers = array("I")
        self._harmless: set[bytes] = set()
        self._patterns: dict[tuple[bytes, bytes, int], re.Pattern[bytes]] = {}
        self._table = _new_table(0)
        self._walk(start, end)
        self._patterns, self._harmless = {}, set()

    def __len__(self) -> int:
        return self._count

    def find(self, serial: int, issuer: CanonicalName) -> RevokedEntry | None:
        """The first entry with this serial and certificate issuer.

        Raises:
            MalformedError: the entry's time cannot be read.
        """
        # Nearly always the very object: names are remembered, and hashing one takes as long as the look-up.
        number = 0 if issuer is self._issuer else self._issuers.get(issuer)
        size = (serial + (serial < 0)).bit_length() // 8 + 1  # -128 needs one octet, -129 two
        if number is None or size > SERIAL_MAX:
            return None
        key = b"\x02%c%b" % (size, serial.to_bytes(size, "big", signed=True))
        der, table = self._der, self._table
        mask = len(table) - 1
        slot = hash(key + _suffix(number) if number else key) & mask
        while offset := table[slot]:
            if self._is_about(offset, key, number):
                try:
                    return read_entry(der, offset)
                except DerError as exc:
                    # Times are not read before they are asked for.
                    raise MalformedError("NOT_DER", kind="CRL", detail=str(exc)) from exc
            slot = (slot + 1) & mask
        return None

    def _is_about(self, offset: int, key: bytes, number: int) -> bool:
        der = self._der
        length = der[offset + 1]
        serial = offset + 2 if length < 0x80 else offset + 2 + (length & 0x7F)
        return der.startswith(key, serial) and (
            not self._section_offsets or self._issuer_at(offset) == number
        )

    def _issuer_at(self, offset: int) -> int:
        section = bisect_right(self._section_offsets, offset)
        return self._section_issuers[section - 1] if section else 0

    def _walk(self, pos: int, end: int) -> None:
        """Lists of most CAs are runs of entries that look alike; where they are not, most forms are known."""
        while pos < end:
            start = pos
            pos, count = self._take_alike(pos, end)
            if count == self._count:
                # Room for a list that goes on like its beginning.
                self._make_room(0, expected=count * (end - start) // (pos - start))
            if count < _RUN_MIN:
                pos = self._take_usual(pos, end)
        if pos != end:
            raise DerError("entries")

    def _take_alike(self, pos: int, end: int) -> tuple[int, int]:
        """Enter one entry of any form and those after it that look alike; returns where they end, and how
        many they are."""
        der = self._der
        serial, time, rest, stop = shape_of(der, pos)
        if stop > end:
            raise DerError("entries")
        if rest != stop:
            # What holds for this entry holds for all that follow it with the same extensions.
            self._note_extensions(pos, der[rest:stop])
        size = stop - pos
        match = None
        if der[stop : stop + serial + 2 - pos] == der[pos : serial + 2]:
            pattern = self._pattern(der[pos : serial + 2], time - serial - 2, der[time:rest], der[rest:stop])
            match = pattern and pattern.match(der, pos, end)
        if match:
            stop = match.end()
        count = (stop - pos) // size
        if count < _RUN_MIN:
            self._unusual += count
            if self._unusual > self._limits.crl_unusual_entries:
                raise MalformedError("CRL_UNUSUAL_ENTRIES", max=self._limits.crl_unusual_entries)
        self._make_room(count)
        begin, stretch = serial - pos, time - serial
        keys = [der[at : at + stretch] for at in range(pos + begin, stop, size)]
        self._insert(keys, range(pos, stop, size))
        return stop, count

    def _pattern(self, head: bytes, serial_size: int, time: bytes, tail: bytes) -> re.Pattern[bytes] | None:
        key = head + time[:2], tail, serial_size
        pattern = self._patterns.get(key)
        if pattern is None and len(self._patterns) < _PATTERNS_MAX:
            pattern = self._patterns[key] = entries_like(head, serial_size, time, tail)
        return pattern

    def _take_usual(self, pos: int, end: int) -> int:
        """Enter entries of the usual forms until another one comes; returns where they end."""
        der = self._der
        usual = usual_entry()
        if not usual.match(der, pos, end):
            return pos
        for _ in range(_TRY_RUNS_AGAIN):
            # What lies before, between and behind the entries found; and their serial numbers.
            stop = min(pos + self._span, end)
            parts = usual.split(der[pos:stop])
            gaps, keys = parts[::2], parts[1::2]
            gap = next((i for i, octets in enumerate(gaps) if octets), len(gaps))
            # Before a gap lies an entry with more to it than was found; so may the last one of the span.
            whole = gap - 1 if gap < len(gaps) else len(keys) - (stop < end)
            del keys[max(whole, 0) :]
            self._make_room(len(keys))
            offsets = array("I")
            for _ in keys:
                offsets.append(pos)
                pos += der[pos + 1] + 2
            self._insert(keys, offsets)
            if gap < len(gaps) - 1 or not keys:
                self._span = max(self._span // 2, _SPAN_MIN)
                break
            self._span = min(2 * self._span, _SPAN_MAX)
        return pos

    def _note_extensions(self, pos: int, extensions_der: bytes) -> None:
        if extensions_der in self._harmless:
            return
        if len(self._harmless) >= _HARMLESS_MAX and not any(mark in extensions_der for mark in _MARKS):
            return  # reason and dates are read when they are asked for
        found = read_entry_extensions(extensions_der)
        if found.unknown_critical is not None:
            # RFC 5280, section 5.3: the list must not be used to determine any status.
            self.unknown_critical = found.unknown_critical
        if found.issuer is not None and self._indirect:
            number = self._issuers.setdefault(found.issuer, len(self._issuers))
            if number != (self._section_issuers[-1] if self._section_issuers else 0):
                self._section_offsets.append(pos)
                self._section_issuers.append(number)
        elif len(self._harmless) < _HARMLESS_MAX:
            self._harmless.add(extensions_der)

    def _insert(self, keys: Sequence[bytes], offsets: Iterable[int]) -> None:
        number = self._section_issuers[-1] if self._section_issuers else 0
        if number or self._collides:
            for key, offset in zip(keys, offsets, strict=True):
                self._insert_once(offset, key, number)
            return
        table, mask, steps = self._table, len(self._table) - 1, 0
        for slot_hash, offset in zip(map(hash, keys), offsets, strict=True):
            slot = slot_hash & mask
            while table[slot]:
                slot = (slot + 1) & mask
                steps += 1
            table[slot] = offset
        # Entries of one serial number, over and over: from now on each is entered once.
        self._collides = steps > _STEPS_MAX * len(keys) + _PROBES_MAX

    def _insert_once(self, offset: int, key: bytes, number: int) -> None:
        table, probes = self._table, 0
        mask = len(table) - 1
        slot = hash(key + _suffix(number)) & mask
        while other := table[slot]:
            # Of two entries for one certificate the first counts.
            if self._is_about(other, key, number):
                return
            slot = (slot + 1) & mask
            probes += 1
        if probes > _PROBES_MAX:
            raise MalformedError("MALFORMED", kind="CRL", detail="serial numbers chosen to collide")
        table[slot] = offset

    def _make_room(self, more: int, *, expected: int = 0) -> None:
        self._count += more
        if self._count > self._limits.crl_entries:
            raise MalformedError("CRL_ENTRIES", max=self._limits.crl_entries)
        if max(self._count, expected) <= _FULL * len(self._table):
            return
        # In the order of the list, so that of two entries for one serial number the first stays first.
        offsets = sorted(filter(None, self._table))
        self._table = _new_table(max(self._count, expected) / _FULL)
        for offset in offsets:
            serial, time, _, _ = shape_of(self._der, offset)
            self._insert_once(offset, self._der[serial:time], self._issuer_at(offset))


def _suffix(number: int) -> bytes:
    """What tells serial numbers of different issuers apart; nothing for the issuer of the list."""
    return number.to_bytes(4, "big") if number else b""


def _new_table(wanted: float) -> array[int]:
    return array("I", bytes(4 << max(int(wanted), _SMALLEST_TABLE).bit_length()))
