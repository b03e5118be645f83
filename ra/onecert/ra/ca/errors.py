"""What can go wrong between the registration authority and the CA: no answer, a wrong answer, a refusal."""

from onecert.ra.errors import RaError
from onecert.server.languages import _

__all__ = ["CaAnswerError", "CaRefusedError", "CaUnreachableError"]


class CaUnreachableError(RaError):
    """Could not: no answer, or none that can be understood. What was sent may have been done or not."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "CA_UNREACHABLE",
            status=503,
            text=_("The certification authority could not be reached (%(detail)s)."),
            hint=_(
                "Nothing is lost: the order is sent again with the same number until the answer is known."
            ),
            detail=detail,
        )


class CaAnswerError(CaUnreachableError):
    """Could not: the CA answered something that is not of the agreed form, or not about what was asked."""

    def __init__(self, what: str) -> None:
        super().__init__(f"wrong answer: {what}")


class CaRefusedError(RaError):
    """Refused: the CA understood and said no."""

    def __init__(self, code: str, detail: str, status: int = 409) -> None:
        super().__init__(
            "CA_REFUSED",
            status=status,
            text=_("The certification authority refused: %(detail)s (%(ca_code)s)."),
            hint=_("Correct what the authority names, then submit again; a second person reviews it again."),
            ca_code=code,
            detail=detail,
        )
        self.ca_code = code
        self.detail = detail
