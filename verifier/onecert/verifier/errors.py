"""Every exception that leaves this library.

``RefusedError`` says no; ``CouldNotCheckError`` says that nobody could tell. Neither lets anyone in. The code
is stable and is what programs compare; the text comes from the catalogue in ``messages/``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from onecert.verifier.error_codes import Compatibility, compatibility_of, desk_of
from onecert.verifier.messages import hint, message, row

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from onecert.verifier.result import Attempt

__all__ = [
    "BudgetError",
    "CouldNotCheckError",
    "MalformedError",
    "RefusedError",
    "RevocationUnknownError",
    "RevokedError",
    "SignatureInvalidError",
    "VerifyError",
]


_CONTACT = ("service", "ca", "ca_en", "hotline")


class VerifyError(Exception):
    """Do not rely on what was presented.

    Args:
        code: stable name of the reason, UPPER_SNAKE; a row of the catalogue.
        certificate: the certificate that the reason concerns, when there is one.
        source: the rule behind the refusal, such as "RFC 5280, section 6.1.3 (a)(2)".
        facts: values for the text; plain strings, numbers and times.
    """

    def __init__(
        self,
        code: str,
        /,
        *,
        certificate: x509.Certificate | None = None,
        source: str = "",
        **facts: object,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.certificate = certificate
        self.source = source
        self.facts: Mapping[str, object] = facts
        self.attempts: Sequence[Attempt] = ()

    def text(self, language: str = "en") -> str:
        """The reason for a person, in ``zh`` or ``en``."""
        return message(self.code, language, **self.facts)

    def hint(self, language: str = "en") -> str:
        """What the person can do next, or an empty string; with the CA and its hotline where it is known."""
        parts = hint(self.code, language, **self.facts), self._contact_text(language)
        return " ".join(filter(None, parts))

    def contact(self) -> dict[str, object]:
        """Whom to call, where the CA service is known: ``service``, ``ca``, ``ca_en``, ``hotline`` ("-" for
        none), from the trust list; empty otherwise."""
        return {name: self.facts[name] for name in _CONTACT if name in self.facts}

    def _contact_text(self, language: str) -> str:
        if "ca" not in self.facts or any("{hotline}" in text for text in row(self.code).values()):
            return ""
        known = str(self.facts.get("hotline", "-")) != "-"
        return message("LABEL_CALL_HOTLINE" if known else "LABEL_CALL", language, **self.facts)

    def desk(self, language: str = "en") -> str:
        """What the help desk can do about it, in ``zh`` or ``en``."""
        return desk_of(self.code, language)

    def compatibility(self) -> Compatibility:
        """The numbers that older interfaces (SAR, BJCA) have for this reason, or their general ones."""
        return compatibility_of(self.code)

    def __str__(self) -> str:
        return f"{self.code}: {self.text('en')}"


class RefusedError(VerifyError):
    """The answer is no."""


class MalformedError(RefusedError):
    """The bytes are not what they should be: wrong encoding, structure or size."""


class SignatureInvalidError(RefusedError):
    """A signature does not belong to this data and this key."""


class RevokedError(RefusedError):
    """The issuer has revoked or suspended the certificate."""

    def __init__(
        self,
        code: str,
        /,
        *,
        revoked_at: datetime,
        reason: str,
        certificate: x509.Certificate | None = None,
        source: str = "",
        **facts: object,
    ) -> None:
        super().__init__(
            code, certificate=certificate, source=source, revoked_at=revoked_at, reason=reason, **facts
        )
        self.revoked_at = revoked_at
        self.reason = reason


class CouldNotCheckError(VerifyError):
    """The answer is not known: evidence is missing, stale or contradictory. Nobody is let in."""


class RevocationUnknownError(CouldNotCheckError):
    """No answer about revocation was fresh and trustworthy enough."""


class BudgetError(CouldNotCheckError):
    """The search was stopped because the input asked for too much work."""
