"""The encoded entries of one list, kept between one list and the next so that a change costs a change.

Entries stand one after the other in segments of some thousand, in no order (RFC 5280 asks for none). Nothing
is ever altered in place: a list that is being signed keeps the segments it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from onecert.ca import der

__all__ = ["KeptEntries", "count_of", "segments_of", "serial_of"]

SEGMENT_OCTETS = 1 << 20


@dataclass(frozen=True, kw_only=True)
class KeptEntries:
    """Entries of one list, and how many they are."""

    segments: tuple[bytes, ...] = ()
    count: int = 0

    def changed(self, *, drop: Iterable[int], put: Iterable[bytes]) -> KeptEntries:
        """Take entries out by their serials, where there are such, and put encoded ones in."""
        segments, count = list(self.segments), self.count
        for serial in drop:
            count -= _drop(segments, serial)
        added = list(put)
        if added:
            count += len(added)
            if segments and len(segments[-1]) < SEGMENT_OCTETS:
                added.insert(0, segments.pop())
            segments += segments_of(added)
        return KeptEntries(segments=tuple(segment for segment in segments if segment), count=count)

    def sharing(self, before: KeptEntries) -> KeptEntries:
        """The same entries, in the segments of an earlier list where these are equal."""
        known = {segment: segment for segment in before.segments}
        return replace(self, segments=tuple(known.get(segment, segment) for segment in self.segments))

    def new_since(self, before: KeptEntries | None) -> tuple[bytes, ...]:
        """The segments that an earlier list did not have."""
        known = {id(segment) for segment in before.segments} if before else set()
        return tuple(segment for segment in self.segments if id(segment) not in known)

    def find(self, serial: int) -> bytes | None:
        """Find the entry of a serial."""
        place = _place(self.segments, serial)
        if place is None:
            return None
        number, start, end = place
        return self.segments[number][start:end]


def segments_of(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join encoded entries to segments."""
    pending: list[bytes] = []
    octets = 0
    for part in parts:
        pending.append(part)
        octets += len(part)
        if octets >= SEGMENT_OCTETS:
            yield b"".join(pending)
            pending, octets = [], 0
    if pending:
        yield b"".join(pending)


def count_of(segments: Iterable[bytes]) -> int:
    """Count the entries of segments, each of which must be whole entries of ours and nothing else."""
    count = 0
    for segment in segments:
        at = 0
        while at < len(segment):
            at += 2 + segment[at + 1]
            count += 1
    return count


def serial_of(entry: bytes) -> str:
    """Read the serial of an encoded entry of ours (shorter than 128 octets), as records write it."""
    return entry[4 : 4 + entry[3]].hex().lstrip("0")


def _place(segments: Sequence[bytes], serial: int) -> tuple[int, int, int] | None:
    """Find an entry by the bytes of its serial: a search through 50 MB costs less than keeping an index."""
    wanted = der.integer(serial)
    for number, segment in enumerate(segments):
        at = segment.find(wanted)
        while at != -1:
            # An entry is a SEQUENCE with a length of one octet, and begins with its serial.
            if at >= 2 and segment[at - 2] == der.SEQUENCE and segment[at - 1] < 0x80:
                return number, at - 2, at + segment[at - 1]
            at = segment.find(wanted, at + 1)
    return None


def _drop(segments: list[bytes], serial: int) -> bool:
    place = _place(segments, serial)
    if place is None:
        return False
    number, start, end = place
    segment = segments[number]
    segments[number] = segment[:start] + segment[end:]
    return True
