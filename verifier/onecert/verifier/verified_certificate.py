"""What the façade answers: a certificate that may be relied upon, and who its holder is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509

from onecert.verifier.identity.identity import Identity
from onecert.verifier.messages import message
from onecert.verifier.result import ValidatedPath
from onecert.verifier.service_status import Moments, ServiceVerdict
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list.model import TrustedService

__all__ = ["VerifiedCertificate", "moments_of"]


@dataclass(frozen=True, kw_only=True)
class VerifiedCertificate:
    """A certificate that may be relied upon for ``path.purpose`` at ``path.at``, and who its holder is.

    Args:
        as_of: when the bundle was made that all of this rests on; ``None`` for who is not offline.
    """

    identity: Identity
    path: ValidatedPath
    service: TrustedService
    service_verdict: ServiceVerdict
    list_sequence: int
    warnings: tuple[str, ...]
    as_of: datetime | None = None

    @property
    def offline(self) -> bool:
        """Whether nothing later than ``as_of`` was known."""
        return self.as_of is not None

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate."""
        return self.path.certificate

    @property
    def oldest_evidence(self) -> timedelta | None:
        """Age of the oldest revocation answer relied upon; None when none was asked for."""
        return max((evidence.age for evidence in self.path.evidence), default=None)

    def warning_texts(self, language: str = "en") -> list[str]:
        """The warnings for a person."""
        found = [notice.text(language) for notice in self.path.warnings]
        told = {notice.code for notice in self.path.warnings}
        return found + [message(code, language) for code in self.warnings if code not in told]

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the schema version changes when a field changes its meaning or goes away."""
        return {
            "schema": 1,
            "accepted": True,
            **self.identity.as_dict(),
            "ca_name": {"zh": self.service.name.zh, "en": self.service.name.en},
            "ca_status": self.service_verdict.at_use.value,
            "issue_time": self.service_verdict.issue_time,
            "list_sequence": self.list_sequence,
            "offline": self.offline,
            "as_of": self.as_of and format_time(self.as_of),
            "warnings": list(self.warnings),
            "validation": self.path.as_dict(),
        }


def moments_of(path: ValidatedPath, issued_at: datetime | None, at: datetime) -> Moments:
    """The moments that the state of the service depends on; ``issued_at`` is from a record, or ``None``."""
    target = path.target
    return Moments(
        issued=issued_at or target.not_before,
        used=at,
        checked=at,
        recorded=issued_at is not None,
        status_answered=_has_fresh_answer(path),
    )


def _has_fresh_answer(path: ValidatedPath) -> bool:
    """Tell whether the status of the target itself is known, and not only from evidence that is over."""
    stale = any(warning.code == "REVOCATION_STALE" for warning in path.warnings)
    return any(
        # Two certificates of a path may have one serial number, of different issuers.
        source.certificate.der == path.target.der
        and (not stale if source.next_update is None else path.at < source.next_update)
        for source in path.sources
    )
