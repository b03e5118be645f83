"""What is refused of tokens, codes and the hand-over."""

from onecert.ra.errors.base import RaError
from onecert.server.languages import _

__all__ = [
    "BrowserKeyRefusedError",
    "CodeRefusedError",
    "CounterCodeError",
    "MediumRefusedError",
    "RecipientInvalidError",
    "TooManyTriesError",
]

_MEDIUM = {
    "MEDIUM_UNKNOWN": _("The token %(token)s is not in the stock of this point."),
    "MEDIUM_KNOWN": _("The token %(token)s is already on record."),
    "MEDIUM_SPOILED": _("The token %(token)s is recorded as spoiled or returned."),
    "MEDIUM_IN_USE": _("The token %(token)s belongs to another application (%(number)s)."),
    "MEDIUM_NUMBER": _("“%(token)s” is not the serial number of a token."),
    "MEDIUM_OTHER_KEY": _("The certificate is for another key than the one on token %(token)s."),
    "MEDIUM_NOT_ISSUED": _("There is no certificate yet that could be written to a token."),
    "MEDIUM_STATE": _("The token %(token)s cannot be recorded so from the state that it is in."),
}
_MEDIUM_HINTS = {
    "MEDIUM_UNKNOWN": _("Record it as received on the page “Tokens”, or take one that is in stock."),
    "MEDIUM_KNOWN": _("Compare the serial numbers with the tokens in your hand."),
    "MEDIUM_SPOILED": _("Take another token from the stock."),
    "MEDIUM_IN_USE": _("Take another token, or record this one as returned first."),
    "MEDIUM_NUMBER": _("4 to 32 letters and digits, as printed on the token; one on a line."),
    "MEDIUM_OTHER_KEY": _("Insert the token on which the key for this application was made."),
    "MEDIUM_NOT_ISSUED": _("It is written after the review, as soon as the authority has issued it."),
    "MEDIUM_STATE": _("Look at its history on the page “Tokens”."),
}


class MediumRefusedError(RaError):
    """A token that cannot be used for this."""

    def __init__(self, code: str, token: str, *, number: str = "") -> None:
        super().__init__(
            code,
            status=422 if code == "MEDIUM_NUMBER" else 409,
            text=_MEDIUM[code],
            hint=_MEDIUM_HINTS[code],
            token=token[:64],
            number=number,
        )


class CodeRefusedError(RaError):
    """Number and code do not fit together; the same words whatever was wrong."""

    def __init__(self) -> None:
        super().__init__(
            "CODE_REFUSED",
            status=403,
            text=_("This number and this code do not go together, or the code is no longer valid."),
            hint=_("Check both. After five wrong codes a new one is needed: ask the acceptance point."),
        )


class TooManyTriesError(RaError):
    """Too many tries from one address or for one application."""

    def __init__(self) -> None:
        super().__init__(
            "TOO_MANY_TRIES",
            status=429,
            text=_("Too many attempts in a short time."),
            hint=_("Wait 15 minutes and try again, or ask the acceptance point."),
        )


class RecipientInvalidError(RaError):
    """Who received it is not complete."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "RECIPIENT_INVALID",
            status=422,
            text=_("Name, type and number of the recipient's document are needed, of the usual form."),
            hint=_("Look at the document and enter it again; an identity card number has a check digit."),
            name=name,
        )


class BrowserKeyRefusedError(RaError):
    """A key made in a browser is not for this application."""

    def __init__(self, code: str = "BROWSER_KEY_NOT_ALLOWED") -> None:
        texts = {
            "BROWSER_KEY_NOT_ALLOWED": (
                _("A key made in a browser is not allowed for this certificate type."),
                _("The key is made on a token at the counter, or by the applicant's own software."),
            ),
            "BROWSER_KEY_FORM": (
                _("The browser's key cannot be used."),
                _("Reload the page and make the key again."),
            ),
        }
        text, hint = texts[code]
        super().__init__(code, status=422 if code == "BROWSER_KEY_FORM" else 403, text=text, hint=hint)


class CounterCodeError(RaError):
    """The counter's program has no valid pass."""

    def __init__(self) -> None:
        super().__init__(
            "COUNTER_PASS",
            status=401,
            text=_("The program at the counter is not signed in, or its pass has ended."),
            hint=_("Make a code on the page “Tokens” and run: onecert counter sign-in"),
        )
