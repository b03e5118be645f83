"""Check digits and forms of the numbers that name a firm or a person.

    check_uscc("91440300MA5DEM004J")      -> "91440300MA5DEM004J", or InvalidIdError with a stable code

Every function takes the value as it was typed or read and returns it in its one spelling (trimmed, ASCII,
upper case). It refuses with ID_LENGTH, ID_CHARACTER, ID_CHECK_DIGIT, ID_REGION, ID_DATE, ID_TEST or
ID_ORGANISATION_CODE; errors never carry the value, because they end in logs.

A caller that passes a list as ``notes`` is told there what normalisation changed. Codes in the field
sometimes fail their own check digit: with ``warn`` (an identity profile with ``check: warn``) that fault is a
note, too, instead of a refusal.

Sources: GB 32100-2015 (uniform social credit code), GB 11714-1997 (organisation code), GB 11643-1999
(citizen's number), ISO 7064 MOD 11,10 (registration number of 15 digits).
"""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum

from onecert.verifier.identity.errors import InvalidIdError
from onecert.verifier.identity.normalise import normalise
from onecert.verifier.identity.regions import TEST_REGION, is_region


class IdType(StrEnum):
    """The kinds of number an identity profile can name."""

    USCC = "uscc"
    ORGANISATION_CODE = "org"
    REGISTRATION_NUMBER = "regno"
    TAX_NUMBER = "tax"
    ID_CARD = "idcard"
    PASSPORT = "passport"
    OFFICER = "officer"


# The credit code leaves out I, O, S, V and Z, which are easily misread.
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_VALUE = {character: number for number, character in enumerate(_USCC_ALPHABET)}
_USCC_FORM = re.compile(f"[{_USCC_ALPHABET}]{{2}}[0-9]{{6}}[{_USCC_ALPHABET}]{{10}}", re.ASCII)
_ORG_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORG_VALUE = {character: number for number, character in enumerate(_ORG_ALPHABET)}
_ID_CARD_MAP = "10X98765432"
_DIGITS = frozenset("0123456789")
# What is written so already needs no normalising, and has its length and its characters.
_ORG_FORM = re.compile("[0-9A-Z]{9}", re.ASCII)
_REGISTRATION_FORM = re.compile("[0-9]{15}", re.ASCII)
_ID_CARD_FORM = re.compile("[0-9]{17}[0-9X]", re.ASCII)
_CARD_FORM = re.compile("[0-9A-Z]{5,20}", re.ASCII)

# Weights that are powers of one number modulo m make a code a number that is written to a base; ``int`` reads
# it with any base that is congruent to that number: 34 to 3 modulo 31, and 13 to 2 modulo 11. These tables
# turn characters into digits of that base, of the same value modulo m; whatever is no character becomes 0.
_USCC_DIGITS, _ORG_DIGITS = (
    bytes(ord(_ORG_ALPHABET[values.get(chr(octet), 0) % modulus]) for octet in range(256))
    for values, modulus in ((_USCC_VALUE, 31), (_ORG_VALUE, 11))
)


def _after(product: int, digit: int) -> int:
    """One step of ISO 7064 MOD 11,10."""
    return ((product + digit) % 10 or 10) * 2 % 11


_STEPS = tuple(bytes(_after(product, octet - 0x30) for octet in range(256)) for product in range(11))


Notes = list[str]


def check_uscc(
    value: str,
    *,
    at: date | None = None,
    test_ids: bool = False,
    notes: Notes | None = None,
    warn: bool = False,
) -> str:
    """Check a uniform social credit code (18 characters) and the organisation code inside it.

    Raises:
        InvalidIdError: with the first fault, in the order length, alphabet, check digit, inner code, region.
    """
    code = value
    if _USCC_FORM.fullmatch(value) is None:
        code = _spelled(value, IdType.USCC, notes)
        _require_length(code, IdType.USCC, 18)
        _require_alphabet(code, IdType.USCC, _USCC_VALUE)
        _require_digits(code[2:8], IdType.USCC)
    if code[17] != uscc_check_digit(code[:17]):
        _fault("ID_CHECK_DIGIT", IdType.USCC, notes, warn=warn)
    if code[16] != organisation_code_check_digit(code[8:16]):
        _fault("ID_ORGANISATION_CODE", IdType.USCC, notes, warn=warn)
    if not is_region(code[2:8], at=at):
        _require_region(code[2:8], IdType.USCC, test_ids=test_ids, at=at)
    return code


