"""The console: what cannot be done because it is not what was shown."""

from __future__ import annotations

from onecert.ca.errors.base import CaError
from onecert.server.languages import Message, _

__all__ = ["FormValueError", "NotOnPagesError", "ShownChangedError"]


class ShownChangedError(CaError):
    """What would be done is not what the person saw."""

    def __init__(self) -> None:
        super().__init__(
            "SHOWN_CHANGED",
            status=409,
            text=_("What you saw has changed meanwhile; nothing was done."),
            hint=_("Look at it as it is now, and decide again."),
        )


class FormValueError(CaError):
    """A field of a form cannot be read."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "FORM_VALUE",
            status=422,
            text=_("“%(field)s” cannot be read."),
            hint=_("Correct the field; nothing was changed."),
            field=Message(field),
        )


class NotOnPagesError(CaError):
    """The offline token is needed, which only commands open."""

    def __init__(self, authority: str) -> None:
        super().__init__(
            "NOT_ON_PAGES",
            status=422,
            text=_("Certificates of the root %(authority)s are revoked by command: that opens its token."),
            hint=_("On the machine of the CA: onecert ca revoke."),
            authority=authority,
        )
