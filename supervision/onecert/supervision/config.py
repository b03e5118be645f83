"""Settings of the supervision: section [supervision] of the settings file, or ONECERT_SUPERVISION_…"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

__all__ = ["SupervisionConfig"]


@dataclass(frozen=True, kw_only=True)
class SupervisionConfig:
    """See supervision/README.md for one line on each."""

    list_validity: timedelta = timedelta(days=14)
    # Share of the validity after which the alarm begins; two officers need time to sign.
    alarm_after_percent: int = 50
    signatures_needed: int = 2
    root_validity: timedelta = timedelta(days=3 * 365)
    timestamp_validity: timedelta = timedelta(days=1)
    timestamp_every: timedelta = timedelta(hours=1)
    registry_validity: timedelta = timedelta(days=30)
    bundle_validity: timedelta = timedelta(days=7)
    # A CA's report that comes so soon counts as of the time that it states.
    issuance_grace: timedelta = timedelta(minutes=10)
    # How often bundle.zip is made among the published files; 0s for never.
    bundle_every: timedelta = timedelta(0)
    # policy.json of these bundles; see docs/offline-department.md.
    bundle_policy: Path | None = None
    token_module: Path | None = None
    officer_token_prefix: str = "list-"  # noqa: S105  the beginning of a label
    audit_token_label: str = "supervision"  # noqa: S105  a label
    # Short: until it is over, a cache may hold a list that the newest timestamp does not name.
    status_max_age: timedelta = timedelta(seconds=10)
    sync_every: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        if not timedelta(hours=1) <= self.list_validity <= timedelta(days=180):
            raise ValueError("list_validity: from 1 hour to 180 days")
        if not timedelta(days=30) <= self.root_validity <= timedelta(days=5 * 365):
            raise ValueError("root_validity: from 30 days to 5 years")
        if not timedelta(minutes=1) <= self.timestamp_validity <= timedelta(days=7):
            raise ValueError("timestamp_validity: from 1 minute to 7 days")
        if not timedelta(seconds=1) <= self.timestamp_every <= self.timestamp_validity / 2:
            raise ValueError("timestamp_every: from 1 second to half of timestamp_validity")
        if not timedelta(hours=1) <= self.registry_validity <= timedelta(days=190):
            raise ValueError("registry_validity: from 1 hour to 190 days")
        if not timedelta(hours=1) <= self.bundle_validity <= timedelta(days=190):
            raise ValueError("bundle_validity: from 1 hour to 190 days")
        if self.bundle_every and not timedelta(minutes=1) <= self.bundle_every <= self.bundle_validity:
            raise ValueError("bundle_every: 0s, or from 1 minute to bundle_validity")
        if not timedelta(0) <= self.issuance_grace <= timedelta(hours=1):
            raise ValueError("issuance_grace: from 0s to 1 hour")
        if not 1 <= self.alarm_after_percent <= 99:
            raise ValueError("alarm_after_percent: from 1 to 99")
        if not 2 <= self.signatures_needed <= 16:
            raise ValueError("signatures_needed: from 2 to 16")