def uscc_check_digit(first17: str) -> str:
    """The 18th character of a credit code: weights 3^i mod 31 (GB 32100-2015, 4.6)."""
    total = int(first17.encode("ascii")[::-1].translate(_USCC_DIGITS), 34)
    return _USCC_ALPHABET[-total % 31]


def check_organisation_code(value: str, *, notes: Notes | None = None, warn: bool = False) -> str:
    """Check an organisation code (8 characters and a check digit); a hyphen before the last is removed."""
    code = value
    if _ORG_FORM.fullmatch(value) is None:
        code = _spelled(value, IdType.ORGANISATION_CODE, notes)
        if len(code) == 10 and code[8] == "-":
            code = code[:8] + code[9]
        _require_length(code, IdType.ORGANISATION_CODE, 9)
        _require_alphabet(code, IdType.ORGANISATION_CODE, _ORG_VALUE)
    if code[8] != organisation_code_check_digit(code[:8]):
        _fault("ID_CHECK_DIGIT", IdType.ORGANISATION_CODE, notes, warn=warn)
    return code


def organisation_code_check_digit(first8: str) -> str:
    """The ninth character of an organisation code: 11 - sum mod 11, where 10 is X and 11 is 0 (GB 11714)."""
    total = 2 * int(first8.encode("ascii").translate(_ORG_DIGITS), 13)
    return "0123456789X0"[11 - total % 11]


def check_idcard(
    value: str,
    *,
    at: date | None = None,
    test_ids: bool = False,
    notes: Notes | None = None,
    warn: bool = False,
) -> str:
    """Check a citizen's number; the old form of 15 digits becomes 18 by inserting the century 19.

    Args:
        at: the day of the check, to refuse a birth date in the future; without it that is not checked.
        test_ids: accept region 999999, which no real person has.
    """
    number = value
    if _ID_CARD_FORM.fullmatch(value) is None:
        number = _spelled(value, IdType.ID_CARD, notes)
        if len(number) == 15:
            _require_digits(number, IdType.ID_CARD)
            number = number[:6] + "19" + number[6:]
            number += idcard_check_digit(number)
        _require_length(number, IdType.ID_CARD, 18)
        _require_digits(number[:17], IdType.ID_CARD)
        if number[17] not in _ID_CARD_MAP:
            raise InvalidIdError("ID_CHARACTER", id_type=IdType.ID_CARD)
    if number[17] != idcard_check_digit(number[:17]):
        _fault("ID_CHECK_DIGIT", IdType.ID_CARD, notes, warn=warn)
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError as exc:
        raise InvalidIdError("ID_DATE", id_type=IdType.ID_CARD) from exc
    if born.year < 1850 or (at is not None and born > at):
        raise InvalidIdError("ID_DATE", id_type=IdType.ID_CARD)
    _require_region(number[:6], IdType.ID_CARD, test_ids=test_ids, at=at)
    return number


def idcard_check_digit(first17: str) -> str:
    """The 18th character of a citizen's number (GB 11643, the same as ISO 7064 MOD 11-2)."""
    return _ID_CARD_MAP[2 * int(first17, 13) % 11]


def check_registration_number(value: str, *, notes: Notes | None = None, warn: bool = False) -> str:
    """Check a business registration number of 15 digits (ISO 7064 MOD 11,10)."""
    number = value
    if _REGISTRATION_FORM.fullmatch(value) is None:
        number = _spelled(value, IdType.REGISTRATION_NUMBER, notes)
        _require_length(number, IdType.REGISTRATION_NUMBER, 15)
        _require_digits(number, IdType.REGISTRATION_NUMBER)
    if number[14] != registration_number_check_digit(number[:14]):
        _fault("ID_CHECK_DIGIT", IdType.REGISTRATION_NUMBER, notes, warn=warn)
    _require_region(number[:6], IdType.REGISTRATION_NUMBER, test_ids=False, at=None)
    return number


