"""Settings of the registration authority: section [ra] of the settings file, or ONECERT_RA_…"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

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
    authorities_keep: timedelta = timedelta(seconds=60)
    resend_every: timedelta = timedelta(seconds=5)
    test_ids: bool = False
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
    materials_required: tuple[str, ...] = ()
    evidence_file_mb: int = 20
    evidence_total_mb: int = 100
    evidence_files: int = 30
    papers_font: Path | None = None
    duties_apart: tuple[Literal["make-enter", "make-review", "archive-enter", "archive-review"], ...] = ()
