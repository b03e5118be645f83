"""The form of single values that are neither names nor identity numbers: a pattern and a sentence each."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from onecert.ra.content.fields import Field
from onecert.ra.errors import FieldFault
from onecert.server.languages import _

__all__ = ["find_form_fault"]

MONTHS_MAX = 120

_FORMS: Mapping[str, tuple[re.Pattern[str], str]] = MappingProxyType(
    {
        "mobile": (
            re.compile(r"1[3-9][0-9]{9}"),
            _("A mobile number has 11 digits and begins with 13 to 19."),
        ),
        "phone": (
            re.compile(r"\+?[0-9(][0-9() -]{3,24}[0-9)](?:[-x#][0-9]{1,6})?"),
            _("A telephone number has digits, blanks, hyphens and brackets: 0755-88888888."),
        ),
        "email": (
            re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+"),
            _("This is not an e-mail address."),
        ),
        "postcode": (re.compile(r"[0-9]{6}"), _("A postcode has 6 digits.")),
        "code": (
            re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/#()-]*"),
            _("Only Latin letters, digits and . _ / - # ( ) can stand here."),
        ),
        "amount": (
            re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,2})?"),
            _("An amount in yuan has at most two decimals: 200.00."),
        ),
        "months": (
            re.compile(r"[1-9][0-9]{0,2}"),
            _("A whole number of months, from 1 to 120."),
        ),
        "consent": (re.compile(r"[0-9A-Za-z.-]+"), _("There is no such version of the texts.")),
    }
)


def find_form_fault(field: Field, value: str) -> tuple[bool, FieldFault | None]:
    """Whether this table judges the field, and what is wrong with the value."""
    if field.check == "choice":
        return True, None if value in field.choices else _not_a_choice(field)
    if field.check not in _FORMS:
        return False, None
    pattern, text = _FORMS[field.check]
    if pattern.fullmatch(value) and not (field.check == "months" and int(value) > MONTHS_MAX):
        return True, None
    hint = _("Compare it with the application form, or leave an optional field empty.")
    return True, FieldFault(field.name, "FIELD_FORM", text, hint)


def _not_a_choice(field: Field) -> FieldFault:
    return FieldFault(
        field.name,
        "FIELD_CHOICE",
        _("This is not one of the possible answers."),
        _("Possible: %(choices)s."),
        {"choices": ", ".join(field.choices)},
    )
