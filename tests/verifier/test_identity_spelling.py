"""What is written as it should be is judged in short ways, which say what the long ways say."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from onecert.verifier.der import DerError, Reader
from onecert.verifier.identity import check_digits as cd
from onecert.verifier.identity.decode import Decoded, Form, decode
from onecert.verifier.identity.errors import DecodeError, IdentityError

MANY = settings(max_examples=400, deadline=None, derandomize=True)
USCC, ORG = "0123456789ABCDEFGHJKLMNPQRTUWXY", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ORG_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
PERSON_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECKS: list[Callable[..., str]] = [
    cd.check_uscc,
    cd.check_organisation_code,
    cd.check_idcard,
    cd.check_registration_number,
    cd.check_tax_number,
    cd.check_passport,
    cd.check_officer,
]
RIGHT = (
    "91440300MA5DEM004J",
    "MA5DEM004",
    "440300190001010015",
    "440301103097413",
    "440300MA5DEM004",
    "E12345",
)


def digits(alphabet: str, length: int) -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(alphabet), min_size=length, max_size=length)


@MANY
@given(digits(USCC, 17))
def test_credit_code_by_the_formula_of_the_standard(first17: str) -> None:
    """GB 32100-2015, 4.6: C18 = 31 - MOD(sum of Ci x 3^(i-1), 31)."""
    total = sum(USCC.index(character) * 3**place for place, character in enumerate(first17))
    assert cd.uscc_check_digit(first17) == USCC[(31 - total % 31) % 31]


@MANY
@given(digits(ORG, 8))
def test_organisation_code_by_the_formula_of_the_standard(first8: str) -> None:
    """GB 11714-1997, 3.2: C9 = 11 - MOD(sum of Ci x Wi, 11), where 10 is X and 11 is 0."""
    total = sum(ORG.index(character) * weight for character, weight in zip(first8, ORG_WEIGHTS, strict=True))
    assert cd.organisation_code_check_digit(first8) == "0123456789X0"[11 - total % 11]


@MANY
@given(digits("0123456789", 17))
def test_citizen_number_by_the_formula_of_the_standard(first17: str) -> None:
    """GB 11643-1999, 4: the weights as they are printed there."""
    total = sum(int(digit) * weight for digit, weight in zip(first17, PERSON_WEIGHTS, strict=True))
    assert cd.idcard_check_digit(first17) == "10X98765432"[total % 11]


@MANY
@given(digits("0123456789", 14))
def test_registration_number_by_the_formula_of_the_standard(first14: str) -> None:
    """ISO 7064, MOD 11,10: the number with its check digit leaves 1."""
    product = 10
    for digit in first14:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    assert (product + int(cd.registration_number_check_digit(first14))) % 10 == 1


def outcome(check: Callable[..., str], text: str) -> tuple[object, ...]:
    """The spelling or the fault with its facts, and the notes; what was trimmed set aside."""
    notes: list[str] = []
    try:
        found: object = check(text, notes=notes, warn=True)
    except IdentityError as exc:
        found = (exc.code, sorted(exc.facts.items()))
    return found, [note for note in notes if note != "BLANKS_TRIMMED"]


@MANY
@given(
    st.sampled_from(CHECKS),
    st.text(max_size=30)
    | st.text("0123456789ABXYZaz-_ \u3000\uff10\u0660", max_size=20)
    | st.one_of(*(digits(ORG, length) for length in (9, 15, 18)))
    | st.tuples(st.sampled_from(RIGHT), st.integers(0, 17), st.sampled_from("019AXZ_ l\u0661\uff11")).map(
        lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] + 1 :]
    )
    | st.sampled_from(RIGHT),
)
def test_blanks_at_the_ends_change_nothing(check: Callable[..., str], text: str) -> None:
    """With a blank no number is written as it should be, so that each goes the long way."""
    assert outcome(check, text) == outcome(check, f"\u3000{text} ")


def tlv(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


def by_the_book(value: bytes) -> tuple[int, int, bytes] | None:
    """Alternative, string type and content of ``[n] EXPLICIT string``, by the reader of the library."""
    try:
        outer = Reader(value)
        tag, content = outer.any()
        outer.done()
        inner = Reader(content)
        kind, text = inner.any()
        inner.done()
    except DerError:
        return None
    return (tag - 0xA0, kind, text) if tag in {0xA0, 0xA1, 0xA2} and kind in {0x0C, 0x13} else None


@MANY
@given(st.data())
def test_a_choice_is_read_as_der_says(data: st.DataObject) -> None:
    """[n] EXPLICIT string with an octet changed, or some cut off, or long: by us and by a DER reader."""
    text = data.draw(st.binary(max_size=12) | digits(ORG, 18).map(str.encode) | st.just(b"7" * 125))
    value = tlv(
        data.draw(st.sampled_from([0xA0, 0xA1, 0xA2, 0xA3, 0x80])), tlv(data.draw(tags()), text[:120])
    )
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(value) - 1))
        value = value[:place] + bytes([data.draw(st.integers(0, 255))]) + value[place + 1 :]
    value = value[: data.draw(st.sampled_from([len(value), len(value) - 1, 3, 1]))]
    expected = by_the_book(value)
    try:
        found: Decoded | None = decode(value, [Form.CHOICE_EXPLICIT])
    except DecodeError:
        found = None
    if found is not None:
        assert expected is not None
        assert (found.alternative, found.text.encode()) == (expected[0], expected[2])
    assert (found is not None) == (expected is not None and is_text(*expected[1:]))


def tags() -> st.SearchStrategy[int]:
    return st.sampled_from([0x0C, 0x13, 0x16])


def is_text(tag: int, octets: bytes) -> bool:
    if tag == 0x13:
        return re.fullmatch(rb"[A-Za-z0-9 '()+,./:=?-]*", octets) is not None
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
