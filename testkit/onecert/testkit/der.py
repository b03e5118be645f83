"""A little DER for what no builder makes: SM2 certificates, SHA-1 signatures, altered bytes.

A certificate or a list is first built with a stand-in key; then its algorithm, its public key and its
signature are put in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onecert.verifier.der import SEQUENCE, Reader

__all__ = ["integer", "oid", "replaced", "signed", "tlv"]


def tlv(tag: int, *contents: bytes) -> bytes:
    """One value with a one-octet tag."""
    body = b"".join(contents)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + body


def integer(value: int) -> bytes:
    """An INTEGER, not negative."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER."""
    first, second, *rest = map(int, dotted.split("."))
    body = bytearray()
    for arc in (40 * first + second, *rest):
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(0x80 | arc & 0x7F)
        body += bytes(reversed(digits))
    return tlv(0x06, bytes(body))


def replaced(sequence_der: bytes, parts: Mapping[int, bytes]) -> bytes:
    """The same SEQUENCE with other values at these places, counted from 0."""
    reader = Reader(sequence_der).enter(SEQUENCE)
    values: list[bytes] = []
    while reader:
        value = reader.raw()
        values.append(parts.get(len(values), value))
    return tlv(SEQUENCE, *values)


def signed(tbs_der: bytes, algorithm_der: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """``SEQUENCE { tbs, algorithm, BIT STRING }``, as certificates and CRLs are."""
    return tlv(SEQUENCE, tbs_der, algorithm_der, tlv(0x03, b"\x00", sign(tbs_der)))
