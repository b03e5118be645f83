"""Settings of the CA: section `[ca]` of the settings file, or `ONECERT_CA_…`; the README explains each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from onecert.ca.ocsp.messages import PREPARED_HASHES
from onecert.server.languages import gettext

__all__ = ["KEEP_YEARS_MIN", "CaConfig"]

# Electronic Signature Law, article 24: five years after the certificate has ended.
KEEP_YEARS_MIN = 5


@dataclass(frozen=True, kw_only=True)
class CaConfig:
    """What the CA service needs to start; every default is usable."""

    token_label: str = "ca"  # noqa: S105 - the name of a token
    token_pin_file: Path | None = None
    token_module: Path | None = None
    token_sessions: int = 4
    root_token_label: str = "ca-root"  # noqa: S105 - the name of a token
    root_token_pin_file: Path | None = None
    root_token_module: Path | None = None
    order_max_age: timedelta = timedelta(hours=24)
    batch_workers: int = 1
    # How long a proposal to revoke many may wait for the second person.
    mass_revocation_valid: timedelta = timedelta(hours=12)
    # How often each authority with a profile for it has a live drill (0: never), and how slow is an alarm.
    drill_every: timedelta = timedelta(0)
    drill_limit: timedelta = timedelta(seconds=30)
    ocsp_lifetime: timedelta = timedelta(hours=1)
    ocsp_prepared_lifetime: timedelta = timedelta(hours=8)
    ocsp_prepared_hashes: tuple[str, ...] = ("sha1",)
    ocsp_without_nonce: bool = True
    # Where status processes get what nobody signed ahead: http://host:port, or the path of a socket.
    status_signer: str = ""
    status_folder: Path | None = None
    clock_tolerance: timedelta = timedelta(minutes=1)
    timestamp_accuracy: timedelta = timedelta(seconds=1)
    timestamp_ordering: bool = False
    timestamp_needs_kept_clock: bool = True
    status_max_age: timedelta = timedelta(minutes=1)
    system_authority: str = "operations"
    test_identities: bool = False
    # AUTHORITY:SERVICE of those that the trust list obliges to report what they issue.
    issuance_reports: tuple[str, ...] = ()
    issuance_reports_alarm: timedelta = timedelta(hours=1)
    # The checker: a round over everything issued begins this often, and reads so many a minute.
    check_every: timedelta = timedelta(hours=24)
    check_per_minute: int = 1000
    # Retention: the law says five years after the end of a certificate, contracts say ten.
    keep_years: int = 10
    archive_folder: Path | None = None
    archive_timestamps: str = ""  # the authority that stamps archives

    def __post_init__(self) -> None:
        if self.keep_years < KEEP_YEARS_MIN:
            raise ValueError(gettext("keep_years is %(least)s or more", least=KEEP_YEARS_MIN))
        wrong = [name for name in self.ocsp_prepared_hashes if name not in PREPARED_HASHES]
        if wrong or not self.ocsp_prepared_hashes:
            raise ValueError(gettext("ocsp_prepared_hashes is sha1, sha256, or both"))
