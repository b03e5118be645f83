"""What is refused of a change of a certificate's status."""

from collections.abc import Sequence

from onecert.ra.errors.base import RaError
from onecert.server.languages import _

__all__ = ["RevocationReasonError", "RevocationRefusedError"]


class RevocationReasonError(RaError):
    """Not a reason that may be chosen here."""

    def __init__(self, reason: str, known: Sequence[str]) -> None:
        super().__init__(
            "REASON_UNKNOWN",
            status=422,
            text=_("“%(reason)s” is not a reason for revoking."),
            hint=_("Choose one of: %(known)s."),
            reason=reason[:64],
            known=", ".join(known),
        )


_CHANGE_TEXTS = {
    "ALREADY_REVOKED": (
        _("The certificate is already revoked; that cannot be undone."),
        _("If the holder needs a certificate again, enter a new application."),
    ),
    "ALREADY_ON_HOLD": (
        _("The certificate is already on hold."),
        _("Release it, or revoke it for good."),
    ),
    "NOT_ON_HOLD": (
        _("Only a certificate on hold can be released, and this one is not on hold."),
        _("Look at its present status on the certificate page."),
    ),
    "CHANGE_PENDING": (
        _("An earlier request for this certificate is still on its way to the authority."),
        _("Wait until it is answered; the certificate page shows it."),
    ),
    "TOO_MANY": (
        _("So many certificates are not changed by one person in one go."),
        _("Prepare an emergency: a second officer approves it."),
    ),
    "INVALIDITY_IN_FUTURE": (
        _("The time since when the key is in doubt lies in the future."),
        _("Enter the time when the key was last surely in the right hands, or leave it empty."),
    ),
}


class RevocationRefusedError(RaError):
    """This change of status is not possible for this certificate now."""

    def __init__(self, code: str) -> None:
        text, hint = _CHANGE_TEXTS[code]
        super().__init__(
            code, status=422 if code in {"INVALIDITY_IN_FUTURE", "TOO_MANY"} else 409, text=text, hint=hint
        )
