"""What to do when signing in by certificate did not work: the reason and the next steps, in both languages.

Whoever stands before this page is not signed in yet, so nobody knows their language: both are shown, the
browser's first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from onecert.server.languages import LANGUAGES, Message, _, current_language, gettext, set_language
from onecert.server.operators.errors import OperatorError
from onecert.server.operators.sign_in_errors import CertificateRefusedError

__all__ = ["Help", "help_for", "help_without_certificate"]

_TOKEN = (
    _("Plug in the USB key that holds your operator's certificate."),
    _("Close all windows of the browser: it chooses a certificate only once."),
    _("Open this page again and choose your own certificate when the browser asks."),
    _("The browser does not ask? Then the USB key's driver is missing: tell the administrator."),
)
_NEW = (
    _("Fetch your new certificate, or have one made: an administrator asks for it, a second one agrees."),
    _("Then sign in with the new certificate. What you had saved is still there."),
)
_ADMINISTRATOR = (
    _("Call an administrator of this service and read the code at the end of this page to them."),
    _("An administrator asks for the change, a second one agrees; then sign in again."),
)
_WAIT = (_("Wait a few minutes and try again."), _("Tell the administrator if it goes on."))

TITLES: Mapping[str, Message] = MappingProxyType(
    {
        "CERTIFICATE_MISSING": _("The browser sent no certificate"),
        "EXPIRED": _("Your certificate has expired"),
        "REVOKED": _("Your certificate has been revoked or put on hold"),
        "CERTIFICATE_REFUSED": _("This certificate does not sign in here"),
        "CERTIFICATE_NOT_BOUND": _("This certificate belongs to no account"),
        "CERTIFICATE_UNCHECKED": _("Your certificate could not be checked"),
        "OPERATOR_SUSPENDED": _("Your account is suspended"),
        "OPERATOR_EXPIRED": _("Your account has ended"),
        "SIGN_IN_THROTTLED": _("Too many attempts"),
    }
)
STEPS: Mapping[str, tuple[Message, ...]] = MappingProxyType(
    {
        "CERTIFICATE_MISSING": _TOKEN,
        "EXPIRED": _NEW,
        "REVOKED": (
            _("If you reported the USB key lost yourself: fetch the new one."),
            _("If you did not: call the security officers at once."),
        ),
        "CERTIFICATE_REFUSED": (
            _(
                "You may have chosen another certificate than your operator's: "
                "close the browser and choose again."
            ),
            *_ADMINISTRATOR[:1],
        ),
        "CERTIFICATE_NOT_BOUND": _ADMINISTRATOR,
        "CERTIFICATE_UNCHECKED": _WAIT,
        "OPERATOR_SUSPENDED": _ADMINISTRATOR,
        "OPERATOR_EXPIRED": _ADMINISTRATOR,
        "SIGN_IN_THROTTLED": _WAIT,
    }
)


@dataclass(frozen=True, kw_only=True)
class Help:
    """The page's words in one language; `text` is empty where the title says it all."""

    language: str
    title: str
    text: str
    steps: tuple[str, ...]


def help_without_certificate() -> list[Help]:
    """For the sign-in page when the connection has no certificate."""
    return _in_both("CERTIFICATE_MISSING", None)


def help_for(error: OperatorError) -> list[Help]:
    """For a refused sign-in, the reader's language first."""
    return _in_both(_kind(error), error)


def _kind(error: OperatorError) -> str:
    if isinstance(error, CertificateRefusedError):
        if error.reason_code == "CERT_EXPIRED":
            return "EXPIRED"
        if "REVOKED" in error.reason_code or "HOLD" in error.reason_code:
            return "REVOKED"
    return error.code


def _in_both(kind: str, error: OperatorError | None) -> list[Help]:
    here = current_language()
    found = []
    for language in (here, *(other for other in LANGUAGES if other != here)):
        with set_language(language, "onecert.server"):
            found.append(
                Help(
                    language=language,
                    title=gettext(TITLES.get(kind, _("Signing in did not work"))),
                    text="" if error is None else gettext(error.text, **error.facts),
                    steps=tuple(gettext(step) for step in STEPS.get(kind, _ADMINISTRATOR)),
                )
            )
    return found
