"""Searches: what cannot be asked so."""

from __future__ import annotations

from onecert.ca.errors.base import CaError
from onecert.server.languages import Message, _

__all__ = ["SearchCursorError", "SearchFieldError", "SearchTooWideError"]


class SearchFieldError(CaError):
    """A field is unknown, or its value has another form."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "SEARCH_FIELD",
            status=400,
            text=_(
                "The search cannot be read: the field “%(field)s” is unknown or its value of the wrong form."
            ),
            hint=_(
                "Times have a zone; numbers and thumbprints are complete; names have at least two characters."
            ),
            field=Message(field),
        )


class SearchCursorError(CaError):
    """The cursor belongs to another search, or is none of ours."""

    def __init__(self) -> None:
        super().__init__(
            "SEARCH_CURSOR",
            status=400,
            text=_("The search cannot go on from there: “after” does not belong to it."),
            hint=_("Send the same fields together with the “next” of the answer, or begin anew."),
        )


class SearchTooWideError(CaError):
    """So many serials begin like that."""

    def __init__(self, at_most: int) -> None:
        super().__init__(
            "SEARCH_TOO_WIDE",
            status=422,
            text=_("More than %(at_most)s certificates fit."),
            hint=_("Give more digits."),
            at_most=at_most,
        )
