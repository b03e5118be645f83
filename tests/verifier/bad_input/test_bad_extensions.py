"""Identity extensions in every wrong encoding: each form of the field, broken in each way.

All end in ENCODING_NOT_ALLOWED: to the holder they are one fault, that of the CA, and the first octets stand
in the text for the CA. A number that is read and is then wrong has a code of its own (test_bad_numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from onecert.verifier.identity.decode import MAX_OCTETS, Form, decode

FIRM = b"91440300MA5DEM004J"
TAGGED = [form for form in Form if form not in {Form.UTF16LE, Form.RAW}]


def tlv(tag: int, content: bytes) -> bytes:
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    return bytes([tag, 0x82]) + len(content).to_bytes(2, "big") + content


GOOD: dict[Form, bytes] = {
    Form.UTF8: tlv(0x0C, FIRM),
    Form.PRINTABLE: tlv(0x13, FIRM),
    Form.IA5: tlv(0x16, FIRM),
    Form.BMP: tlv(0x1E, FIRM.decode().encode("utf-16-be")),
    Form.CHOICE_IMPLICIT: tlv(0x80, FIRM),
    Form.CHOICE_EXPLICIT: tlv(0xA0, tlv(0x13, FIRM)),
    Form.WRAPPED_CHOICE: tlv(0x31, tlv(0xA0, tlv(0x13, FIRM))),
    Form.UTF16LE: FIRM.decode().encode("utf-16-le"),
    Form.RAW: FIRM,
}


def content(value: bytes) -> bytes:
    return value[2:]


FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "wrong tag": lambda value: bytes([0x04]) + value[1:],
    "tag of two octets": lambda value: bytes([0x1F, 0x0C]) + value[1:],
    "length one too short": lambda value: value[:1] + bytes([value[1] - 1]) + content(value),
    "length one too long": lambda value: value[:1] + bytes([value[1] + 1]) + content(value),
    "length not the shortest": lambda value: value[:1] + bytes([0x81, value[1]]) + content(value),
    "length of three octets": lambda value: value[:1] + bytes([0x83, 0, 0, value[1]]) + content(value),
    "indefinite length": lambda value: value[:1] + b"\x80" + content(value) + b"\x00\x00",
    "reserved length": lambda value: value[:1] + b"\xff" + content(value),
    "trailing zero": lambda value: value + b"\x00",
    "trailing blank": lambda value: value + b" ",
    "twice": lambda value: value * 2,
    "nested twice": lambda value: tlv(0x31, tlv(0x31, value)),
    "inside an OCTET STRING": lambda value: tlv(0x04, value),
    "truncated": lambda value: value[:-1],
    "tag only": lambda value: value[:1],
    "too long": lambda value: tlv(value[0], b"A" * MAX_OCTETS),
}
CHARSET: dict[Form, list[bytes]] = {
    Form.UTF8: [b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", "示例".encode("gb18030")],
    Form.PRINTABLE: [b"1@0006", b"A_B", "示例".encode(), b"A\x00", b"A*B"],
    Form.IA5: [b"\x80", "示例".encode()],
    Form.BMP: [b"\x00", b"\xd8\x3d\xde\x00", b"\xdc\x00"],
    Form.CHOICE_IMPLICIT: [b"1@0006", "示例".encode()],
}


def broken() -> Iterator[tuple[str, Form, bytes]]:
    for form in TAGGED:
        for name, fault in FAULTS.items():
            yield f"{form.value}: {name}", form, fault(GOOD[form])
        for number, octets in enumerate(CHARSET.get(form, ())):
            yield f"{form.value}: charset {number}", form, tlv(GOOD[form][0], octets)
    for any_form in Form:
        yield f"{any_form.value}: empty", any_form, b""
        yield f"{any_form.value}: far too long", any_form, GOOD[any_form] * 100
    inner = tlv(0x13, FIRM)
    yield "explicit: no inner value", Form.CHOICE_EXPLICIT, b"\xa0\x00"
    yield "explicit: inner IA5String", Form.CHOICE_EXPLICIT, tlv(0xA0, tlv(0x16, FIRM))
    yield "explicit: two inner values", Form.CHOICE_EXPLICIT, tlv(0xA0, inner * 2)
    yield "explicit: inner trailing data", Form.CHOICE_EXPLICIT, tlv(0xA0, inner + b"\x05\x00")
    yield "explicit: inner indefinite", Form.CHOICE_EXPLICIT, tlv(0xA0, b"\x13\x80" + FIRM + b"\0\0")
    yield "explicit: alternative 3", Form.CHOICE_EXPLICIT, tlv(0xA3, inner)
    yield "explicit: not constructed", Form.CHOICE_EXPLICIT, tlv(0x80, inner)
    yield "implicit: alternative 3", Form.CHOICE_IMPLICIT, tlv(0x83, FIRM)
    yield "implicit: constructed", Form.CHOICE_IMPLICIT, tlv(0xA0, FIRM)
    yield "wrapped: empty SET", Form.WRAPPED_CHOICE, b"\x31\x00"
    yield "wrapped: implicit inside", Form.WRAPPED_CHOICE, tlv(0x31, tlv(0x80, FIRM))
    yield "wrapped: bare inside", Form.WRAPPED_CHOICE, tlv(0x31, inner)
    yield "wrapped: two choices", Form.WRAPPED_CHOICE, tlv(0x31, tlv(0xA0, inner) * 2)
    yield "wrapped: context tag", Form.WRAPPED_CHOICE, tlv(0xA1, tlv(0xA0, inner))
    yield "utf16le: odd", Form.UTF16LE, GOOD[Form.UTF16LE][:-1]
    yield "utf16le: byte order mark", Form.UTF16LE, b"\xff\xfe" + GOOD[Form.UTF16LE]
    yield "utf16le: the other order", Form.UTF16LE, FIRM.decode().encode("utf-16-be")
    yield "utf16le: Chinese", Form.UTF16LE, "示例".encode("utf-16-le")
    yield "utf16le: zero character", Form.UTF16LE, GOOD[Form.UTF16LE] + b"\0\0"
    yield "raw: control character", Form.RAW, FIRM + b"\n"
    yield "raw: zero at the end", Form.RAW, FIRM + b"\0"
    yield "raw: Chinese", Form.RAW, "示例".encode()
    yield "raw: tagged", Form.RAW, GOOD[Form.UTF8]


ROWS = list(broken())


@pytest.mark.parametrize(("form", "value"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_broken_forms(code_of: Callable[..., str], form: Form, value: bytes) -> None:
    """By its own form and, but for raw text that is any text, by all forms together."""
    assert code_of(lambda: decode(value, [form])) == "ENCODING_NOT_ALLOWED"


@pytest.mark.parametrize("form", list(Form))
def test_each_form_is_good_unbroken(form: Form) -> None:
    assert decode(GOOD[form], [form]).text == FIRM.decode()


@pytest.mark.parametrize("form", list(Form))
def test_a_form_that_the_profile_does_not_list_is_refused(code_of: Callable[..., str], form: Form) -> None:
    others = [other for other in Form if other is not form]
    assert code_of(lambda: decode(GOOD[form], others)) == "ENCODING_NOT_ALLOWED"
