"""Watches the age of list, root and timestamp: figures, warnings in time, not ready when one is over."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import Gauge

from onecert.server import metrics
from onecert.server.errors import ServiceError
from onecert.supervision.config import SupervisionConfig
from onecert.supervision.errors import TrustListOverdueError
from onecert.supervision.records import Publication, find_publication
from onecert.supervision.root_errors import TimestampOverdueError, TrustRootOverdueError
from onecert.supervision.root_records import RootRecord, TimestampRecord, find_root, find_timestamp
from onecert.supervision.service import Supervision

__all__ = ["ListAge", "Watch", "list_age"]

log = logging.getLogger(__name__)

_sequence = Gauge(
    "onecert_trust_list_sequence", "Number of the published trust list", registry=metrics.registry
)
_next_update = Gauge(
    "onecert_trust_list_next_update_timestamp_seconds",
    "When the published trust list is over",
    registry=metrics.registry,
)
_alarm = Gauge(
    "onecert_trust_list_alarm",
    "1 from the time on when the next trust list should be signed",
    registry=metrics.registry,
)
_root_version = Gauge("onecert_trust_root_version", "Version of the trust root", registry=metrics.registry)
_root_expires = Gauge(
    "onecert_trust_root_expires_timestamp_seconds", "When the trust root is over", registry=metrics.registry
)
_root_alarm = Gauge(
    "onecert_trust_root_alarm",
    "1 from the time on when the next trust root should be signed",
    registry=metrics.registry,
)
_timestamp_version = Gauge(
    "onecert_trust_timestamp_version", "Version of the newest trust timestamp", registry=metrics.registry
)
_timestamp_expires = Gauge(
    "onecert_trust_timestamp_expires_timestamp_seconds",
    "When the newest trust timestamp is over",
    registry=metrics.registry,
)
_timestamp_alarm = Gauge(
    "onecert_trust_timestamp_alarm",
    "1 when half of the newest trust timestamp's time has passed",
    registry=metrics.registry,
)
_timestamp_failing = Gauge(
    "onecert_trust_timestamp_failing", "1 when the last attempt to sign one failed", registry=metrics.registry
)


@dataclass(frozen=True)
class ListAge:
    """How old the published list is at a moment."""

    sequence: int
    alarm_from: datetime
    next_update: datetime
    at: datetime

    @property
    def left(self) -> timedelta:
        """Time until verifiers refuse it."""
        return self.next_update - self.at

    @property
    def is_alarm(self) -> bool:
        """The next list should be signed now."""
        return self.at >= self.alarm_from

    @property
    def is_over(self) -> bool:
        """Verifiers refuse it."""
        return self.at >= self.next_update


def list_age(publication: Publication, config: SupervisionConfig, *, at: datetime) -> ListAge:
    """The age of a published list."""
    validity = publication.next_update - publication.issued_at
    return ListAge(
        sequence=publication.sequence,
        alarm_from=publication.issued_at + validity * config.alarm_after_percent / 100,
        next_update=publication.next_update,
        at=at,
    )


class Watch:
    """The periodic work and the readiness check of the service."""

    def __init__(self, supervision: Supervision) -> None:
        self._the = supervision

    def run(self, at: datetime) -> None:
        """Sign the timestamp when it is due, keep the files in line with the record, tell how old all is.

        Raises:
            ServiceError: the timestamp could not be signed; everything else was done.
        """
        try:
            self._the.release(actor="job:supervision.published")
            _timestamp_failing.set(0)
        except ServiceError:
            _timestamp_failing.set(1)
            raise
        finally:
            self._tell(at)

    def _tell(self, at: datetime) -> None:
        publication, root, timestamp = self._newest()
        if root is not None:
            _root_version.set(root.version)
            _root_expires.set(root.expires_at.timestamp())
            _root_alarm.set(1 if at >= root_alarm_from(root) else 0)
            if at >= root_alarm_from(root):
                log.warning(
                    "trust root needs its next version",
                    extra={"version": root.version, "expires_at": root.expires_at.isoformat()},
                )
        if timestamp is not None:
            _timestamp_version.set(timestamp.version)
            _timestamp_expires.set(timestamp.expires_at.timestamp())
            _timestamp_alarm.set(1 if at >= timestamp_alarm_from(timestamp) else 0)
        if publication is None:
            return
        age = list_age(publication, self._the.config, at=at)
        _sequence.set(age.sequence)
        _next_update.set(age.next_update.timestamp())
        _alarm.set(1 if age.is_alarm else 0)
        if age.is_alarm:
            log.warning(
                "trust list needs its next issue",
                extra={"sequence": age.sequence, "next_update": age.next_update.isoformat()},
            )

    def check(self) -> None:
        """Readiness.

        Raises:
            TrustListOverdueError, TrustRootOverdueError, TimestampOverdueError: published, and over.
        """
        at = self._the.editor.clock.now()
        publication, root, timestamp = self._newest()
        if publication is not None and list_age(publication, self._the.config, at=at).is_over:
            raise TrustListOverdueError(publication.sequence)
        if root is not None and at >= root.expires_at:
            raise TrustRootOverdueError(root.version)
        if timestamp is not None and at >= timestamp.expires_at:
            raise TimestampOverdueError(timestamp.version, timestamp.expires_at)

    def _newest(self) -> tuple[Publication | None, RootRecord | None, TimestampRecord | None]:
        with self._the.editor.database.reading() as connection:
            return find_publication(connection), find_root(connection), find_timestamp(connection)


def root_alarm_from(root: RootRecord) -> datetime:
    """When the next root should be signed: a quarter of its time is left, or 60 days."""
    return root.expires_at - min((root.expires_at - root.issued_at) / 4, timedelta(days=60))


def timestamp_alarm_from(timestamp: TimestampRecord) -> datetime:
    """Half of its time has passed: signing has failed for hours."""
    return timestamp.issued_at + (timestamp.expires_at - timestamp.issued_at) / 2
