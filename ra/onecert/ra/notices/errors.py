"""What goes wrong with a notice."""

from onecert.ra.errors.base import RaError
from onecert.server.languages import _

__all__ = ["DeliveryError", "NoticeRefusedError"]


class NoticeRefusedError(RaError):
    """This is not sent: no address that mail goes to, or a number that must not stand in a mail."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "NOTICE_REFUSED",
            status=422,
            text=_("The notice cannot be written (%(why)s)."),
            hint=_("Check the e-mail address; numbers of identity documents do not belong into a mail."),
            why=why,
        )


class DeliveryError(RaError):
    """Could not: the mail server did not take it. `is_final`: it said that it never will."""

    def __init__(self, detail: str, *, is_final: bool) -> None:
        super().__init__(
            "NOTICE_NOT_SENT",
            status=503,
            text=_("The mail could not be handed over (%(detail)s)."),
            hint=_("It is sent again with growing pauses; the page of notices shows how it stands."),
            detail=detail,
        )
        self.is_final = is_final
