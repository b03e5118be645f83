"""Check digits of the numbers that name firms and persons. All numbers are synthetic (persons born 1900)."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecert.verifier.errors import VerifyError
from onecert.verifier.identity import check_digits as cd
from onecert.verifier.identity.errors import InvalidIdError

USCC = ["91440300MA5DEM004J", "91440300MA5DEM0A63", "91440300K00000014K"]
PERSON = "440300190001010015"


@pytest.mark.parametrize("value", USCC)
def test_synthetic_credit_codes_are_accepted(value: str) -> None:
    assert cd.check_uscc(value) == value


def test_spelling_is_made_one() -> None:
    """Blanks, lower case and full-width digits are the same code."""
    assert cd.check_uscc(" 91440300ma5dem004j\u3000") == USCC[0]
    assert cd.check_uscc("９１440300MA5DEM004J") == USCC[0]
    assert cd.check_idcard("44030019000101004x") == "44030019000101004X"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "ID_EMPTY"),
        ("\u3000 ", "ID_EMPTY"),
        ("9144030", "ID_LENGTH"),
        ("91440300MA5DEM004J0", "ID_LENGTH"),
        ("9" * 5000, "ID_LENGTH"),
        ("91440300MA5DEMOO4J", "ID_CHARACTER"),  # letter O for zero
        ("91440300 A5DEM004J", "ID_CHARACTER"),
        ("91440300MA5DEM004\u212a", "ID_CHARACTER"),  # Kelvin sign upper-cases to K elsewhere
        ("914403A0MA5DEM004J", "ID_CHARACTER"),
        ("91440300MA5DEM004K", "ID_CHECK_DIGIT"),
        ("91\x00440300MA5DEM004", "ID_CHARACTER"),
    ],
)
def test_wrong_credit_code_is_refused(value: str, code: str) -> None:
    with pytest.raises(InvalidIdError) as caught:
        cd.check_uscc(value)
    assert caught.value.code == code


def test_credit_code_with_wrong_inner_code_is_refused() -> None:
    """The last character is right for the whole, but the organisation code inside is not."""
    first = "91440300MA5DEM005"
    value = first + cd.uscc_check_digit(first)
    with pytest.raises(InvalidIdError) as caught:
        cd.check_uscc(value)
    assert caught.value.code == "ID_ORGANISATION_CODE"
    notes: list[str] = []
    assert cd.check_uscc(value, notes=notes, warn=True) == value
    assert notes == ["ID_ORGANISATION_CODE"]


def test_unknown_region_is_refused() -> None:
    first = "91990300MA5DEM004"
    with pytest.raises(InvalidIdError) as caught:
        cd.check_uscc(first + cd.uscc_check_digit(first))
    assert caught.value.code == "ID_REGION"


def test_region_not_yet_in_use_is_refused() -> None:
    """Chongqing's codes exist since 1997."""
    number = "50010119000101001"
    number += cd.idcard_check_digit(number)
    assert cd.check_idcard(number, at=date(2026, 1, 1)) == number
    with pytest.raises(InvalidIdError) as caught:
        cd.check_idcard(number, at=date(1990, 1, 1))
    assert caught.value.code == "ID_REGION"


@pytest.mark.parametrize("value", ["MA5DEM004", "MA5DEM00-4", "ma5dem004", "K00000014"])
def test_organisation_codes(value: str) -> None:
    assert cd.check_organisation_code(value) == value.replace("-", "").upper()


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("MA5DEM005", "ID_CHECK_DIGIT"),
        ("MA5-DEM004", "ID_LENGTH"),
        ("MA5DEM-04", "ID_CHARACTER"),
        ("MA5DEM00--4", "ID_LENGTH"),
    ],
)
def test_wrong_organisation_codes(value: str, code: str) -> None:
    with pytest.raises(InvalidIdError) as caught:
        cd.check_organisation_code(value)
    assert caught.value.code == code


def test_citizens_numbers() -> None:
    assert cd.check_idcard(PERSON) == PERSON
    assert cd.check_idcard("440300000101001") == PERSON  # the form of 15 digits
    assert cd.check_idcard("999999190001010015", test_ids=True) == "999999190001010015"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("440300190001010014", "ID_CHECK_DIGIT"),
        ("999999190001010015", "ID_TEST"),
        ("44030019000101001Y", "ID_CHARACTER"),
        ("4403001900010100", "ID_LENGTH"),
        ("44030000010100A", "ID_CHARACTER"),
        ("44030018490101001" + cd.idcard_check_digit("44030018490101001"), "ID_DATE"),
        ("44030019000230001" + cd.idcard_check_digit("44030019000230001"), "ID_DATE"),
    ],
)
def test_wrong_citizens_numbers(value: str, code: str) -> None:
    with pytest.raises(InvalidIdError) as caught:
        cd.check_idcard(value)
    assert caught.value.code == code
    assert value not in str(caught.value)  # a number never reaches a log


def test_birth_in_the_future_is_refused() -> None:
    number = "44030020991231001"
    number += cd.idcard_check_digit(number)
    with pytest.raises(InvalidIdError) as caught:
        cd.check_idcard(number, at=date(2026, 11, 21))
    assert caught.value.code == "ID_DATE"


def test_registration_and_tax_numbers() -> None:
    first = "44030110000001"
    good = first + cd.registration_number_check_digit(first)
    assert cd.check_registration_number(good) == good
    wrong = first + str((int(good[14]) + 1) % 10)
    with pytest.raises(InvalidIdError):
        cd.check_registration_number(wrong)
    assert cd.check_tax_number("440300MA5DEM004") == "440300MA5DEM004"
    assert cd.check_tax_number(USCC[0]) == USCC[0]
    with pytest.raises(InvalidIdError) as caught:
        cd.check_tax_number("440300MA5DEM005")
    assert caught.value.code == "ID_ORGANISATION_CODE"


def test_every_single_wrong_character_of_a_credit_code_is_found() -> None:
    for position in range(18):
        for character in "0123456789ABCDEFGHJKLMNPQRTUWXY":
            if character != USCC[0][position]:
                with pytest.raises(InvalidIdError):
                    cd.check_uscc(USCC[0][:position] + character + USCC[0][position + 1 :])


@given(st.text(max_size=40))
def test_any_text_gives_a_code_or_our_error(value: str) -> None:
    for check in (
        cd.check_uscc,
        cd.check_organisation_code,
        cd.check_idcard,
        cd.check_registration_number,
        cd.check_tax_number,
        cd.check_passport,
        cd.check_officer,
    ):
        try:
            result = check(value)
        except VerifyError:
            continue
        assert check(result) == result
