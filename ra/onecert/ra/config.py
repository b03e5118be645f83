"""Settings of the registration authority: section [ra] of the settings file, or ONECERT_RA_…"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from onecert.ra.evidence.materials import check_policy
from onecert.ra.notices.writing import is_address
from onecert.ra.review.service_level import ServiceLevels, WorkingTime
from onecert.ra.review.thresholds import TwoReviewers

__all__ = ["RaConfig"]


@dataclass(frozen=True, kw_only=True)
class RaConfig:
    """See ra/README.md for one line on each."""

    registration_authority: str = "ra"
    token_label: str = "ra"  # noqa: S105 - the label of a token, not a secret
    token_module: Path | None = None
    token_pin_file: Path | None = None
    ca_timeout: timedelta = timedelta(seconds=20)
    status_timeout: timedelta = timedelta(seconds=4)
    trust_list: str | None = None
    departments: tuple[str, ...] = ()
    authorities_keep: timedelta = timedelta(seconds=60)
    resend_every: timedelta = timedelta(seconds=5)
    test_ids: bool = False
    fields_required: tuple[str, ...] = ("organisation.address", "organisation.postcode")
    consent_texts: Path | None = None
    registry: str | None = None
    trust_root: Path | None = None
    registry_every: timedelta = timedelta(minutes=10)
    registry_refused: tuple[Literal["differs", "unknown", "cancelled", "revoked", "unchecked"], ...] = (
        "cancelled",
        "revoked",
    )
    certificate_required: bool = False
    smtp_host: str | None = None
    smtp_port: int = 587
    smtp_tls: Literal["starttls", "implicit"] = "starttls"
    smtp_ca_file: Path | None = None
    smtp_user: str | None = None
    smtp_password_file: Path | None = None
    smtp_timeout: timedelta = timedelta(seconds=20)
    mail_from: str = "onecert@localhost"
    office_mail: str | None = None
    notices_every: timedelta = timedelta(seconds=30)
    report_zone: str = "Asia/Shanghai"
    browser_keys: tuple[Literal["organisation", "citizen", "employee", "device"], ...] = ()
    code_life: timedelta = timedelta(days=14)
    media_stock_required: bool = False
    materials_required: tuple[str, ...] = ()
    evidence_file_mb: int = 20
    evidence_total_mb: int = 100
    evidence_files: int = 30
    evidence_draft_days: int = 90
    papers_font: Path | None = None
    receipt_days: int = 5
    duties_apart: tuple[Literal["make-enter", "make-review", "archive-enter", "archive-review"], ...] = ()
    second_review: tuple[str, ...] = ()
    service_levels: tuple[str, ...] = (
        "state=submitted|second_review within=4h",
        "state=approved|ordered within=1h",
        "state=returned|refused_by_ca within=5d",
        "state=issued within=5d",
        "state=delivered within=10d",
    )
    working_days: str = "12345"
    working_hours: str = "09:00-17:00"
    holidays: tuple[str, ...] = ()
    pick_keep: timedelta = timedelta(minutes=10)
    unlock_limit: int = 3
    unlock_window: timedelta = timedelta(hours=24)
    batch_max_mb: int = 50
    batch_workers: int = 2
    key_centre_outbox: Path | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` when a policy is not one, or settings do not fit together."""
        self.two_reviewers()
        self.levels()
        check_policy(self.materials_required)
        if not 0 < self.evidence_file_mb <= self.evidence_total_mb or self.evidence_files < 1:
            raise ValueError("evidence_file_mb, evidence_total_mb and evidence_files do not fit together")
        if self.evidence_draft_days < 0:
            raise ValueError("evidence_draft_days: a number of days, or 0 for never")
        if (self.smtp_user is None) != (self.smtp_password_file is None):
            raise ValueError("smtp_user and smtp_password_file need each other")
        for name, address in (("mail_from", self.mail_from), ("office_mail", self.office_mail)):
            if address is not None and not is_address(address):
                raise ValueError(f"{name}: {address!r} is no e-mail address")
        if self.trust_list is not None and self.trust_root is None:
            raise ValueError("trust_list needs trust_root: the file that says whose signature counts")

    def two_reviewers(self) -> TwoReviewers:
        """When two reviewers must agree."""
        return TwoReviewers.from_settings(self.second_review)

    def levels(self) -> ServiceLevels:
        """How long something may wait."""
        working = WorkingTime.from_settings(self.working_days, self.working_hours, self.holidays)
        return ServiceLevels.from_settings(self.service_levels, working)
