"""Identity numbers at the counter: the verifier's check digits, said in words for a form field.

The same functions check a certificate in a department, so what passes here passes there. Codes of the faults
are the verifier's (ID_LENGTH, ID_CHARACTER, ID_CHECK_DIGIT, ID_ORGANISATION_CODE, ID_REGION, ID_DATE,
ID_TEST).
"""

from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType

from onecert.ra.errors import FieldFault
from onecert.server.languages import _
from onecert.verifier.identity.check_digits import check_idcard, check_uscc
from onecert.verifier.identity.errors import InvalidIdError

_FAULTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "ID_LENGTH": (
            _("The number has the wrong length."),
            _("18 characters are needed; count again, nothing may be missing."),
        ),
        "ID_CHARACTER": (
            _("A character in the number cannot occur there."),
            _("Often O is typed for 0, or I for 1."),
        ),
        "ID_CHECK_DIGIT": (
            _("The check digit is wrong, so at least one character was mistyped."),
            _("Compare each character with the original document."),
        ),
        "ID_ORGANISATION_CODE": (
            _("The organisation code inside (characters 9 to 17) has a wrong check digit."),
            _("Compare characters 9 to 17 with the business licence."),
        ),
        "ID_REGION": (
            _("The region at the beginning does not exist."),
            _("Compare the first characters with the original document."),
        ),
        "ID_DATE": (
            _("The date of birth inside the number does not exist."),
            _("Compare characters 7 to 14 with the identity card."),
        ),
        "ID_TEST": (
            _("This number is reserved for tests; no real person has it."),
            _("Use the number on the identity card."),
        ),
    }
)


def checked(check: str, value: str, *, at: date, test_ids: bool) -> str:
    """Return the number in its one spelling, or raise the verifier's `InvalidIdError`."""
    checks: dict[str, Callable[[], str]] = {
        "uscc": lambda: check_uscc(value, at=at),
        "idcard": lambda: check_idcard(value, at=at, test_ids=test_ids),
    }
    return checks[check]()


def fault_of(field: str, error: InvalidIdError) -> FieldFault:
    """The error as a field fault; the number itself is not among the facts."""
    text, hint = _FAULTS.get(
        error.code, (_("This number is not valid."), _("Compare it with the licence or identity card."))
    )
    return FieldFault(field, error.code, text, hint)


def masked_idcard(number: str) -> str:
    """Region and last character only: `440300********001X` never shows the date of birth or the order."""
    return f"{number[:6]}{'*' * 11}{number[-1]}" if len(number) == 18 else "*" * len(number)


_ORGANISATION_WORDS = ("有限公司", "有限责任公司", "股份公司", "集团", "事务所", "合伙企业")


def looks_like_organisation(name: str) -> bool:
    """Tell whether a person's name is in truth a company's, a common slip at the counter."""
    return name.endswith(_ORGANISATION_WORDS)
