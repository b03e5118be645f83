"""What is refused of an emergency."""

from onecert.ra.errors.base import RaError
from onecert.server.languages import _

__all__ = ["EmergencyRefusedError", "UnknownLinesError"]

_TEXTS = {
    "EMERGENCY_SELECTION": (
        _("It is not said which certificates are meant."),
        _("Choose a kind, and fill in what it needs."),
    ),
    "EMERGENCY_EMPTY": (
        _("The selection finds no certificate that is still in use."),
        _("Look at the numbers and times; certificates that are revoked or over are left out."),
    ),
    "EMERGENCY_TOO_MANY": (
        _("The selection finds more than 200,000 certificates."),
        _("Cut it by times or authorities, or use the mass revocation of the authority's own console."),
    ),
    "EMERGENCY_SEARCH": (
        _("The search finds more than 20,000 certificates."),
        _("Type more of the name, or select by authority and times."),
    ),
    "EMERGENCY_LINES": (
        _("There must be between 1 and 20,000 serial numbers."),
        _("One on each line."),
    ),
    "EMERGENCY_WHY": (_("Say in a few words why."), _("2 to 500 characters, for the record.")),
    "EMERGENCY_STATE": (
        _("This is not possible any more: the emergency has gone on."),
        _("Open the page again and look at how it stands."),
    ),
    "EMERGENCY_EXPIRED": (
        _("The proposal has waited too long and can no longer be approved."),
        _("Propose it again; the selection is made anew."),
    ),
    "EMERGENCY_CHANGED": (
        _("What you approve is not what is on record."),
        _("Open the page again, and compare number and hash with your colleague."),
    ),
}


class EmergencyRefusedError(RaError):
    """It cannot be done so, or not now."""

    def __init__(self, code: str) -> None:
        text, hint = _TEXTS[code]
        is_input = code in {"EMERGENCY_SELECTION", "EMERGENCY_EMPTY", "EMERGENCY_TOO_MANY"} | {
            "EMERGENCY_LINES",
            "EMERGENCY_SEARCH",
            "EMERGENCY_WHY",
        }
        super().__init__(code, status=422 if is_input else 409, text=text, hint=hint)


class UnknownLinesError(RaError):
    """Lines that name no certificate in reach: nothing is frozen, so that nobody believes them done."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(
            "EMERGENCY_UNKNOWN_LINES",
            status=422,
            text=_("%(count)s lines name no certificate here: %(lines)s"),
            hint=_("Correct or remove them; nothing has been frozen."),
            count=len(lines),
            lines=", ".join(line[:48] for line in lines[:20]),
        )
        self.lines = lines
