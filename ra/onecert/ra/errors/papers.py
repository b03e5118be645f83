"""What keeps a paper from being printed."""

from onecert.ra.errors.base import RaError
from onecert.server.languages import _

__all__ = ["FontMissingError", "PaperRefusedError"]

_TEXTS = {
    "PAPER_NOT_YET": (
        _("This paper cannot be printed in the present state (%(state_name)s)."),
        _("A receipt needs a submitted application, a hand-over slip an issued certificate."),
    ),
}


class FontMissingError(RaError):
    """Could not: no font with Chinese characters is there."""

    def __init__(self, path: str) -> None:
        super().__init__(
            "PAPER_FONT_MISSING",
            status=503,
            text=_("Papers cannot be printed: the font %(path)s is missing or is none."),
            hint=_(
                "Tell the operator of the service: install Debian's package fonts-noto-cjk, or name another"
                " font with the setting papers_font."
            ),
            path=path,
        )


class PaperRefusedError(RaError):
    """The record has nothing to print on this paper yet."""

    def __init__(self, code: str, **facts: object) -> None:
        text, hint = _TEXTS[code]
        super().__init__(code, status=409, text=text, hint=hint, **facts)
