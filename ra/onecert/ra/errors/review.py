"""What is refused in review, filing and cases."""

from datetime import datetime

from onecert.ra.errors.base import RaError
from onecert.server.languages import _

__all__ = [
    "FilingInvalidError",
    "NothingToReviewError",
    "ObjectionsError",
    "ReturnReasonError",
    "UnlockLimitError",
]


class ReturnReasonError(RaError):
    """A reason that is not in the list, or not for this field."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(
            "RETURN_REASON",
            status=422,
            text=_("The reason “%(reason)s” cannot be given for “%(field)s”."),
            hint=_("Choose a reason from the list of that field; at most 40 at once."),
            reason=reason[:32],
            field=field[:32] or "-",
        )


class NothingToReviewError(RaError):
    """Nothing is waiting that this operator may review."""

    def __init__(self) -> None:
        super().__init__(
            "NOTHING_TO_REVIEW",
            status=404,
            text=_("Nothing is waiting that you may review just now."),
            hint=_(
                "What you entered yourself is reviewed by others, and colleagues may be reading the rest."
            ),
        )


class ObjectionsError(RaError):
    """Approve was pressed while objections are chosen."""

    def __init__(self) -> None:
        super().__init__(
            "OBJECTIONS",
            status=422,
            text=_("You chose objections, so nothing has been approved."),
            hint=_("Return the application with them, or take them away and approve."),
        )


class FilingInvalidError(RaError):
    """Where the papers are filed is missing or cannot be read."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "FILING_INVALID",
            status=422,
            text=_("The value “%(name)s” of the filing is missing or too long."),
            hint=_("Write the number on the box or shelf, at most 64 characters."),
            name=name,
        )


class UnlockLimitError(RaError):
    """The token of this certificate was unlocked too often of late."""

    def __init__(self, *, limit: int, hours: int, again: datetime) -> None:
        super().__init__(
            "UNLOCK_LIMIT",
            status=429,
            text=_(
                "The token of this certificate was to be unlocked %(limit)s times within %(hours)s hours."
            ),
            hint=_(
                "Possible again from %(again)s. If somebody is guessing the PIN, have the certificate put on"
                " hold instead."
            ),
            limit=limit,
            hours=hours,
            again=again,
        )
