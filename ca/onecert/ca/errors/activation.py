"""Keys that several people unlock together: what is refused."""

from __future__ import annotations

from onecert.ca.errors.base import CaError
from onecert.server.languages import _

__all__ = ["ActivationError", "ShareError", "TokenWaitsError"]


class TokenWaitsError(CaError):
    """The PIN is split, and not enough of its holders have come."""

    def __init__(self, token: str, given: int, needed: int) -> None:
        self.given, self.needed = given, needed
        super().__init__(
            "TOKEN_WAITS",
            status=503,
            text=_("The token “%(token)s” is waiting for %(missing)s of %(needed)s holders."),
            hint=_("Each holder runs: onecert ca activation activate --share FILE"),
            token=token,
            missing=needed - given,
            needed=needed,
        )


class ShareError(CaError):
    """A share that does not count."""

    def __init__(self, code: str, text: str, **facts: object) -> None:
        super().__init__(
            code,
            status=422,
            text=text,
            hint=_("Take the newest share file of this token, and its passphrase; each holder counts once."),
            **facts,
        )


class ActivationError(CaError):
    """The PIN of a token cannot be split or changed this way."""

    def __init__(self, text: str, **facts: object) -> None:
        super().__init__(
            "ACTIVATION",
            status=422,
            text=text,
            hint=_("See docs/ceremonies.md, section “Several people unlock a token”."),
            **facts,
        )
