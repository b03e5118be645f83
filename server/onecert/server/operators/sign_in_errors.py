"""What can be wrong with a way to sign in: a one-time link, a client certificate, too many attempts."""

from __future__ import annotations

from datetime import datetime

from onecert.server.languages import Message
from onecert.server.operators.errors import OperatorError
from onecert.verifier.errors import VerifyError

__all__ = [
    "CertificateBoundError",
    "CertificateNotBoundError",
    "CertificateRefusedError",
    "CertificateUncheckedError",
    "LinkElsewhereError",
    "LinkExpiredError",
    "LinkUnknownError",
    "LinkUsedError",
    "NoCertificateError",
    "TooManyAttemptsError",
]


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
