"""Write and read the little DER that no library writes for us: TBS certificates, CRL entries, OCSP answers.

Follows ITU-T X.690 (DER). The writer knows the types that X.509 needs; the reader is strict: definite
lengths in their shortest form, low tag numbers, no bytes left over. Everything else is left out on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, ENUMERATED = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A
UTF8_STRING, PRINTABLE_STRING, IA5_STRING = 0x0C, 0x13, 0x16
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31

TRUE = b"\x01\x01\xff"
FALSE = b"\x01\x01\x00"  # where it is not the default
NULL_DER = b"\x05\x00"


class DerError(ValueError):
    """These bytes are not the DER that was expected."""


def tlv(tag: int, content: bytes) -> bytes:
    """Write one element: a one-octet tag, the shortest length, the content."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def head(tag: int, size: int) -> bytes:
    """Write tag and length of an element whose content has so many octets and is put behind it elsewhere."""
    if size < 0x80:
        return bytes((tag, size))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length


def sequence(*parts: bytes) -> bytes:
    return tlv(SEQUENCE, b"".join(parts))


def set_of(*parts: bytes) -> bytes:
    """Write a SET OF; DER sorts its elements by their encodings (X.690, section 11.6)."""
    return tlv(SET, b"".join(sorted(parts)))


def explicit(number: int, *parts: bytes) -> bytes:
    """Wrap in a constructed context tag."""
    return tlv(0xA0 | number, b"".join(parts))


def implicit(number: int, content: bytes) -> bytes:
    """Replace the tag of a primitive value by a context tag; `content` is without its own tag and length."""
    return tlv(0x80 | number, content)


