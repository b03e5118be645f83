"""The lint of others' certificates: what it cannot be asked to compare them with."""

from __future__ import annotations

from onecert.ca.errors.base import CaError
from onecert.server.languages import _

__all__ = ["LintIssuerError", "LintProfileError"]


class LintIssuerError(CaError):
    """The file of the issuer holds no certificate, or several."""

    def __init__(self, file: str) -> None:
        super().__init__(
            "LINT_ISSUER",
            status=422,
            text=_("The file “%(file)s” does not hold exactly one certificate."),
            hint=_(
                "Give the issuer's certificate alone, in DER or PEM, or the name of an authority of this CA."
            ),
            file=file,
        )


class LintProfileError(CaError):
    """No profile of that name comes with the CA, and no file has it."""

    def __init__(self, name: str, known: str) -> None:
        super().__init__(
            "LINT_PROFILE",
            status=404,
            text=_("No profile “%(name)s” comes with the CA, and there is no such file."),
            hint=_(
                "With --issuer and the name of an authority its own profiles are known; otherwise: %(known)s."
            ),
            name=name,
            known=known,
        )
