"""The figures that alert rules look at, brought up to date by a job of every process, every 15 seconds.

What has an age is a moment (a rule subtracts it from `time()`), so that a process that hangs does not look
young for ever; `onecert_figures_timestamp_seconds` says when a service's figures were last right. Zero
means "never". deploy/monitoring/onecert.rules.yml has the rules, docs/operator.md what to do about each.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from prometheus_client import Gauge
from sqlalchemy import select

from onecert.server import metrics
from onecert.server.audit.heads import oldest_unsigned
from onecert.server.backup.ages import backup_ages
from onecert.server.config import ServerConfig
from onecert.server.errors import ServiceError
from onecert.server.kernel_clock import kernel_clock
from onecert.server.leases import LEASE
from onecert.server.members import Context, Service
from onecert.server.models import jobs

__all__ = ["FIGURES_EVERY", "Figures", "moment"]

FIGURES_EVERY = timedelta(seconds=15)
_OF_SERVICE = ["service"]


def _gauge(name: str, text: str, labels: list[str]) -> Gauge:
    return Gauge(f"onecert_{name}", text, labels, registry=metrics.registry)


_figures_at = _gauge("figures_timestamp_seconds", "When a service's figures were last taken", _OF_SERVICE)
_database_up = _gauge("database_up", "1 while the database answers", _OF_SERVICE)
_ready = _gauge("ready", "1 while a readiness check finds nothing", ["service", "check"])
_unsigned_since = _gauge(
    "audit_unsigned_since_timestamp_seconds",
    "Time of the oldest audit entry that no signed head covers; 0: all are signed",
    _OF_SERVICE,
)
_job_due = _gauge(
    "job_due_timestamp_seconds",
    "Since when a job waits for somebody; 0: it does not",
    ["service", "job"],
)
_job_failures = _gauge("job_failures_in_a_row", "Failures since it last went well", ["service", "job"])
_disk_free = _gauge("disk_free_bytes", "Room on the disk of the data folder", _OF_SERVICE)
_disk_size = _gauge("disk_size_bytes", "Size of the disk of the data folder", _OF_SERVICE)
_clock_kept = _gauge("clock_kept", "1 while a time daemon keeps the machine's clock", [])
_clock_error = _gauge("clock_error_seconds", "How far the clock may be off, as its daemon says", [])
_tls_end = _gauge("tls_certificate_expires_timestamp_seconds", "When the TLS certificate ends", [])
_backup = _gauge("backup_timestamp_seconds", "When a service was last copied; 0: never", _OF_SERVICE)
_drill = _gauge(
    "backup_drill_timestamp_seconds", "When a service last came back in a drill; 0: never", _OF_SERVICE
)
_backup_max = _gauge("backup_max_age_seconds", "What the settings allow; 0: anything", _OF_SERVICE)
_drill_max = _gauge("backup_drill_max_age_seconds", "What the settings allow; 0: anything", _OF_SERVICE)


def moment(at: datetime | None) -> float:
    """A moment as Prometheus counts; 0 for never."""
    return at.timestamp() if at is not None else 0.0


class Figures:
    """The figures of one service in this process.

    Args:
        checks: its readiness checks.
        of_service: brings its own figures up to date.
    """

    def __init__(
        self,
        context: Context,
        server: ServerConfig,
        *,
        checks: Mapping[str, Callable[[], None]],
        service: Service,
    ) -> None:
        self._context = context
        self._server = server
        self._checks = checks
        self._service = service

    def take(self, _slot: datetime) -> None:
        """Bring all up to date; a database that does not answer is a figure, too."""
        context, at = self._context, self._context.clock.now()
        name = context.name
        self._machine()
        for check, look in self._checks.items():
            _ready.labels(name, check).set(_is_well(look))
        try:
            self._of_record(at)
        except ServiceError:
            _database_up.labels(name).set(0)
            return
        _database_up.labels(name).set(1)
        if self._service.figures is not None:
            self._service.figures(at)
        _figures_at.labels(name).set(at.timestamp())

    def _of_record(self, at: datetime) -> None:
        context, name = self._context, self._context.name
        with context.database.reading() as connection:
            _unsigned_since.labels(name).set(moment(oldest_unsigned(connection)))
            for row in connection.execute(
                select(jobs.c.name, jobs.c.due, jobs.c.lease_until, jobs.c.failures)
            ):
                is_held = row.lease_until is not None and row.lease_until > at
                is_late = not is_held and row.due + LEASE < at
                _job_due.labels(name, row.name).set(row.due.timestamp() if is_late else 0)
                _job_failures.labels(name, row.name).set(row.failures)
        ages = backup_ages(context.database)
        _backup.labels(name).set(moment(ages.made_at))
        _drill.labels(name).set(moment(ages.drilled_at))

    def _machine(self) -> None:
        context, server, name = self._context, self._server, self._context.name
        usage = shutil.disk_usage(context.data)
        _disk_free.labels(name).set(usage.free)
        _disk_size.labels(name).set(usage.total)
        found = kernel_clock()
        _clock_kept.set(found is None or found.is_kept)
        _clock_error.set(found.max_error.total_seconds() if found is not None else 0)
        _backup_max.labels(name).set(server.backup_max_age.total_seconds())
        _drill_max.labels(name).set(server.backup_drill_max_age.total_seconds())
        end = _end_of(server.tls_certificate or context.shared / "tls" / "certificate.pem")
        if end is not None and server.https_socket is None:
            _tls_end.set(end.timestamp())


def _is_well(look: Callable[[], None]) -> bool:
    try:
        look()
    except Exception:
        return False
    return True


def _end_of(path: Path) -> datetime | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None
