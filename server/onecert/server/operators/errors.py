"""What can be wrong with an operator or a right; each says what to do next. Sign-in: sign_in_errors.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from onecert.server.errors import ServiceError
from onecert.server.languages import Message

__all__ = [
    "InvalidOperatorError",
    "OperatorError",
    "OperatorExistsError",
    "OperatorExpiredError",
    "OperatorSuspendedError",
    "OperatorUnknownError",
    "PersonHasAccountError",
    "PersonNumberError",
    "RoleRequiredError",
    "SamePersonError",
    "SignInRequiredError",
    "UnknownRoleError",
]


class OperatorError(ServiceError):
    """An operator may not do this, or is not who the request says."""


# Accounts


class InvalidOperatorError(OperatorError):
    """An id, name or date that cannot become an account."""

    def __init__(self, field: Message, value: object) -> None:
        super().__init__(
            "OPERATOR_INVALID",
            status=422,
            text="“%(value)s” cannot be used here. Field: %(field)s.",
            hint="An id has 1 to 64 small letters, digits, dots or hyphens and begins with a letter; "
            "a name has 1 to 80 characters; the end of validity lies in the future.",
            field=field,
            value=value,
        )


class OperatorExistsError(OperatorError):
    """The id is taken."""

    def __init__(self, operator_id: str) -> None:
        super().__init__(
            "OPERATOR_EXISTS",
            status=409,
            text="There is already an operator %(operator)s in this service.",
            hint="Choose another id, or use the account that exists.",
            operator=operator_id,
        )


class OperatorUnknownError(OperatorError):
    """No account has this id."""

    def __init__(self, operator_id: str) -> None:
        super().__init__(
            "OPERATOR_UNKNOWN",
            status=404,
            text="There is no operator %(operator)s in this service.",
            hint="“onecert operators list” shows the operators of a service.",
            operator=operator_id,
        )


class OperatorSuspendedError(OperatorError):
    """The account was suspended."""

    def __init__(self, operator_id: str, suspended_at: datetime) -> None:
        super().__init__(
            "OPERATOR_SUSPENDED",
            status=403,
            text="The account %(operator)s has been suspended since %(suspended_at)s.",
            hint="Ask the administrator of this service.",
            operator=operator_id,
            suspended_at=suspended_at,
        )


class OperatorExpiredError(OperatorError):
    """The account has run out."""

    def __init__(self, operator_id: str, valid_until: datetime) -> None:
        super().__init__(
            "OPERATOR_EXPIRED",
            status=403,
            text="The account %(operator)s was valid until %(valid_until)s.",
            hint="Ask the administrator of this service to extend it.",
            operator=operator_id,
            valid_until=valid_until,
        )


class UnknownRoleError(OperatorError):
    """A role that this service does not have."""

    def __init__(self, role: str, known: Iterable[str]) -> None:
        super().__init__(
            "OPERATOR_ROLE_UNKNOWN",
            status=422,
            text="This service has no role %(role)s.",
            hint="Its roles are: %(known)s.",
            role=role,
            known=sorted(known),
        )


class PersonNumberError(OperatorError):
    """The number of an identity document is wrong. The number itself is never repeated."""

    def __init__(self) -> None:
        super().__init__(
            "OPERATOR_PERSON_NUMBER",
            status=422,
            text="This identity document number is not valid: length, date or check digit is wrong.",
            hint="Compare it with the document. "
            "A resident identity number has 18 characters, the last may be X.",
        )


class PersonHasAccountError(OperatorError):
    """This natural person already has an account, and the policy allows one."""

    def __init__(self, operator_id: str) -> None:
        super().__init__(
            "OPERATOR_PERSON_EXISTS",
            status=409,
            text="This person already has the account %(operator)s in this service.",
            hint="Give that account the further role. The setting allow_same_person permits a second "
            "account; the two-person rule treats both as one person all the same.",
            operator=operator_id,
        )


class SamePersonError(OperatorError):
    """Two people are needed, and these are one."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(
            "SAME_PERSON",
            status=403,
            text="Two different people are needed here; %(first)s and %(second)s are the same person.",
            hint="Ask a colleague to take this step.",
            first=first,
            second=second,
        )


# Rights


class SignInRequiredError(OperatorError):
    """Nobody is signed in."""

    def __init__(self) -> None:
        super().__init__(
            "SIGN_IN_REQUIRED",
            status=401,
            text="Please sign in first.",
            hint="Sign in with your certificate, or ask the administrator for a one-time link.",
        )


class RoleRequiredError(OperatorError):
    """The operator's roles do not include the one that is needed."""

    def __init__(self, roles: Sequence[str]) -> None:
        super().__init__(
            "ROLE_REQUIRED",
            status=403,
            text="Your account does not have the role for this. Needed: %(roles)s.",
            hint="Ask the administrator of this service, or a colleague who has the role.",
            roles=list(roles),
        )
        self.roles = tuple(roles)