def registration_number_check_digit(first14: str) -> str:
    """The 15th digit of a registration number: ISO 7064 MOD 11,10, recursive from product 10."""
    product = 10
    for octet in first14.encode("ascii"):
        product = _STEPS[product][octet]
    return str((11 - product) % 10)


def check_tax_number(value: str, *, notes: Notes | None = None, warn: bool = False) -> str:
    """Check an old tax number: region (6) and organisation code (9); 18 characters are a credit code."""
    number = _spelled(value, IdType.TAX_NUMBER, notes)
    if len(number) == 18:
        return check_uscc(number, notes=notes, warn=warn)
    _require_length(number, IdType.TAX_NUMBER, 15)
    _require_digits(number[:6], IdType.TAX_NUMBER)
    _require_region(number[:6], IdType.TAX_NUMBER, test_ids=False, at=None)
    _require_alphabet(number[6:], IdType.TAX_NUMBER, _ORG_VALUE)
    if number[14] != organisation_code_check_digit(number[6:14]):
        _fault("ID_ORGANISATION_CODE", IdType.TAX_NUMBER, notes, warn=warn)
    return number


def check_passport(value: str, *, notes: Notes | None = None, warn: bool = False) -> str:
    """Check the form of a passport number: 5 to 20 ASCII letters and digits. There is no check digit."""
    return _check_form(value, IdType.PASSPORT, 5, 20, notes)


def check_officer(value: str, *, notes: Notes | None = None, warn: bool = False) -> str:
    """Check the form of an officer's card number: 4 to 20 ASCII letters and digits."""
    return _check_form(value, IdType.OFFICER, 4, 20, notes)


def _check_form(value: str, id_type: IdType, shortest: int, longest: int, notes: Notes | None) -> str:
    if _CARD_FORM.fullmatch(value) is not None:
        return value  # fits both
    number = _spelled(value, id_type, notes)
    if not shortest <= len(number) <= longest:
        raise InvalidIdError("ID_LENGTH", id_type=id_type, length=len(number))
    _require_alphabet(number, id_type, _ORG_VALUE)
    return number


def _spelled(value: str, id_type: IdType, notes: Notes | None) -> str:
    normalised = normalise(value, id_type)
    if notes is not None and normalised.notes:
        notes.extend(normalised.notes)
    return normalised.text


def _fault(code: str, id_type: IdType, notes: Notes | None, *, warn: bool) -> None:
    """A wrong check digit: refuse, or note it for a profile that only warns."""
    if not warn:
        raise InvalidIdError(code, id_type=id_type)
    if notes is not None:
        notes.append(code)


def _require_length(value: str, id_type: IdType, length: int) -> None:
    if len(value) != length:
        raise InvalidIdError("ID_LENGTH", id_type=id_type, length=len(value), expected=length)


def _require_alphabet(value: str, id_type: IdType, alphabet: dict[str, int]) -> None:
    if alphabet.keys() >= set(value):
        return
    for position, character in enumerate(value, start=1):
        if character not in alphabet:
            raise InvalidIdError("ID_CHARACTER", id_type=id_type, position=position)


def _require_digits(value: str, id_type: IdType) -> None:
    if not _DIGITS.issuperset(value):
        raise InvalidIdError("ID_CHARACTER", id_type=id_type)


def _require_region(code: str, id_type: IdType, *, test_ids: bool, at: date | None) -> None:
    if code == TEST_REGION:
        if test_ids:
            return
        raise InvalidIdError("ID_TEST", id_type=id_type)
    if not is_region(code, at=at):
        raise InvalidIdError("ID_REGION", id_type=id_type)
