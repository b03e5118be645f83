"""When a signature existed: proved by a timestamp that we trust, or not proved, with the reason.

A signing-time attribute is the signer's own word and proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import RefusedError, VerifyError
from onecert.verifier.result import Notice
from onecert.verifier.signed_form.timestamp import Timestamp, TimestampTrust, check_timestamp

__all__ = ["ProvedTime", "Stamped", "prove_time", "whole_second_after"]

_TOKENS_MAX = 4


@dataclass(frozen=True, slots=True)
class Stamped:
    """A timestamp token, and the octets that it should stamp."""

    token: bytes
    data: bytes


@dataclass(frozen=True, kw_only=True)
class ProvedTime:
    """The signature existed at ``at``.

    ``source`` is "timestamp", "archive" (an evidence record was stamped) or "now"; then ``failure`` says why
    nothing earlier is proved: the first error of a timestamp, or ``FORM_NO_TIMESTAMP``.
    """

    at: datetime
    source: str
    timestamp: Timestamp | None = None
    failure: VerifyError | None = None

    @property
    def is_proved(self) -> bool:
        """Whether something else than the clock of this check vouches for the time."""
        return self.source != "now"

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a person may want to know about it."""
        if self.failure is None:
            return ()
        return (Notice("FORM_TIME_NOT_PROVED", (("reason", str(self.failure)),)),)


def prove_time(
    stamps: Sequence[Stamped],
    *,
    trust: TimestampTrust | None,
    at: datetime,
    candidates: Sequence[ParsedCertificate] = (),
    known_at: datetime | None = None,
    archived_at: datetime | None = None,
) -> ProvedTime:
    """The earliest time that a good token proves; else the archive's, else now.

    Args:
        stamps: the timestamps that came along; at most four are looked at.
        known_at: judge the authorities with what was known then; ``None`` for ``at``.
        archived_at: when an evidence record with the signature was stamped.
    """
    failure: VerifyError = RefusedError("FORM_NO_TIMESTAMP")
    if stamps and trust is None:
        failure = RefusedError("FORM_NO_TIMESTAMP_TRUST")
    good: list[Timestamp] = []
    if trust is not None:
        for index, stamp in enumerate(stamps[:_TOKENS_MAX]):
            try:
                good.append(
                    check_timestamp(
                        stamp.token,
                        stamp.data,
                        trust=trust,
                        at=at,
                        candidates=candidates,
                        known_at=known_at,
                    )
                )
            except VerifyError as exc:
                if not index:
                    failure = exc
    if good:
        earliest = min(good, key=lambda timestamp: timestamp.latest)
        return ProvedTime(at=whole_second_after(earliest.latest), source="timestamp", timestamp=earliest)
    if archived_at is not None:
        return ProvedTime(at=archived_at, source="archive")
    return ProvedTime(at=at.replace(microsecond=0), source="now", failure=failure)


def whole_second_after(moment: datetime) -> datetime:
    """Certificates and lists count in whole seconds; a proof must not become earlier by rounding."""
    if not moment.microsecond:
        return moment
    return moment.replace(microsecond=0) + timedelta(seconds=1)
