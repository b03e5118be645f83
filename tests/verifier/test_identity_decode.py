"""Every encoding of an identity number that licensed CAs use, and what is not one of them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecert.verifier.identity.decode import Decoded, Form, decode
from onecert.verifier.identity.errors import DecodeError
from onecert.verifier.identity.grammar import Uid, parse_short, parse_uid

PERSON = b"440300190001010015"
FIRM = "91440300MA5DEM004J"
ALL = tuple(Form)


def tlv(tag: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


@pytest.mark.parametrize(
    ("form", "value", "text", "alternative"),
    [
        (Form.CHOICE_IMPLICIT, tlv(0x80, PERSON), PERSON.decode(), 0),
        (Form.CHOICE_IMPLICIT, tlv(0x81, "军字第1号".encode()), "军字第1号", 1),
        (Form.CHOICE_IMPLICIT, tlv(0x82, b"E12345678"), "E12345678", 2),
        (Form.CHOICE_EXPLICIT, tlv(0xA0, tlv(0x13, PERSON)), PERSON.decode(), 0),
        (Form.CHOICE_EXPLICIT, tlv(0xA2, tlv(0x13, b"E12345678")), "E12345678", 2),
        (Form.WRAPPED_CHOICE, tlv(0x31, tlv(0xA0, tlv(0x13, PERSON))), PERSON.decode(), 0),
        (Form.WRAPPED_CHOICE, tlv(0x30, tlv(0xA0, tlv(0x13, PERSON))), PERSON.decode(), 0),
        (Form.PRINTABLE, tlv(0x13, FIRM.encode()), FIRM, 0),
        (Form.UTF8, tlv(0x0C, FIRM.encode()), FIRM, 0),
        (Form.UTF8, bytes.fromhex("0c0a4d413544454d30302d34"), "MA5DEM00-4", 0),
        (Form.IA5, tlv(0x16, FIRM.encode()), FIRM, 0),
        (Form.BMP, tlv(0x1E, FIRM.encode("utf-16-be")), FIRM, 0),
        (Form.UTF16LE, FIRM.encode("utf-16-le"), FIRM, 0),
        (Form.RAW, FIRM.encode(), FIRM, 0),
    ],
)
def test_each_form_is_read_by_its_own_name_and_among_all(
    form: Form, value: bytes, text: str, alternative: int
) -> None:
    assert decode(value, [form]) == Decoded(text, form, alternative)
    assert decode(value, ALL).text == text
    with pytest.raises(DecodeError) as caught:
        decode(value, [other for other in ALL if other is not form])
    assert caught.value.code == "ENCODING_NOT_ALLOWED"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x0c",
        tlv(0x0C, b"A") + b"\x00",  # something after the value
        b"\x0c\x80A\x00\x00",  # indefinite length
        b"\x0c\x81\x01A",  # length not in its shortest form
        b"\x0c\x82\x00\x01A",
        tlv(0x0C, b"\xff\xfe"),  # not UTF-8
        tlv(0x13, b"10001@0006"),  # @ is not a PrintableString character
        tlv(0x1E, b"\x00"),  # half a character
        tlv(0x1E, b"\xd8\x3d\xde\x00"),  # surrogates
        tlv(0x83, PERSON),  # no such alternative
        tlv(0xA0, tlv(0x16, PERSON)),
        tlv(0xA0, tlv(0x13, PERSON) * 2),
        tlv(0x31, tlv(0xA0, tlv(0x13, PERSON)) * 2),
        tlv(0x0C, b"A") * 600,
    ],
)
def test_everything_else_is_refused(value: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(value, [form for form in ALL if form is not Form.RAW])


def test_long_values_up_to_the_bound() -> None:
    assert decode(b"\x0c\x81\xc8" + b"A" * 200, [Form.UTF8]).text == "A" * 200
    assert decode(b"\x0c\x82\x01\x2c" + b"A" * 300, [Form.UTF8]).text == "A" * 300
    with pytest.raises(DecodeError):
        decode(b"\x0c\x82\x04\x00" + b"A" * 1024, [Form.UTF8])


def fits(value: bytes, form: Form) -> bool:
    try:
        decode(value, [form])
    except DecodeError:
        return False
    return True


@given(
    st.binary(max_size=64) | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)).map(str.encode)
)
def test_any_octets_fit_one_form_at_most(value: bytes) -> None:
    """The order of the forms in a profile cannot change what is read."""
    assert sum(fits(value, form) for form in ALL) <= 1


def test_uid_of_four_cas() -> None:
    encoded = base64.b64encode(FIRM.encode()).decode()
    assert parse_uid(f"10001@0006ZZ1{encoded}") == Uid("ZZ", FIRM, 10001, "0006")
    assert parse_uid(f"00011@0006PO1{encoded}") == Uid("PO", FIRM, 11, "0006")
    assert parse_uid("1@5009JJ0MA5DEM004") == Uid("JJ", "MA5DEM004", 1, "5009")
    assert parse_uid("2@7025SF0440300190001010015").key_number == 2
    assert parse_short("JJMA5DEM004") == Uid("JJ", "MA5DEM004")
    assert parse_short("SF440300190001010015").type_code == "SF"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@0006ZZ0X",
        "0@0006ZZ0X",
        "-1@0006ZZ0X",
        "12345678901@0006ZZ0X",
        "1@006ZZ0X",
        "1@00065ZZ0X",
        "1@0006zz0X",
        "1@0006ZZ2X",
        "1@0006ZZ0",
        "1@0006ZZ1!!!!",
        "1@0006ZZ1QQ",  # no padding
        "1@0006ZZ1QR==",  # spare bits set: a second spelling of A
        "1@0006ZZ1//8=",  # not UTF-8
        "1@0006ZZ1AAA=",  # control characters
        "1@0006ZZ0" + "A" * 129,
        "1@0006ZZ0X\n",
        "１@0006ZZ0X",
    ],
)
def test_what_does_not_match_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_uid(text)
    assert caught.value.code == "UID_GRAMMAR"


@pytest.mark.parametrize("text", ["", "SF", "sf440300190001010015", "SF1234", "SF440300190001010015 "])
def test_wrong_short_forms_are_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_short(text)
