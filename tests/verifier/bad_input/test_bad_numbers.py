"""Numbers of firms and persons: wrong check digits, wrong characters, full-width digits. All synthetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from onecert.verifier.identity.check_digits import (
    check_idcard,
    check_organisation_code,
    check_registration_number,
    check_uscc,
    idcard_check_digit,
    registration_number_check_digit,
    uscc_check_digit,
)

USCC, ORGANISATION, PERSON = "91440300MA5DEM004J", "MA5DEM004", "440300190001010015"
OLD_PERSON = "440300000101001"  # fifteen digits, of the nineteen-hundreds
REGISTRATION = "44030000000001" + registration_number_check_digit("44030000000001")


def full_width(text: str) -> str:
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


def one_up(text: str) -> str:
    return text[:-1] + str((int(text[-1]) + 1) % 10)


def with_digit(first17: str) -> str:
    return first17 + idcard_check_digit(first17)


INNER = "91440300MA5DEM005"
ROWS: list[tuple[str, Callable[..., str], str, str]] = [
    ("uscc: last character", check_uscc, USCC[:-1] + "K", "ID_CHECK_DIGIT"),
    ("uscc: two swapped", check_uscc, "91440300MA5DME004J", "ID_CHECK_DIGIT"),
    ("uscc: inner code", check_uscc, INNER + uscc_check_digit(INNER), "ID_ORGANISATION_CODE"),
    ("uscc: letter O", check_uscc, "9144O300MA5DEM004J", "ID_CHARACTER"),
    ("uscc: letter I", check_uscc, "91440300MA5DEMI04J", "ID_CHARACTER"),
    ("uscc: hyphen", check_uscc, "91440300-MA5DEM004", "ID_CHARACTER"),
    ("uscc: blank inside", check_uscc, "91440300 A5DEM004J", "ID_CHARACTER"),
    ("uscc: zero-width blank", check_uscc, "91440300MA5DEM00\u200bJ", "ID_CHARACTER"),
    ("uscc: Cyrillic letter", check_uscc, "91440300\u041cA5DEM004J", "ID_CHARACTER"),
    ("uscc: Arabic digit", check_uscc, "\u0669" + USCC[1:], "ID_CHARACTER"),
    ("uscc: circled digit", check_uscc, "\u2468" + USCC[1:], "ID_CHARACTER"),
    ("uscc: full-width, wrong digit", check_uscc, full_width(USCC[:-1] + "K"), "ID_CHECK_DIGIT"),
    ("uscc: too short", check_uscc, USCC[:-1], "ID_LENGTH"),
    ("uscc: too long", check_uscc, USCC + "0", "ID_LENGTH"),
    ("uscc: empty", check_uscc, "", "ID_EMPTY"),
    ("uscc: blanks only", check_uscc, " \u3000\t", "ID_EMPTY"),
    ("organisation: last digit", check_organisation_code, one_up(ORGANISATION), "ID_CHECK_DIGIT"),
    ("organisation: with hyphen", check_organisation_code, "MA5DEM00-5", "ID_CHECK_DIGIT"),
    ("organisation: hyphen elsewhere", check_organisation_code, "MA5-DEM004", "ID_LENGTH"),
    ("organisation: hyphen for a digit", check_organisation_code, "MA5DE-004", "ID_CHARACTER"),
    ("organisation: full-width", check_organisation_code, full_width("MA5DEM005"), "ID_CHECK_DIGIT"),
    ("organisation: too long", check_organisation_code, "MA5DEM0040", "ID_LENGTH"),
    ("person: last digit", check_idcard, one_up(PERSON), "ID_CHECK_DIGIT"),
    ("person: X for a digit", check_idcard, PERSON[:-1] + "X", "ID_CHECK_DIGIT"),
    ("person: X inside", check_idcard, "4403001900X1010015", "ID_CHARACTER"),
    ("person: full-width", check_idcard, full_width(one_up(PERSON)), "ID_CHECK_DIGIT"),
    ("person: no such day", check_idcard, with_digit("44030019000230001"), "ID_DATE"),
    ("person: no such region", check_idcard, with_digit("00000019000101001"), "ID_REGION"),
    ("person: reserved for tests", check_idcard, "999999190001010015", "ID_TEST"),
    ("person: seventeen digits", check_idcard, PERSON[:-1], "ID_LENGTH"),
    ("old person: letter", check_idcard, "44030000010100A", "ID_CHARACTER"),
    ("old person: no such day", check_idcard, "440300001301001", "ID_DATE"),
    ("old person: no such region", check_idcard, "000000000101001", "ID_REGION"),
    ("old person: X", check_idcard, OLD_PERSON[:-1] + "X", "ID_CHARACTER"),
    ("registration: last digit", check_registration_number, one_up(REGISTRATION), "ID_CHECK_DIGIT"),
    ("registration: letter", check_registration_number, REGISTRATION[:-1] + "A", "ID_CHARACTER"),
    ("registration: thirteen digits", check_registration_number, REGISTRATION[:13], "ID_LENGTH"),
    (
        "registration: full-width",
        check_registration_number,
        full_width(one_up(REGISTRATION)),
        "ID_CHECK_DIGIT",
    ),
]


@pytest.mark.parametrize(("check", "value", "code"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_wrong_numbers(code_of: Callable[..., str], check: Callable[..., str], value: str, code: str) -> None:
    assert code_of(lambda: check(value)) == code


@pytest.mark.parametrize(
    ("check", "value", "wanted"),
    [
        (check_uscc, full_width(USCC), USCC),
        (check_organisation_code, full_width(ORGANISATION), ORGANISATION),
        (check_idcard, full_width(PERSON), PERSON),
        (check_registration_number, full_width(REGISTRATION), REGISTRATION),
    ],
)
def test_full_width_is_the_same_number_with_a_note(
    check: Callable[..., str], value: str, wanted: str
) -> None:
    notes: list[Any] = []
    assert check(value, notes=notes) == wanted
    assert notes == ["FULL_WIDTH"]


def test_old_number_of_a_person_is_the_new_one() -> None:
    assert check_idcard(OLD_PERSON)[:17] == "44030019000101001"
