"""What a certificate would say: subject, identity numbers, validity, and the lint over all of it."""

from __future__ import annotations

from collections.abc import Sequence

from onecert.ca.errors.base import CaError
from onecert.server.languages import Message, _

__all__ = [
    "FIELD_NAMES",
    "FieldAlphabetError",
    "FieldLengthError",
    "FieldMissingError",
    "FieldNotAllowedError",
    "FieldValueError",
    "IdentityValueError",
    "IssuerExpiresError",
    "LintError",
]

# The names of fields as people are shown them; the English catalogue is the name itself.
FIELD_NAMES = (
    _("common_name"),
    _("organization"),
    _("organizational_unit"),
    _("locality"),
    _("state_or_province"),
    _("country"),
    _("title"),
    _("serial_number"),
    _("uscc"),
    _("idcard"),
    _("agent_idcard"),
    _("identity.uscc"),
    _("identity.idcard"),
    _("identity.agent_idcard"),
)


class FieldMissingError(CaError):
    """The profile needs a field that the order does not have."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "FIELD_MISSING",
            status=422,
            text=_("The field “%(field)s” is missing."),
            hint=_("Fill it in."),
            field=Message(field),
        )


class FieldNotAllowedError(CaError):
    """The order has a field that the profile does not know."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "FIELD_NOT_ALLOWED",
            status=422,
            text=_("The field “%(field)s” has no place in this kind of certificate."),
            hint=_("Leave it out, or order another kind of certificate."),
            field=Message(field),
        )


class FieldLengthError(CaError):
    """A value longer than the profile allows."""

    def __init__(self, field: str, length: int, allowed: int) -> None:
        super().__init__(
            "FIELD_LENGTH",
            status=422,
            text=_("The field “%(field)s” has %(length)s characters; %(allowed)s are allowed."),
            hint=_("Shorten it as on the licence or identity card."),
            field=Message(field),
            length=length,
            allowed=allowed,
        )


class FieldAlphabetError(CaError):
    """A value with a character outside the field's alphabet."""

    def __init__(self, field: str, character: str) -> None:
        super().__init__(
            "FIELD_ALPHABET",
            status=422,
            text=_("The field “%(field)s” contains %(character)s, which is not allowed there."),
            hint=_("Type the value again; look for blanks at the ends and invisible characters."),
            field=Message(field),
            character=character,
        )


class FieldValueError(CaError):
    """A value other than the one the profile fixes."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(
            "FIELD_VALUE",
            status=422,
            text=_("The field “%(field)s” must be “%(expected)s”."),
            hint=_("Correct it or leave it out."),
            field=Message(field),
            expected=expected,
        )


class IdentityValueError(CaError):
    """An identification number whose form or check digit is wrong. The number itself is never repeated."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "IDENTITY_WRONG",
            status=422,
            text=_("The identification number “%(field)s” is wrong: its form, date or check digit."),
            hint=_("Compare it with the licence or identity card."),
            field=Message(field),
        )


class IssuerExpiresError(CaError):
    """The certificate would outlive the one of its authority."""

    def __init__(self, authority: str, until: str) -> None:
        super().__init__(
            "ISSUER_EXPIRES",
            status=422,
            text=_(
                "The certificate would be valid longer than its authority “%(authority)s” (until %(until)s)."
            ),
            hint=_("The authority needs a successor: hold a ceremony."),
            authority=authority,
            until=until,
        )


class LintError(CaError):
    """The draft does not obey RFC 5280 or its profile. A fault of ours: nothing was signed."""

    def __init__(self, findings: Sequence[str]) -> None:
        self.findings = tuple(findings)
        super().__init__(
            "LINT_FAILED",
            status=500,
            text=_("The draft breaks its own rules, and nothing was signed: %(findings)s"),
            hint=_("Tell the operator of the CA; profile and program do not agree."),
            findings="; ".join(findings),
        )
