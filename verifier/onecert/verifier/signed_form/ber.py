"""BER to DER, for what CMS writers stream: indefinite lengths, strings in pieces, lengths with leading zeros.

X.690, section 8. RFC 5652, section 5.1, lets a SignedData be BER; ``openssl cms -stream`` and many signers of
large files write it so. Only lengths and pieces are normalised here; the contents of primitive values stay
as they are and meet the strict reader afterwards, and so does the order of a SET. Size, depth and the number
of values are bounded.
"""

from __future__ import annotations

from onecert.verifier.attribute_certificate.encoding import tlv
from onecert.verifier.der import DerError

__all__ = ["DEPTH_MAX", "VALUES_MAX", "normalise"]

DEPTH_MAX = 48
VALUES_MAX = 50_000
_CONSTRUCTED = 0x20
_END_OF_CONTENTS = b"\x00\x00"
# OCTET STRING and the string types whose pieces are joined; BIT STRING has its own rule and never comes in
# pieces in a CMS message.
_JOINED = frozenset({0x24, 0x2C, 0x32, 0x33, 0x34, 0x36, 0x37, 0x38, 0x3A, 0x3C, 0x3E})


def normalise(data: bytes) -> tuple[bytes, bytes]:
    """The first value in ``data`` with definite, minimal lengths and strings in one piece; what follows it.

    Raises:
        DerError: not BER, deeper than 48, or more than 50,000 values.
    """
    reader = _Reader(data)
    value = reader.value(0, len(data), 0)
    return value, data[reader.pos :]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.pos = 0
        self._left = VALUES_MAX

    def value(self, pos: int, end: int, depth: int) -> bytes:
        """The value at ``pos``, normalised; ``self.pos`` is behind it afterwards."""
        tag, start, stop = self._header(pos, end)
        if not tag & _CONSTRUCTED:
            if stop is None:
                raise DerError("indefinite length of a primitive value")
            self.pos = stop
            return tlv(tag, self._data[start:stop])
        if depth >= DEPTH_MAX:
            raise DerError("nested too deeply")
        parts = self._parts(start, stop, end, depth + 1)
        if tag in _JOINED:
            return self._join(tag, parts)
        return tlv(tag, *parts)

    def _header(self, pos: int, end: int) -> tuple[int, int, int | None]:
        """Tag, start of the contents, and their end; ``None`` for an indefinite length."""
        self._left -= 1
        if self._left < 0:
            raise DerError("too many values")
        data = self._data
        if pos + 2 > end:
            raise DerError("truncated")
        tag, length, start = data[pos], data[pos + 1], pos + 2
        if tag & 0x1F == 0x1F:
            raise DerError("high tag number")
        if length == 0x80:
            return tag, start, None
        if length > 0x80:
            octets = length & 0x7F
            if octets > 8 or start + octets > end:
                raise DerError("length form")
            length = int.from_bytes(data[start : start + octets], "big")
            start += octets
        if start + length > end:
            raise DerError("truncated")
        return tag, start, start + length

    def _parts(self, start: int, stop: int | None, end: int, depth: int) -> list[bytes]:
        parts: list[bytes] = []
        pos = start
        while True:
            if stop is None and self._data[pos : pos + 2] == _END_OF_CONTENTS:
                self.pos = pos + 2
                return parts
            if pos == stop:
                self.pos = pos
                return parts
            parts.append(self.value(pos, end if stop is None else stop, depth))
            pos = self.pos

    def _join(self, tag: int, parts: list[bytes]) -> bytes:
        wanted = tag & ~_CONSTRUCTED
        pieces = []
        for part in parts:
            # X.690, section 8.7.3: the pieces are strings of the same kind; they have been joined already.
            if part[0] != wanted:
                raise DerError("a piece of another kind in a string")
            length = part[1]
            pieces.append(part[2 if length < 0x80 else 2 + (length & 0x7F) :])
        return tlv(wanted, *pieces)
