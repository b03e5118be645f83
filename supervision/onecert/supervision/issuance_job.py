"""Keeps the published record of issued certificates in line with the reports, and tells how it stands."""

from __future__ import annotations

import logging
from datetime import datetime

from prometheus_client import Gauge

from onecert.server import metrics
from onecert.server.clock import Clock
from onecert.server.errors import ServiceError
from onecert.supervision.issuance_errors import IssuanceRecordOverdueError
from onecert.supervision.issuance_publishing import IssuanceRecords
from onecert.supervision.issuance_reports import IssuanceReports

__all__ = ["IssuanceJob"]

log = logging.getLogger(__name__)

_entries = Gauge(
    "onecert_issuance_entries",
    "How many certificates a CA has reported",
    ["trust_service"],
    registry=metrics.registry,
)
_reported_at = Gauge(
    "onecert_issuance_reported_timestamp_seconds",
    "When a CA last reported what it issued",
    ["trust_service"],
    registry=metrics.registry,
)
_next_update = Gauge(
    "onecert_issuance_record_next_update_timestamp_seconds",
    "When the published record of issued certificates is over",
    registry=metrics.registry,
)
_failing = Gauge(
    "onecert_issuance_record_failing",
    "1 when the last attempt to publish the record of issued certificates failed",
    registry=metrics.registry,
)


class IssuanceJob:
    """The periodic work and the readiness check."""

    def __init__(self, reports: IssuanceReports, records: IssuanceRecords, clock: Clock) -> None:
        self._reports = reports
        self._records = records
        self._clock = clock

    def run(self, _at: datetime) -> None:
        """Sign and publish what is due.

        Raises:
            ServiceError: it could not be signed; the record of before stays published.
        """
        try:
            self._records.release(actor="job:supervision.issuances")
            _failing.set(0)
        except ServiceError as exc:
            _failing.set(1)
            log.warning("issuance record not published", extra={"code": exc.code})
            raise
        finally:
            newest = self._records.newest()
            if newest is not None:
                _next_update.set(newest.next_update.timestamp())
            for each in self._reports.reporters():
                _entries.labels(each.service).set(each.entries)
                if each.reported_at is not None:
                    _reported_at.labels(each.service).set(each.reported_at.timestamp())

    def check(self) -> None:
        """Readiness.

        Raises:
            IssuanceRecordOverdueError: published, and over.
        """
        newest = self._records.newest()
        if newest is not None and self._clock.now() >= newest.next_update:
            raise IssuanceRecordOverdueError(newest.number)
