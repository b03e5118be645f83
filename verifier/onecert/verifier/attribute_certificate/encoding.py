"""What ``cryptography.hazmat.asn1`` and our reader leave out: a writer, and a check of all levels of a value.

X.690, sections 8, 10 and 11. ``hazmat.asn1`` reads one level of an ANY field and has no ENUMERATED, no
optional ANY and no IMPLICIT on ANY. Values that nobody takes apart must still be DER through and through.
"""

from onecert.verifier.der import (
    BIT_STRING,
    BOOLEAN,
    INTEGER,
    NULL,
    OID,
    SEQUENCE,
    SET,
    DerError,
    Reader,
    decode_oid,
)
from onecert.verifier.remembered import remembered

MAX_DEPTH = 24

CONSTRUCTED = 0x20
CONTEXT = 0x80
ENUMERATED = 0x0A
_CLASS_BITS = 0xC0
# OCTET STRING, UTF8String and their like, and the two times: in DER never in pieces.
_STRINGS = frozenset({0x03, 0x04, 0x0C, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1A, 0x1C, 0x1E})


def tlv(tag: int, *contents: bytes) -> bytes:
    """Write one value: identifier octet, shortest length, contents joined."""
    body = b"".join(contents)
    length = len(body)
    if length < 0x80:
        return bytes((tag, length)) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + body


def read_single(data: bytes, tag: int) -> bytes:
    """Return the contents of the one value that fills ``data`` and has this identifier octet."""
    reader = Reader(data)
    contents = reader.contents(tag)
    reader.done()
    return contents


@remembered(most=4096)
def check_der(data: bytes) -> None:
    """Check every level of exactly one value. Cached, because few values fill many certificates.

    Raises:
        DerError: not DER, nested more than 24 deep, or bytes follow.
    """
    reader = Reader(data)
    tag, contents = reader.any()
    reader.done()
    _check_value(tag, contents, MAX_DEPTH)


def _check_value(tag: int, contents: bytes, depth: int) -> None:
    if depth == 0:
        raise DerError("nested too deeply")
    if not tag & _CLASS_BITS:
        _check_universal(tag, contents)
    if tag & CONSTRUCTED:
        reader = Reader(contents)
        while reader:
            _check_value(*reader.any(), depth - 1)


def _check_universal(tag: int, contents: bytes) -> None:
    if tag & CONSTRUCTED and tag & 0x1F in _STRINGS:
        raise DerError("a string in pieces")
    if tag in {SEQUENCE & 0x1F, SET & 0x1F}:
        raise DerError("a SEQUENCE or SET that is not constructed")
    if tag == BOOLEAN and contents not in {b"\x00", b"\xff"}:
        raise DerError("boolean")
    if tag in {INTEGER, ENUMERATED}:
        Reader(tlv(INTEGER, contents)).integer()
    elif tag == BIT_STRING:
        _check_bit_string(contents)
    elif tag == NULL and contents:
        raise DerError("null with contents")
    elif tag == OID:
        decode_oid(contents)
    elif tag == SET:
        _check_order(contents)


def _check_bit_string(contents: bytes) -> None:
    if not contents or contents[0] > 7 or (len(contents) == 1 and contents[0]):
        raise DerError("bit string")
    # X.690, section 11.2.1: unused bits are zero.
    if len(contents) > 1 and contents[-1] & ((1 << contents[0]) - 1):
        raise DerError("unused bits are set")


def _check_order(contents: bytes) -> None:
    # X.690, section 11.6: the values of a SET OF ascend. (A SET ascends by tag, which is the first octet.)
    reader, last = Reader(contents), b""
    while reader:
        value = reader.raw()
        if value < last:
            raise DerError("a set that is not in order")
        last = value
