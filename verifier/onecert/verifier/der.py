"""A small strict DER reader over slices.

``cryptography`` checks the outer structure of certificates and lists; this reader takes apart what it leaves
opaque: extension values, name values, algorithm parameters. High tag numbers are not used by X.509 and
refused.
"""

from __future__ import annotations

from functools import lru_cache

__all__ = [
    "BIT_STRING",
    "BOOLEAN",
    "GENERALIZED_TIME",
    "INTEGER",
    "NULL",
    "OCTET_STRING",
    "OID",
    "SEQUENCE",
    "SET",
    "UTC_TIME",
    "DerError",
    "Reader",
    "decode_oid",
    "slice_tlv",
]

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OID = 0x06
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31


class DerError(ValueError):
    """Stays inside the library; public functions turn it into ``MalformedError``."""


def slice_tlv(data: bytes, pos: int) -> tuple[int, int]:
    """Start and end of the contents at ``pos``, in data that a strict parser has already accepted."""
    length = data[pos + 1]
    if length < 0x80:
        return pos + 2, pos + 2 + length
    if length == 0x81:
        return pos + 3, pos + 3 + data[pos + 2]
    if length == 0x82:
        start = pos + 4
        return start, start + (data[pos + 2] << 8 | data[pos + 3])
    start = pos + 2 + (length & 0x7F)
    return start, start + int.from_bytes(data[pos + 2 : start], "big")


class Reader:
    """Reads one run of TLVs from left to right; every method refuses what is not DER."""

    __slots__ = ("data", "end", "pos")

    def __init__(self, data: bytes, pos: int = 0, end: int | None = None) -> None:
        self.data = data
        self.pos = pos
        self.end = len(data) if end is None else end

    def __bool__(self) -> bool:
        return self.pos < self.end

    def peek(self) -> int:
        """The next tag, or -1 at the end."""
        return self.data[self.pos] if self.pos < self.end else -1

    def _header(self) -> tuple[int, int, int]:
        data, pos, end = self.data, self.pos, self.end
        if pos + 2 > end:
            raise DerError("truncated")
        tag = data[pos]
        if tag & 0x1F == 0x1F:
            raise DerError("high tag number")
        length = data[pos + 1]
        start = pos + 2
        if length >= 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= 4 or start + octets > end:
                raise DerError("length form")
            length = int.from_bytes(data[start : start + octets], "big")
            if length < 0x80 or length >> (8 * (octets - 1)) == 0:
                raise DerError("length is not minimal")
            start += octets
        if start + length > end:
            raise DerError("truncated")
        return tag, start, start + length

    def any(self) -> tuple[int, bytes]:
        """Tag and contents of whatever comes next."""
        tag, start, stop = self._header()
        self.pos = stop
        return tag, self.data[start:stop]

    def raw(self) -> bytes:
        """The next whole TLV, header included."""
        begin = self.pos
        self.pos = self._header()[2]
        return self.data[begin : self.pos]

    def contents(self, tag: int) -> bytes:
        found, start, stop = self._header()
        if found != tag:
            raise DerError(f"tag {found:02x} where {tag:02x} belongs")
        self.pos = stop
        return self.data[start:stop]

    def enter(self, tag: int) -> Reader:
        """A reader over the contents of the next TLV."""
        found, start, stop = self._header()
        if found != tag:
            raise DerError(f"tag {found:02x} where {tag:02x} belongs")
        self.pos = stop
        return Reader(self.data, start, stop)

    def done(self) -> None:
        if self.pos != self.end:
            raise DerError("bytes left over")

    def boolean(self, tag: int = BOOLEAN) -> bool:
        value = self.contents(tag)
        if value not in {b"\x00", b"\xff"}:
            raise DerError("boolean")
        return value == b"\xff"

    def default_false(self, tag: int = BOOLEAN) -> bool:
        """A ``BOOLEAN DEFAULT FALSE``; DER forbids writing the default down."""
        if self.peek() != tag:
            return False
        if not self.boolean(tag):
            raise DerError("default value is encoded")
        return True

    def integer(self, tag: int = INTEGER) -> int:
        value = self.contents(tag)
        if not value or (len(value) > 1 and value[0] in {0x00, 0xFF} and (value[0] ^ value[1]) < 0x80):
            raise DerError("integer is not minimal")
        return int.from_bytes(value, "big", signed=True)

    def oid(self, tag: int = OID) -> str:
        return decode_oid(self.contents(tag))

    def named_bits(self, tag: int = BIT_STRING) -> frozenset[int]:
        """A BIT STRING with named bits: the numbers of the bits that are set; trailing zeros are not DER."""
        value = self.contents(tag)
        if not value or value[0] > 7 or (len(value) == 1 and value[0]):
            raise DerError("bit string")
        unused, octets = value[0], value[1:]
        if octets and not octets[-1] >> unused & 1:
            raise DerError("trailing zero bits")
        if octets and octets[-1] & ((1 << unused) - 1):
            raise DerError("unused bits are set")
        return frozenset(
            8 * i + bit for i, octet in enumerate(octets) for bit in range(8) if octet & 0x80 >> bit
        )


@lru_cache(maxsize=1024)
def decode_oid(contents: bytes) -> str:
    """Dotted form of an object identifier's contents."""
    if not contents or contents[-1] & 0x80 or len(contents) > 64:
        raise DerError("object identifier")
    arcs: list[int] = []
    value, fresh = 0, True
    for octet in contents:
        if fresh and octet == 0x80:
            raise DerError("object identifier is not minimal")
        value = value << 7 | octet & 0x7F
        fresh = not octet & 0x80
        if fresh:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))
