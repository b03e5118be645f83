"""Comparison of distinguished names: RFC 5280, section 7.1, with string preparation of RFC 4518.

Strings of different types are equal when their prepared text is: upper or lower case, runs of blanks and the
string type do not matter. What is not a string, or cannot be decoded, is compared by its bytes. The canonical
form is cached by the DER of the name, because the few issuers of a system recur in every certificate.
"""

from __future__ import annotations

import re
import unicodedata

from onecert.verifier.der import OID, SEQUENCE, SET, DerError, Reader, decode_oid, slice_tlv
from onecert.verifier.remembered import remembered

__all__ = [
    "CanonicalName",
    "attribute_values",
    "canonical_name",
    "check_name",
    "display_name",
    "email_addresses",
    "is_within",
    "names_match",
]

# One tuple per RDN, sorted (type, prepared value) pairs inside.
CanonicalName = tuple[tuple[tuple[str, str], ...], ...]

_CODECS = {
    0x0C: "utf-8",
    0x12: "latin-1",  # NumericString
    0x13: "latin-1",  # PrintableString; CAs of the field put "@" and "*" in it
    0x14: "latin-1",  # TeletexString, as everybody reads it
    0x16: "latin-1",  # IA5String
    0x1A: "latin-1",  # VisibleString
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
_SHORT_NAMES = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}
_EMAIL_ADDRESS = "1.2.840.113549.1.9.1"
# RFC 4518, section 2.2: mapped to nothing.
_TO_NOTHING = {0x00AD, 0x1806, 0x034F, 0xFFFC, 0x200B, 0x180B, 0x180C, 0x180D, *range(0xFE00, 0xFE10)}
# Control characters, marks of direction and line ends: shown as they are they would write on a terminal.
_INVISIBLE = {"Cc", "Cf", "Zl", "Zp"}
_PLAIN = re.compile("[ -~\u4e00-\u9fff]*")
_TO_SPACE = {0x0009, 0x000A, 0x000B, 0x000C, 0x000D, 0x0085}


@remembered(most=4096)
def canonical_name(name_der: bytes) -> CanonicalName:
    """The form in which two names are equal exactly when RFC 5280, section 7.1, says so.

    Raises:
        DerError: the bytes are not a Name. Names of parsed certificates never raise.
    """
    return tuple(
        tuple(sorted((oid, _canonical_value(tag, value)) for oid, tag, value in rdn))
        for rdn in _attributes(name_der)
    )


def check_name(name_der: bytes) -> None:
    """Refuse what ``canonical_name`` refuses, in less time, for bytes that a strict parser has accepted.

    That parser lets two things pass: an RDN without attributes, and values with high tag numbers.

    Raises:
        DerError: there is such an RDN.
    """
    pos, end = slice_tlv(name_der, 0)
    while pos < end:
        length = name_der[pos + 1]
        if not 2 < length < 0x80 or name_der[pos + 3] != length - 2:
            canonical_name(name_der)  # a long value, or several attributes in one RDN
            return
        if name_der[pos + 6 + name_der[pos + 5]] & 0x1F == 0x1F:
            raise DerError("high tag number")
        pos += 2 + length


def names_match(one_der: bytes, other_der: bytes) -> bool:
    """Tell whether two DER names are the same name."""
    return one_der == other_der or canonical_name(one_der) == canonical_name(other_der)


def is_within(name: CanonicalName, base: CanonicalName) -> bool:
    """Tell whether ``name`` lies in the subtree of ``base`` (RFC 5280, section 7.1, last paragraph)."""
    return name[: len(base)] == base


def email_addresses(name_der: bytes) -> list[str]:
    """Values of emailAddress attributes, to which e-mail constraints also apply."""
    return [
        text
        for rdn in _attributes(name_der)
        for oid, tag, value in rdn
        if oid == _EMAIL_ADDRESS and (text := _decode(tag, value)) is not None
    ]


def attribute_values(name_der: bytes, oid: str) -> list[tuple[int, bytes]]:
    """Tag and contents of every value of one attribute, in the order of the name.

    For names of parsed certificates, which ``check_name`` has let pass: the same walk.
    """
    found = []
    pos, end = slice_tlv(name_der, 0)
    while pos < end:
        length = name_der[pos + 1]
        if not 2 < length < 0x80 or name_der[pos + 3] != length - 2:
            # A long value, or several attributes in one RDN.
            return [(tag, value) for rdn in _attributes(name_der) for one, tag, value in rdn if one == oid]
        tag_at = pos + 6 + name_der[pos + 5]
        pos += 2 + length
        if decode_oid(name_der[pos + 4 - length : tag_at]) == oid:
            found.append((name_der[tag_at], name_der[tag_at + 2 : pos]))
    return found


def display_name(name_der: bytes) -> str:
    """A name for people, in the order of RFC 4514 (most specific first). Never raises, whatever the bytes."""
    try:
        rdns = _attributes(name_der)
    except DerError:
        return "(unreadable name)"
    parts = []
    for rdn in reversed(rdns):
        pairs = []
        for oid, tag, value in rdn:
            text = _decode(tag, value)
            shown = "#" + value.hex() if text is None else _escape(text)
            pairs.append(f"{_SHORT_NAMES.get(oid, oid)}={shown}")
        parts.append("+".join(pairs))
    return ",".join(parts)


def _attributes(name_der: bytes) -> list[list[tuple[str, int, bytes]]]:
    outer = Reader(name_der)
    rdns = outer.enter(SEQUENCE)
    outer.done()
    found = []
    while rdns:
        rdn_reader = rdns.enter(SET)
        rdn = []
        while rdn_reader:
            pair = rdn_reader.enter(SEQUENCE)
            oid = decode_oid(pair.contents(OID))
            tag, value = pair.any()
            pair.done()
            rdn.append((oid, tag, value))
        if not rdn:
            raise DerError("empty RDN")
        found.append(rdn)
    return found


def _decode(tag: int, value: bytes) -> str | None:
    codec = _CODECS.get(tag)
    if codec is None:
        return None
    try:
        return value.decode(codec)
    except UnicodeDecodeError:
        return None


def _canonical_value(tag: int, value: bytes) -> str:
    text = _decode(tag, value)
    prepared = None if text is None else _prepare(text)
    return f"x{tag:02x}{value.hex()}" if prepared is None else "s" + prepared


def _prepare(text: str) -> str | None:
    """RFC 4518: map, normalise, prohibit, squeeze blanks. ``None`` when a character is prohibited."""
    # Steps of RFC 4518 change nothing in Chinese characters either: letters without case, decomposition or
    # composition (tested for every one of them).
    if _PLAIN.fullmatch(text) is not None:
        return " ".join(part for part in text.lower().split(" ") if part)
    mapped = []
    for character in text:
        code = ord(character)
        category = unicodedata.category(character)
        if code in _TO_SPACE or category in {"Zs", "Zl", "Zp"}:
            mapped.append(" ")
        elif code in _TO_NOTHING or category in {"Cc", "Cf"}:
            continue
        else:
            mapped.append(character)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", "".join(mapped)).casefold())
    if any(unicodedata.category(c) in {"Cn", "Co", "Cs"} or c == "\ufffd" for c in folded):
        return None
    return " ".join(part for part in folded.split(" ") if part)


def _escape(text: str) -> str:
    return "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    if character in ',+"\\<>;=':
        return "\\" + character
    if unicodedata.category(character) in _INVISIBLE:
        # RFC 4514, section 2.4, allows this for any character.
        return "".join(f"\\{octet:02x}" for octet in character.encode())
    return character