def integer(value: int) -> bytes:
    """Write an INTEGER that is not negative."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octet_string(content: bytes) -> bytes:
    return tlv(OCTET_STRING, content)


def bit_string(content: bytes) -> bytes:
    """Write a BIT STRING of whole octets."""
    return tlv(BIT_STRING, b"\x00" + content)


def named_bits(bits: frozenset[int]) -> bytes:
    """Write a BIT STRING of named bits; DER drops the trailing zero bits (X.690, section 11.2.2)."""
    if not bits:
        return tlv(BIT_STRING, b"\x00")
    count = max(bits) + 1
    size = (count + 7) // 8
    value = sum(1 << (size * 8 - 1 - bit) for bit in bits)
    return tlv(BIT_STRING, bytes((size * 8 - count,)) + value.to_bytes(size, "big"))


@lru_cache(maxsize=512)
def oid(dotted: str) -> bytes:
    """Write an OBJECT IDENTIFIER."""
    arcs = [int(arc) for arc in dotted.split(".")]
    if len(arcs) < 2 or arcs[0] > 2 or (arcs[0] < 2 and arcs[1] > 39):
        raise DerError(f"not an object identifier: {dotted}")
    content = bytearray()
    for arc in [arcs[0] * 40 + arcs[1], *arcs[2:]]:
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        content.extend(reversed(septets))
    return tlv(OID, bytes(content))


def utf8(text: str) -> bytes:
    return tlv(UTF8_STRING, text.encode())


def printable(text: str) -> bytes:
    return tlv(PRINTABLE_STRING, text.encode("ascii"))


def ia5(text: str) -> bytes:
    return tlv(IA5_STRING, text.encode("ascii"))


def _digits(at: datetime) -> str:
    # 2026-11-21T09:00:00+00:00 without its marks: a tenth of the cost of strftime.
    text = at.astimezone(UTC).isoformat(timespec="seconds")
    return text[:4] + text[5:7] + text[8:10] + text[11:13] + text[14:16] + text[17:19] + "Z"


def generalized_time(at: datetime) -> bytes:
    return tlv(GENERALIZED_TIME, _digits(at).encode("ascii"))


def time(at: datetime) -> bytes:
    """Write a `Time`: UTCTime through 2049, GeneralizedTime from then on (RFC 5280, section 4.1.2.5)."""
    digits = _digits(at)
    if digits < "2050":
        return tlv(UTC_TIME, digits[2:].encode("ascii"))
    return tlv(GENERALIZED_TIME, digits.encode("ascii"))


def extension(dotted: str, value_der: bytes, *, critical: bool = False) -> bytes:
    """Write one `Extension`; a false `critical` is the default and left out."""
    return sequence(oid(dotted), TRUE if critical else b"", octet_string(value_der))


Element = tuple[int, bytes, bytes]


def element_at(data: bytes, start: int) -> Element:
    """Read the element that starts there: its tag, its content, and the whole of it with tag and length.

    Raises:
        DerError: not DER, or cut off.
    """
    try:
        tag, length = data[start], data[start + 1]
    except IndexError:
        raise DerError("truncated") from None
    body = start + 2
    if tag & 0x1F == 0x1F:
        raise DerError("high tag number")
    if length & 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4 or body + octets > len(data):
            raise DerError("bad length")
        length = int.from_bytes(data[body : body + octets], "big")
        if length < 0x80 or length >> (8 * (octets - 1)) == 0:
            raise DerError("length not in its shortest form")
        body += octets
    end = body + length
    if end > len(data):
        raise DerError("truncated")
    return tag, data[body:end], data[start:end]


def elements(data: bytes) -> list[Element]:
    """Read all elements of a content from left to right."""
    found, at, size = [], 0, len(data)
    while at < size:
        # Most elements are short; the rest, and whatever is wrong, is for `element_at`.
        if at + 1 < size and data[at + 1] < 0x80 and data[at] & 0x1F != 0x1F:
            end = at + 2 + data[at + 1]
            if end <= size:
                found.append((data[at], data[at + 2 : end], data[at:end]))
                at = end
                continue
        element = element_at(data, at)
        found.append(element)
        at += len(element[2])
    return found


def wholes(data: bytes) -> list[bytes]:
    """Read all elements of a content from left to right, each with its tag and length; quicker than
    `elements`."""
    found, at, size = [], 0, len(data)
    while at < size:
        if at + 1 < size and data[at + 1] < 0x80 and data[at] & 0x1F != 0x1F:
            end = at + 2 + data[at + 1]
            if end <= size:
                found.append(data[at:end])
                at = end
                continue
        _tag, _content, whole = element_at(data, at)
        found.append(whole)
        at += len(whole)
    return found


def content_of(data: bytes, tag: int = SEQUENCE) -> bytes:
    """Read the one element that the data is, which must have this tag, and return its content."""
    found, content, whole = element_at(data, 0)
    if found != tag:
        raise DerError(f"expected tag {tag:#04x}, found {found:#04x}")
    if len(whole) != len(data):
        raise DerError("bytes left over")
    return content


class Reader:
    """Walks the elements of one DER content from left to right.

    Raises `DerError` for anything that is not DER; `end()` refuses bytes that are left over.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def more(self) -> bool:
        return self._at < len(self._data)

    def peek(self) -> int:
        """Tell the next tag, or -1 at the end."""
        return self._data[self._at] if self._at < len(self._data) else -1

    def element(self) -> Element:
        """Take the next element: its tag, its content, and the whole of it with tag and length."""
        element = element_at(self._data, self._at)
        self._at += len(element[2])
        return element

    def take(self, tag: int) -> bytes:
        """Take the content of the next element, which must have this tag."""
        if self.peek() != tag:
            raise DerError(f"expected tag {tag:#04x}, found {self.peek():#04x}")
        return self.element()[1]

    def enter(self, tag: int = SEQUENCE) -> Reader:
        return Reader(self.take(tag))

    def each(self) -> Iterator[Element]:
        while self.more():
            yield self.element()

    def end(self) -> None:
        if self.more():
            raise DerError("bytes left over")

    def take_integer(self) -> int:
        """Take an INTEGER that is not negative and in its shortest form."""
        content = self.take(INTEGER)
        if not content or content[0] & 0x80 or (len(content) > 1 and content[0] == 0 and content[1] < 0x80):
            raise DerError("not a non-negative integer in its shortest form")
        return int.from_bytes(content, "big")
