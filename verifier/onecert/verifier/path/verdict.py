"""One reason for all the paths that failed."""

from __future__ import annotations

from collections.abc import Sequence

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import (
    BudgetError,
    CouldNotCheckError,
    RefusedError,
    RevokedError,
    SignatureInvalidError,
    VerifyError,
)
from onecert.verifier.result import Attempt

__all__ = ["choose_reason", "unknown_issuer"]


def choose_reason(
    target: ParsedCertificate, attempts: Sequence[Attempt], exhausted: BudgetError | None
) -> VerifyError:
    """The one error to raise for all that failed: the most certain, then the one nearest to an anchor."""
    errors = [attempt.error for attempt in attempts]
    for error in errors:
        if isinstance(error, RevokedError) and error.certificate == target.certificate:
            return error
    if exhausted is not None:
        return exhausted
    # One path that could not be checked might have been good: then we do not know.
    for error in errors:
        if isinstance(error, CouldNotCheckError):
            return error
    anchored = [attempt.error for attempt in attempts if attempt.anchor is not None]
    for error in sorted(anchored or errors, key=lambda item: isinstance(item, SignatureInvalidError)):
        return error
    return unknown_issuer(target)


def unknown_issuer(certificate: ParsedCertificate) -> RefusedError:
    """Nobody known has issued this certificate."""
    return RefusedError(
        "ISSUER_UNKNOWN" if certificate.issuer else "CERT_ISSUER_EMPTY",
        certificate=certificate.certificate,
        source="RFC 5280, section 6.1",
        subject=certificate.subject_text,
        issuer=certificate.issuer_text,
    )
