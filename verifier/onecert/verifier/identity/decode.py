"""The text inside an identity extension, in every encoding that licensed CAs use.

The same number appears in the field as a bare string, inside a CHOICE with implicit or explicit tag, inside a
SET or SEQUENCE around that, as BMPString, as UTF-16 without any tag, or as plain characters. A profile lists
the forms that its CA uses; only these are tried, each strictly: definite minimal lengths, nothing after the
value, only the characters of the string type. Byte offsets are never used.

Source: GM/T 0015-2012 (IdentifyCode), X.690; forms as collected from CAs in the field.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from onecert.verifier.identity.errors import DecodeError

# A longer extension is no identity number; this also bounds the work.
MAX_OCTETS = 1024


class Form(StrEnum):
    """One way to encode a number in an extension value."""

    UTF8 = "utf8"
    PRINTABLE = "printable"
    IA5 = "ia5"
    BMP = "bmp"
    CHOICE_IMPLICIT = "choice-implicit"  # [n] IMPLICIT string: 80 12 …
    CHOICE_EXPLICIT = "choice-explicit"  # [n] EXPLICIT string: A0 14 13 12 …
    WRAPPED_CHOICE = "wrapped-choice"  # SET or SEQUENCE { [n] EXPLICIT string }: 31 16 A0 14 13 12 …
    UTF16LE = "utf16le"  # no tag at all
    RAW = "raw"  # no tag at all, ASCII


@dataclass(frozen=True)
class Decoded:
    """The text, the form it was found in, and the alternative of the CHOICE (0 when there is none)."""

    text: str
    form: Form
    alternative: int = 0


_TAG_UTF8, _TAG_PRINTABLE, _TAG_IA5, _TAG_BMP = 0x0C, 0x13, 0x16, 0x1E
_TAG_SEQUENCE, _TAG_SET = 0x30, 0x31
_PRINTABLE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?")
# IdentifyCode ::= CHOICE { [0] PrintableString, [1] UTF8String, [2] PrintableString }
_ALTERNATIVE_TAGS = {0: _TAG_PRINTABLE, 1: _TAG_UTF8, 2: _TAG_PRINTABLE}


def decode(value: bytes, forms: Sequence[Form]) -> Decoded:
    """Decode an extension value (the content of extnValue) in one of the allowed forms.

    No two forms fit the same octets: tagged forms differ in their first octet, and no tag is a printable
    character followed by printable ones. So the order of ``forms`` does not matter.

    Raises:
        DecodeError: ENCODING_NOT_ALLOWED when no form fits.
    """
    if len(value) <= MAX_OCTETS:
        for form in forms:
            decoded = _DECODERS[form](value)
            if decoded is not None:
                return decoded
    raise DecodeError("ENCODING_NOT_ALLOWED", head=value[:4].hex(), allowed=", ".join(forms))


def _read_tlv(data: bytes) -> tuple[int, bytes] | None:
    """Tag and content when ``data`` is exactly one DER value with a one-octet tag, else None."""
    if len(data) < 2:
        return None
    length, start = data[1], 2
    if length == 0x81 and len(data) > 2 and data[2] >= 0x80:
        length, start = data[2], 3
    elif length == 0x82 and len(data) > 3 and data[2] > 0:
        length, start = data[2] << 8 | data[3], 4
    elif length >= 0x80:
        return None
    return (data[0], data[start:]) if len(data) == start + length else None


def _text_of(tag: int, content: bytes) -> str | None:
    try:
        if tag == _TAG_UTF8:
            return content.decode("utf-8")
        if tag == _TAG_PRINTABLE:
            return content.decode("ascii") if _PRINTABLE.issuperset(content) else None
        if tag == _TAG_IA5:
            return content.decode("ascii")
        if tag == _TAG_BMP:
            # BMPString has no surrogates, so every two octets are one character.
            text = content.decode("utf-16-be")
            return text if len(text) * 2 == len(content) else None
    except UnicodeDecodeError:
        return None
    return None


def _bare(wanted: int, form: Form) -> Callable[[bytes], Decoded | None]:
    def decode_bare(value: bytes) -> Decoded | None:
        tlv = _read_tlv(value)
        if tlv is None or tlv[0] != wanted:
            return None
        text = _text_of(*tlv)
        return None if text is None else Decoded(text, form)

    return decode_bare


def _choice_implicit(value: bytes) -> Decoded | None:
    tlv = _read_tlv(value)
    if tlv is None or tlv[0] - 0x80 not in _ALTERNATIVE_TAGS:
        return None
    alternative = tlv[0] - 0x80
    text = _text_of(_ALTERNATIVE_TAGS[alternative], tlv[1])
    return None if text is None else Decoded(text, Form.CHOICE_IMPLICIT, alternative)


def _choice_explicit(value: bytes, form: Form = Form.CHOICE_EXPLICIT) -> Decoded | None:
    tlv = _read_tlv(value)
    if tlv is None or tlv[0] - 0xA0 not in _ALTERNATIVE_TAGS:
        return None
    inner = _read_tlv(tlv[1])
    # CAs write UTF8String where the standard says PrintableString, and nothing else.
    if inner is None or inner[0] not in {_TAG_PRINTABLE, _TAG_UTF8}:
        return None
    text = _text_of(*inner)
    return None if text is None else Decoded(text, form, tlv[0] - 0xA0)


def _wrapped_choice(value: bytes) -> Decoded | None:
    tlv = _read_tlv(value)
    if tlv is None or tlv[0] not in {_TAG_SEQUENCE, _TAG_SET}:
        return None
    return _choice_explicit(tlv[1], Form.WRAPPED_CHOICE)


def _utf16le(value: bytes) -> Decoded | None:
    # Only ASCII characters: every second octet is zero. Anything wider would fit random bytes too.
    if not value or len(value) % 2 or any(value[1::2]) or not _is_ascii_text(value[::2]):
        return None
    return Decoded(value[::2].decode("ascii"), Form.UTF16LE)


def _raw(value: bytes) -> Decoded | None:
    return Decoded(value.decode("ascii"), Form.RAW) if value and _is_ascii_text(value) else None


def _is_ascii_text(value: bytes) -> bool:
    return all(0x20 <= octet < 0x7F for octet in value)


_DECODERS: dict[Form, Callable[[bytes], Decoded | None]] = {
    Form.UTF8: _bare(_TAG_UTF8, Form.UTF8),
    Form.PRINTABLE: _bare(_TAG_PRINTABLE, Form.PRINTABLE),
    Form.IA5: _bare(_TAG_IA5, Form.IA5),
    Form.BMP: _bare(_TAG_BMP, Form.BMP),
    Form.CHOICE_IMPLICIT: _choice_implicit,
    Form.CHOICE_EXPLICIT: _choice_explicit,
    Form.WRAPPED_CHOICE: _wrapped_choice,
    Form.UTF16LE: _utf16le,
    Form.RAW: _raw,
}
