"""Mass revocations and drills: what cannot be proposed, confirmed or done."""

from __future__ import annotations

from collections.abc import Sequence

from onecert.ca.errors.base import CaError
from onecert.server.languages import Message, _

__all__ = [
    "DrillProfileError",
    "DrillRunningError",
    "MassRevocationAlteredError",
    "MassRevocationChangedError",
    "MassRevocationEmptyError",
    "MassRevocationExpiredError",
    "MassRevocationLinesError",
    "MassRevocationMalformedError",
    "MassRevocationSelectionError",
    "MassRevocationStateError",
    "OfficerTokenError",
    "SecondPersonError",
    "SecurityOfficerError",
    "UnknownDrillError",
    "UnknownMassRevocationError",
]

SHOWN = 50


class MassRevocationMalformedError(CaError):
    """The document cannot be read."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "MASS_REVOCATION_MALFORMED",
            status=400,
            text=_("The mass revocation cannot be read: “%(field)s” is missing, unknown or too much."),
            hint=_("Correct the document, sign it again and post it."),
            field=Message(field),
        )


class MassRevocationLinesError(CaError):
    """The lines are not those of the signed document, or some name nothing; each is named."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        shown = "; ".join(self.faults[:SHOWN])
        super().__init__(
            "MASS_REVOCATION_LINES",
            status=422,
            text=_("%(count)s lines name no certificate of this authority: %(lines)s"),
            hint=_("Correct or leave out these lines and propose again; nothing was frozen."),
            count=len(self.faults),
            lines=shown + (" …" if len(self.faults) > SHOWN else ""),
        )


class MassRevocationSelectionError(CaError):
    """Nothing is selected, or not the lines that were signed for."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "MASS_REVOCATION_SELECTION",
            status=422,
            text=_("The selection cannot be used: %(why)s"),
            hint=_("Correct the selection and propose again; nothing was frozen."),
            why=Message(why),
        )


class MassRevocationEmptyError(CaError):
    """Nothing is left to be revoked."""

    def __init__(self, already: int) -> None:
        super().__init__(
            "MASS_REVOCATION_EMPTY",
            status=422,
            text=_("The selection has no certificate that is not revoked already; %(already)s are."),
            hint=_("Check the authority and the rules of the selection; nothing was frozen."),
            already=already,
        )


class MassRevocationAlteredError(CaError):
    """The number was used before, for something else."""

    def __init__(self, number: str) -> None:
        super().__init__(
            "MASS_REVOCATION_ALTERED",
            status=409,
            text=_("The mass revocation %(number)s is already known with another content."),
            hint=_("Give the new mass revocation a number of its own."),
            number=number,
        )


class MassRevocationChangedError(CaError):
    """What is confirmed is not what was shown."""

    def __init__(self, number: str) -> None:
        super().__init__(
            "MASS_REVOCATION_CHANGED",
            status=409,
            text=_("This confirms something else than what is frozen as mass revocation %(number)s."),
            hint=_("Look at it again; confirm its number of certificates and both hashes exactly."),
            number=number,
        )


class MassRevocationExpiredError(CaError):
    """A proposal that nobody confirmed in time."""

    def __init__(self, number: str, until: str) -> None:
        super().__init__(
            "MASS_REVOCATION_EXPIRED",
            status=409,
            text=_("The mass revocation %(number)s had to be confirmed before %(until)s."),
            hint=_("Propose it again: the certificates are selected anew."),
            number=number,
            until=until,
        )


class MassRevocationStateError(CaError):
    """Not possible in this state."""

    def __init__(self, number: str, state: str) -> None:
        super().__init__(
            "MASS_REVOCATION_STATE",
            status=409,
            text=_("This is not possible while the mass revocation %(number)s is in the state “%(state)s”."),
            hint=_("Look at it with: onecert ca mass-revocation show %(number)s"),
            number=number,
            state=state,
        )


class UnknownMassRevocationError(CaError):
    """Nothing is known of it."""

    def __init__(self, number: str) -> None:
        super().__init__(
            "MASS_REVOCATION_UNKNOWN",
            status=404,
            text=_("No mass revocation %(number)s is on record."),
            hint=_("List them with: onecert ca mass-revocation list"),
            number=number,
        )


class SecondPersonError(CaError):
    """Who confirms is who proposed, or nobody can tell whether they are two."""

    def __init__(self, number: str) -> None:
        super().__init__(
            "SECOND_PERSON",
            status=403,
            text=_("The mass revocation %(number)s must be confirmed by another person."),
            hint=_(
                "Two security officers, or two people of one registration authority; not one of each, because"
                " nobody could tell whether they are two."
            ),
            number=number,
        )


class SecurityOfficerError(CaError):
    """No security officer, or one too many."""

    def __init__(self, officer: str, *, known: bool) -> None:
        super().__init__(
            "SECURITY_OFFICER",
            status=409 if known else 404,
            text=_("%(officer)s is a security officer already.")
            if known
            else _("%(officer)s is no security officer."),
            hint=_("List them with: onecert ca security-officer list"),
            officer=officer,
        )


class OfficerTokenError(CaError):
    """The officer's token was not opened; nothing was signed.

    Args:
        code: of the token layer, such as PIN_WRONG.
        reason: its own words.
    """

    def __init__(self, code: str, reason: str, *, refused: bool) -> None:
        super().__init__(
            code,
            status=403 if refused else 503,
            text=_("The officer's token cannot be used: %(reason)s"),
            hint=_("Nothing was signed. Check token and PIN, then try again."),
            reason=reason,
        )


class DrillProfileError(CaError):
    """The authority has no profile for drill certificates."""

    def __init__(self, authority: str) -> None:
        super().__init__(
            "DRILL_PROFILE",
            status=422,
            text=_("The authority %(authority)s has no profile that a drill may use."),
            hint=_("Give it the profile “drill”, as two officers; nothing was issued."),
            authority=authority,
        )


class DrillRunningError(CaError):
    """One drill of an authority at a time: two would measure each other."""

    def __init__(self, authority: str, drill: str) -> None:
        super().__init__(
            "DRILL_RUNNING",
            status=409,
            text=_("A drill of %(authority)s is running already: %(drill)s."),
            hint=_("Look at it, and ask again when it is done."),
            authority=authority,
            drill=drill,
        )


class UnknownDrillError(CaError):
    """Nothing is known of it."""

    def __init__(self, number: str) -> None:
        super().__init__(
            "DRILL_UNKNOWN",
            status=404,
            text=_("No drill %(number)s is on record."),
            hint=_("List them with: onecert ca drill list"),
            number=number,
        )
