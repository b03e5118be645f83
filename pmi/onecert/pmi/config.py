"""Settings of the PMI, read once at start; see pmi/README.md for one line on each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

__all__ = ["PmiConfig"]


@dataclass(frozen=True, kw_only=True)
class PmiConfig:
    """Section [pmi]. The defaults suit one machine with everything on it."""

    # The token with the authorities' keys. No module: SoftHSM, in the data folder.
    token: str = "pmi"  # noqa: S105  the label of a token, not a secret
    token_module: Path | None = None
    token_pin_file: Path | None = None  # default DATA/pmi/token.pin
    token_sessions: int = 4
    # Processes that check what was signed for a batch; 0: the service does it itself.
    batch_workers: int = 1

    # Revocation lists: how long one is good for, and how often a new one is made without a revocation.
    acrl_lifetime: timedelta = timedelta(hours=24)
    acrl_every: timedelta = timedelta(hours=6)

    # Certificates: the longest validity of a grant, and how long a signature may be outstanding.
    grant_lifetime_max: timedelta = timedelta(days=366)
    intent_timeout: timedelta = timedelta(minutes=5)

    # Who a holder is: the signed trust list and revocation lists, as addresses or folders.
    trust_list: str = ""  # default: the supervision service of the same set-up
    trust_root: Path | None = None  # default DATA/trust-root.json
    trust_state: Path | None = None  # default DATA/pmi/trust-state.json
    trust_list_every: timedelta = timedelta(minutes=5)
    crl_folder: Path | None = None  # default: fetched from the list's supply points
    crl_every: timedelta = timedelta(minutes=1)
    use_ocsp: bool = False  # also ask the CA about each certificate
    fetch_timeout: timedelta = timedelta(seconds=5)

    # Decisions over HTTP: per minute and client address, and per question.
    decisions_per_minute: int = 6000
    decision_max_certificates: int = 16

    # The decision log: how long it is kept, and attributes of resources and contexts never written down.
    decisions_keep: timedelta = timedelta(days=1830)
    decisions_masked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not timedelta(minutes=5) <= self.acrl_lifetime <= timedelta(days=7):
            raise ValueError("acrl_lifetime is between 5 minutes and 7 days")
        if self.acrl_every * 2 > self.acrl_lifetime:
            raise ValueError("acrl_every is at most half of acrl_lifetime, so that one failure does no harm")
        if self.grant_lifetime_max <= timedelta(0):
            raise ValueError("grant_lifetime_max is longer than nothing")
        if not 1 <= self.decision_max_certificates <= 64:
            raise ValueError("decision_max_certificates is between 1 and 64")
        if self.decisions_keep < timedelta(days=1):
            raise ValueError("decisions_keep is at least one day")
        if not 0 <= self.batch_workers <= 64:
            raise ValueError("batch_workers is between 0 and 64")
        if self.decisions_per_minute < 1:
            raise ValueError("decisions_per_minute is at least 1")
