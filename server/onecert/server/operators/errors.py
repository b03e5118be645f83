"""What can be wrong with an operator, a sign-in or a right; each says what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from onecert.server.errors import ServiceError
from onecert.server.languages import Message
from onecert.verifier.errors import VerifyError

__all__ = [
    "CertificateBoundError",
    "CertificateNotBoundError",
    "CertificateRefusedError",
    "CertificateUncheckedError",
    "InvalidOperatorError",
    "LinkElsewhereError",
    "LinkExpiredError",
    "LinkUnknownError",
    "LinkUsedError",
    "NoCertificateError",
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
    "TooManyAttemptsError",
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


class TooManyAttemptsError(OperatorError):
    """Too many refused sign-ins from one address."""

    def __init__(self, retry_at: datetime, seconds: int) -> None:
        super().__init__(
            "SIGN_IN_THROTTLED",
            status=429,
            text="Too many sign-ins from this address were refused.",
            hint="Wait until %(retry_at)s and try again.",
            retry_at=retry_at,
        )
        self.retry_after_s = seconds


# One-time links


class LinkUnknownError(OperatorError):
    """No such link was ever given, or its account was suspended in the meantime."""

    def __init__(self) -> None:
        super().__init__(
            "LINK_UNKNOWN",
            status=403,
            text="This sign-in link is not known here.",
            hint="Copy the whole link, or ask the administrator for a new one: onecert operators link.",
        )


class LinkUsedError(OperatorError):
    """The link was used before."""

    def __init__(self, used_at: datetime) -> None:
        super().__init__(
            "LINK_USED",
            status=403,
            text="This sign-in link was already used on %(used_at)s. A link works once.",
            hint="Ask the administrator for a new one: onecert operators link.",
            used_at=used_at,
        )


class LinkExpiredError(OperatorError):
    """The link is too old."""

    def __init__(self, expired_at: datetime) -> None:
        super().__init__(
            "LINK_EXPIRED",
            status=403,
            text="This sign-in link was valid until %(expired_at)s.",
            hint="Ask the administrator for a new one: onecert operators link.",
            expired_at=expired_at,
        )


class LinkElsewhereError(OperatorError):
    """A one-time link was opened from another machine, or through a proxy."""

    def __init__(self) -> None:
        super().__init__(
            "LINK_ELSEWHERE",
            status=403,
            text="A sign-in link works only in a browser on the machine of the service itself.",
            hint="Sign in with your certificate.",
        )


# Client certificates


class NoCertificateError(OperatorError):
    """The browser presented no certificate."""

    def __init__(self) -> None:
        super().__init__(
            "CERTIFICATE_MISSING",
            status=401,
            text="The browser presented no certificate.",
            hint="Plug in your USB key or import the certificate, "
            "close all windows of the browser and open it again.",
        )


class CertificateRefusedError(OperatorError):
    """The certificate is not good for signing in; ``reason`` is the verifier's."""

    def __init__(self, reason: VerifyError) -> None:
        super().__init__(
            "CERTIFICATE_REFUSED",
            status=403,
            text="Your certificate was refused: %(reason)s.",
            hint="Ask the administrator whether it was issued by the operators' CA, "
            "is in date and not revoked.",
            reason=reason,
        )
        self.reason_code = reason.code


class CertificateUncheckedError(OperatorError):
    """Whether the certificate is good could not be found out; nobody signs in."""

    def __init__(self, reason: VerifyError | Message) -> None:
        super().__init__(
            "CERTIFICATE_UNCHECKED",
            status=503,
            text="Your certificate could not be checked just now: %(reason)s.",
            hint="Tell the administrator: the operators' CA or its revocation list is missing "
            "or out of date here.",
            reason=reason,
        )


class CertificateNotBoundError(OperatorError):
    """A good certificate that belongs to no account."""

    def __init__(self, sha256_hex: str) -> None:
        super().__init__(
            "CERTIFICATE_NOT_BOUND",
            status=403,
            text="Your certificate is good but belongs to no account here (SHA-256 %(sha256)s).",
            hint="Ask the administrator to bind it: onecert operators bind.",
            sha256=sha256_hex,
        )


class CertificateBoundError(OperatorError):
    """The certificate already belongs to an account."""

    def __init__(self, operator_id: str) -> None:
        super().__init__(
            "CERTIFICATE_BOUND",
            status=409,
            text="This certificate already belongs to the account %(operator)s.",
            hint="One certificate is one account. Use a certificate of the operator's own.",
            operator=operator_id,
        )
