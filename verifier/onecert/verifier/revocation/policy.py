"""What a department asks of revocation evidence: how strict, which kinds, how old.

The kinds are those of the revocation requirements of RFC 3125 (either, both, one kind), and the two orders of
preference with the other kind to fall back on. Whatever is chosen, a certificate that any believable list or
answer at hand calls revoked is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

__all__ = ["RevocationMode", "RevocationPolicy", "RevocationSources", "later"]

_NOTHING = timedelta(0)


class RevocationMode(StrEnum):
    """What happens when nothing is known."""

    REQUIRE = "require"  # no fresh answer, no acceptance
    PREFER = "prefer"  # accept with a warning; a bad answer still refuses
    OFF = "off"  # do not look


class RevocationSources(StrEnum):
    """Which kind of evidence can say that a certificate is good.

    A preferred kind is asked first and, when it can be believed, answers alone for the certificate. The other
    kind answers when the first is missing, cannot be believed, or can be used only because it is allowed
    offline. Of a kind that does not answer, what is at hand is still searched for a revocation.
    """

    EITHER = "either"  # all that is at hand is asked; one good answer is enough
    PREFER_OCSP = "prefer-ocsp"
    PREFER_CRL = "prefer-crl"
    OCSP = "ocsp"
    CRL = "crl"
    BOTH = "both"  # a list and an OCSP answer, and both say good


@dataclass(frozen=True, kw_only=True)
class RevocationPolicy:
    """How revocation is judged. The default is the strict one.

    Args:
        mode: for end certificates.
        ca_mode: for CA certificates; ``None`` for the same as ``mode``.
        sources: for end certificates.
        ca_sources: for CA certificates; ``None`` for the same as ``sources``.
        allow_offline: how long after its end (next_update) a list or an answer is still used when there is no
            fresh one, with a warning that tells its age.
        ocsp_max_age: how old an OCSP answer without next_update may be.
        clock_skew: how far an OCSP answer may seem to come from the future.
        use_deltas: apply delta CRLs that fit.
        nonce: the nonce that was sent; answers that repeat another one, or none, are not used.

    Raises:
        ValueError: a duration is negative, or there is no such mode or kind of source.
    """

    mode: RevocationMode = RevocationMode.REQUIRE
    ca_mode: RevocationMode | None = None
    sources: RevocationSources = RevocationSources.EITHER
    ca_sources: RevocationSources | None = None
    allow_offline: timedelta = _NOTHING
    ocsp_max_age: timedelta = timedelta(hours=24)
    clock_skew: timedelta = timedelta(minutes=5)
    use_deltas: bool = True
    nonce: bytes | None = None

    def __post_init__(self) -> None:
        """Take the words of modes and sources too; what is compared later are the members."""
        for name, kind in (("mode", RevocationMode), ("sources", RevocationSources)):
            object.__setattr__(self, name, kind(getattr(self, name)))
            of_ca = getattr(self, f"ca_{name}")
            object.__setattr__(self, f"ca_{name}", None if of_ca is None else kind(of_ca))
        if min(self.allow_offline, self.ocsp_max_age, self.clock_skew) < _NOTHING:
            raise ValueError("allow_offline, ocsp_max_age and clock_skew must not be negative")

    def mode_for(self, *, is_ca: bool) -> RevocationMode:
        """What happens when nothing is known of such a certificate."""
        return self.ca_mode if is_ca and self.ca_mode is not None else self.mode

    def sources_for(self, *, is_ca: bool) -> RevocationSources:
        """Which kind of evidence can say that such a certificate is good."""
        return self.ca_sources if is_ca and self.ca_sources is not None else self.sources

    def last_use(self, end: datetime) -> datetime:
        """When evidence that is good until ``end`` can no longer be used, not even offline."""
        return later(end, self.allow_offline)


def later(moment: datetime, by: timedelta) -> datetime:
    """``moment + by``; a list may say 9999-12-31, and there is no time after that."""
    try:
        return moment + by
    except OverflowError:
        return datetime.max.replace(tzinfo=moment.tzinfo)
