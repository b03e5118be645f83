"""How the postings of a segment are written: in buckets by token, each a few hundred octets to some thousand.

A row for each token and segment would be written at a random place of a large B-tree, five and more for each
certificate. A bucket gathers a 256th of a segment's tokens, so that a segment is written as 256 rows, and a
token is looked for in one row of each segment. A token has 64 bits: the lowest 8 name the bucket, the next 32
stand in it, the rest is not kept, because whatever the index finds is compared with the record itself.

A bucket, little-endian:

    2 octets    n: tokens that one certificate has
    2 octets    m: tokens that several have
    4 * n       the first kind, sorted
    4 * m       the second kind, sorted
    4 * m       where the offsets of each of these end
    2 * n       the offset of each of the first kind
    rest        the offsets of the second kind, each as `encoded`
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["BUCKETS", "SEGMENT", "buckets_of", "decoded", "encoded", "find", "place"]

SEGMENT = 4096
BUCKETS = 256
_BITMAP_OCTETS = SEGMENT // 8
_SHORT = 0xFFFFFFFF


def place(token: int, segment: int) -> int:
    """The number of the row in which a token of a segment stands; those of a bucket are neighbours."""
    return (token % BUCKETS) << 32 | segment


def buckets_of(offsets: Mapping[int, Sequence[int]], segment: int) -> Iterator[tuple[int, bytes]]:
    """Write a segment: the number of each row and its bucket.

    Args:
        offsets: of each token, sorted.
    """
    buckets: dict[int, dict[int, Sequence[int]]] = defaultdict(dict)
    for token, own in offsets.items():
        bucket, short = buckets[token % BUCKETS], token >> 8 & _SHORT
        # Two tokens that look the same here share their offsets.
        bucket[short] = sorted({*bucket[short], *own}) if short in bucket else own
    for number in sorted(buckets):
        yield place(number, segment), _bucket(buckets[number])


def _bucket(offsets: Mapping[int, Sequence[int]]) -> bytes:
    single = sorted(short for short, own in offsets.items() if len(own) == 1)
    several = sorted(short for short, own in offsets.items() if len(own) > 1)
    contents, ends = [], []
    end = 0
    for short in several:
        contents.append(encoded(offsets[short]))
        end += len(contents[-1])
        ends.append(end)
    n, m = len(single), len(several)
    head = struct.pack(f"<HH{n}I{m}I{m}I", n, m, *single, *several, *ends)
    return head + struct.pack(f"<{n}H", *(offsets[short][0] for short in single)) + b"".join(contents)


def find(bucket: bytes, token: int) -> int:
    """The offsets that have a token, as bits; 0: none in this segment."""
    short = token >> 8 & _SHORT
    n, m = struct.unpack_from("<HH", bucket)
    at = _position(bucket, 4, n, short)
    if at >= 0:
        offset: int = struct.unpack_from("<H", bucket, 4 + 4 * n + 8 * m + 2 * at)[0]
        return 1 << offset
    at = _position(bucket, 4 + 4 * n, m, short)
    if at < 0:
        return 0
    ends, contents = 4 + 4 * n + 4 * m, 6 * n + 8 * m + 4
    (begin,) = struct.unpack_from("<I", bucket, ends + 4 * at - 4) if at else (0,)
    (end,) = struct.unpack_from("<I", bucket, ends + 4 * at)
    return decoded(bucket[contents + begin : contents + end])


def _position(bucket: bytes, first: int, count: int, short: int) -> int:
    """Where a number stands among `count` sorted ones; -1: nowhere."""
    wanted = struct.pack("<I", short)
    if bucket.find(wanted, first, first + 4 * count) < 0:
        return -1
    numbers = struct.unpack_from(f"<{count}I", bucket, first)
    at = bisect_left(numbers, short)
    return at if at < count and numbers[at] == short else -1


def encoded(offsets: Sequence[int]) -> bytes:
    """Write sorted offsets: two octets each, little-endian, or 512 octets of bits when that is shorter."""
    if len(offsets) * 2 < _BITMAP_OCTETS:
        return struct.pack(f"<{len(offsets)}H", *offsets)
    bits = bytearray(_BITMAP_OCTETS)
    for offset in offsets:
        bits[offset >> 3] |= 1 << (offset & 7)
    return bytes(bits)


def decoded(data: bytes) -> int:
    """Read what `encoded` wrote, as bits."""
    if len(data) == _BITMAP_OCTETS:
        return int.from_bytes(data, "little")
    bits = 0
    for offset in struct.unpack(f"<{len(data) // 2}H", data):
        bits |= 1 << offset
    return bits
