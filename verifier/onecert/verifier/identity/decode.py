"""The text inside an identity extension, in every encoding that licensed CAs use.

The same number appears in the field as a bare string, inside a CHOICE with implicit or explicit tag, inside a
SET or SEQUENCE around that, as BMPString, as UTF-16 without any tag, or as plain characters. A profile lists
the forms that its CA uses; only these are tried, each strictly: definite minimal lengths, nothing after the
value, only the characters of the string type. Byte offsets are never used.

Source: GM/T 0015-2012 (IdentifyCode), X.690; forms as collected from CAs in the field.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

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


class Decoded(NamedTuple):
    """The text, the form it was found in, and the alternative of the CHOICE (0 when there is none)."""

    text: str
    form: Form
    alternative: int = 0


# The same, before it has names.
_Found = tuple[str, Form, int]
_Decode = Callable[[bytes], _Found | None]

_TAG_UTF8, _TAG_PRINTABLE, _TAG_IA5, _TAG_BMP = 0x0C, 0x13, 0x16, 0x1E
_TAG_SEQUENCE, _TAG_SET = 0x30, 0x31
_ASCII = bytes(range(0x20, 0x7F))
_PRINTABLE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?"
# IdentifyCode ::= CHOICE { [0] PrintableString, [1] UTF8String, [2] PrintableString }
_ALTERNATIVE_TAGS = {0: _TAG_PRINTABLE, 1: _TAG_UTF8, 2: _TAG_PRINTABLE}


def decode(value: bytes, forms: Sequence[Form]) -> Decoded:
    """Decode an extension value (the content of extnValue) in one of the allowed forms.

    No two forms fit the same octets: tagged forms differ in their first octet, and no tag is a printable
    character followed by printable ones. So the order of ``forms`` does not matter.

    Raises:
        DecodeError: ENCODING_NOT_ALLOWED when no form fits.
    """
    return Decoded(*decoder_of(tuple(forms))(value))


@lru_cache(maxsize=1024)
def decoder_of(forms: tuple[Form, ...]) -> Callable[[bytes], tuple[str, Form, int]]:
    """``decode`` for these forms: text, form, alternative. Only what may begin so is tried."""
    by_head: dict[int, list[_Decode]] = {}
    for form in forms:
        for head in _HEADS[form]:
            by_head.setdefault(head, []).append(_DECODERS[form])

    def decode_one(value: bytes) -> _Found:
        if 0 < len(value) <= MAX_OCTETS:
            for read in by_head.get(value[0], ()):
                decoded = read(value)
                if decoded is not None:
                    return decoded
        raise _not_allowed(value, forms)

    return decode_one


def _not_allowed(value: bytes, forms: Sequence[Form]) -> DecodeError:
    return DecodeError("ENCODING_NOT_ALLOWED", head=value[:4].hex(), allowed=", ".join(forms))


def _read_tlv(data: bytes) -> tuple[int, bytes] | None:
    """Tag and content when ``data`` is exactly one DER value with a one-octet tag, else None."""
    if len(data) < 2:
        return None
    length, start = data[1], 2
    if length < 0x80:
        return (data[0], data[2:]) if len(data) == 2 + length else None
    if length == 0x81 and len(data) > 2 and data[2] >= 0x80:
        length, start = data[2], 3
    elif length == 0x82 and len(data) > 3 and data[2] > 0:
        length, start = data[2] << 8 | data[3], 4
    else:
        return None
    return (data[0], data[start:]) if len(data) == start + length else None


def _text_of(tag: int, content: bytes) -> str | None:
    try:
        if tag == _TAG_UTF8:
            return content.decode("utf-8")
        if tag == _TAG_PRINTABLE:
            return None if content.translate(None, _PRINTABLE) else content.decode("ascii")
        if tag == _TAG_IA5:
            return content.decode("ascii")
        if tag == _TAG_BMP:
            # BMPString has no surrogates, so every two octets are one character.
            text = content.decode("utf-16-be")
            return text if len(text) * 2 == len(content) else None
    except UnicodeDecodeError:
        return None
    return None


def _bare(wanted: int, form: Form) -> _Decode:
    def decode_bare(value: bytes) -> _Found | None:
        tlv = _read_tlv(value)
        if tlv is None or tlv[0] != wanted:
            return None
        text = _text_of(*tlv)
        return None if text is None else (text, form, 0)

    return decode_bare


def _choice_implicit(value: bytes) -> _Found | None:
    tlv = _read_tlv(value)
    if tlv is None or tlv[0] - 0x80 not in _ALTERNATIVE_TAGS:
        return None
    alternative = tlv[0] - 0x80
    text = _text_of(_ALTERNATIVE_TAGS[alternative], tlv[1])
    return None if text is None else (text, Form.CHOICE_IMPLICIT, alternative)


def _choice_explicit(value: bytes, form: Form = Form.CHOICE_EXPLICIT) -> _Found | None:
    size = len(value)
    if 4 <= size < 0x82 and value[1] == size - 2 and value[3] == size - 4:
        alternative, tag, content = value[0] - 0xA0, value[2], value[4:]  # short lengths: nearly every value
    else:
        tlv = _read_tlv(value)
        inner = None if tlv is None else _read_tlv(tlv[1])
        if tlv is None or inner is None:
            return None
        alternative, (tag, content) = tlv[0] - 0xA0, inner
    # CAs write UTF8String where the standard says PrintableString, and nothing else.
    if alternative not in _ALTERNATIVE_TAGS or tag not in {_TAG_PRINTABLE, _TAG_UTF8}:
        return None
    text = _text_of(tag, content)
    return None if text is None else (text, form, alternative)


def _wrapped_choice(value: bytes, form: Form = Form.WRAPPED_CHOICE) -> _Found | None:
    tlv = _read_tlv(value)
    if tlv is None or tlv[0] not in {_TAG_SEQUENCE, _TAG_SET}:
        return None
    return _choice_explicit(tlv[1], form)


def _utf16le(value: bytes) -> _Found | None:
    # Only ASCII characters: every second octet is zero. Anything wider would fit random bytes too.
    if not value or len(value) % 2 or any(value[1::2]) or not _is_ascii_text(value[::2]):
        return None
    return value[::2].decode("ascii"), Form.UTF16LE, 0


def _raw(value: bytes) -> _Found | None:
    return (value.decode("ascii"), Form.RAW, 0) if value and _is_ascii_text(value) else None


def _is_ascii_text(value: bytes) -> bool:
    return not value.translate(None, _ASCII)


_DECODERS: dict[Form, _Decode] = {
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
# The first octets of each form.
_HEADS: dict[Form, Sequence[int]] = {
    Form.UTF8: (_TAG_UTF8,),
    Form.PRINTABLE: (_TAG_PRINTABLE,),
    Form.IA5: (_TAG_IA5,),
    Form.BMP: (_TAG_BMP,),
    Form.CHOICE_IMPLICIT: tuple(0x80 + alternative for alternative in _ALTERNATIVE_TAGS),
    Form.CHOICE_EXPLICIT: tuple(0xA0 + alternative for alternative in _ALTERNATIVE_TAGS),
    Form.WRAPPED_CHOICE: (_TAG_SEQUENCE, _TAG_SET),
    Form.UTF16LE: _ASCII,
    Form.RAW: _ASCII,
}
