"""Periodic work: one lease row per job, one UPDATE to claim it, safe with many instances.

A job has slots: moments at a fixed distance. Whoever's UPDATE hits the row owns the slot for the length of
the lease and renews it while the work lasts. If that process dies, the lease runs out and another instance
runs the *same slot* again; that is why a job must be idempotent in its slot time. Slots that were missed
(everything was down) are not made up one by one: the newest one runs.

The rows and their leases are in leases.py.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from onecert.server import metrics
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.leases import LEASE, Leases, Slot
from onecert.server.models import jobs as jobs_table

__all__ = ["Job", "JobRunner"]

log = logging.getLogger(__name__)

_FIRST_RETRY = timedelta(seconds=5)
_POLL_S = 1.0
_MAX_POLL_S = 5.0


@dataclass(frozen=True)
class Job:
    """Periodic work.

    `run` gets the slot time. It may be called twice for one slot (after a crash, after a failure), also by
    another process, and must then do nothing twice.
    """

    name: str
    every: timedelta
    run: Callable[[datetime], None]

    def __post_init__(self) -> None:
        if self.every < timedelta(seconds=1):
            raise ValueError(f"job {self.name}: at least one second must lie between two runs")


class JobRunner:
    """Runs the jobs of one service in this process, taking turns with the other instances.

    Args:
        service: for logs and metrics.
        lease: how long after its last sign of life a dead owner's slot is given to another.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        jobs: Sequence[Job],
        *,
        service: str = "",
        lease: timedelta = LEASE,
        workers: int = 4,
    ) -> None:
        names = [job.name for job in jobs]
        if len(set(names)) != len(names):
            raise ValueError("two jobs have the same name")
        self._clock = clock
        self._jobs = tuple(jobs)
        self._service = service
        self._workers = workers
        self._leases = Leases(database, clock, names, service=service, lease=lease)
        self._running: set[str] = set()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def run_due(self) -> int:
        """Run what is due now, in this thread, and return how many slots ran (or failed).

        Raises:
            DatabaseUnavailableError: the lease rows cannot be reached. A job that fails raises nothing here.
        """
        slots = 0
        for job in self._jobs:
            slot = self._leases.claim(job.name, job.every)
            if slot is not None:
                self._run(job, slot)
                slots += 1
        return slots

    def start(self) -> None:
        """Run the jobs in threads of their own from now on."""
        if self._thread is not None:
            raise RuntimeError("the jobs are running already")
        self._stopping.clear()
        self._thread = threading.Thread(target=self._loop, name=f"jobs-{self._service}", daemon=True)
        self._thread.start()

    def stop(self, *, patience: timedelta = timedelta(seconds=20)) -> None:
        """Begin no more work and wait for what runs; after `patience` leave it to its lease."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(patience.total_seconds())
            if self._thread.is_alive():
                log.warning("a job was still running at stop", extra={"service": self._service})
            self._thread = None

    def _loop(self) -> None:
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix=f"job-{self._service}")
        pause_s = _POLL_S
        try:
            while not self._stopping.is_set():
                try:
                    for job in self._jobs:
                        if job.name not in self._running and not self._stopping.is_set():
                            self._hand_over(pool, job)
                    pause_s = _POLL_S
                except Exception as exc:  # nothing may end the loop
                    self._note_loop_failure(exc)
                    pause_s = min(pause_s * 2, _MAX_POLL_S)
                self._stopping.wait(pause_s)
        finally:
            pool.shutdown(wait=True)

    def _hand_over(self, pool: ThreadPoolExecutor, job: Job) -> None:
        slot = self._leases.claim(job.name, job.every)
        if slot is None:
            return
        self._running.add(job.name)

        def done(_: Future[None]) -> None:
            self._running.discard(job.name)

        pool.submit(self._run, job, slot).add_done_callback(done)

    def _note_loop_failure(self, exc: Exception) -> None:
        metrics.job_loop_failures.labels(self._service).inc()
        code = exc.code if isinstance(exc, ServiceError) else type(exc).__name__
        unexpected = None if isinstance(exc, ServiceError) else exc
        log.error(
            "jobs cannot be claimed", extra={"service": self._service, "code": code}, exc_info=unexpected
        )

    def _run(self, job: Job, slot: Slot) -> None:
        started = monotonic()
        try:
            with self._leases.kept(slot):
                job.run(slot.at)
        except Exception as exc:
            self._failed(job, slot, exc)
        else:
            self._succeeded(job, slot)
        metrics.job_seconds.labels(self._service, job.name).observe(monotonic() - started)

    def _succeeded(self, job: Job, slot: Slot) -> None:
        now = self._clock.now()
        metrics.job_runs.labels(self._service, job.name, "done").inc()
        metrics.job_last_success.labels(self._service, job.name).set(now.timestamp())
        self._leases.release(
            slot,
            due=slot.at + job.every,
            owner=None,
            lease_until=None,
            runs=jobs_table.c.runs + 1,
            failures=0,
            last_error=None,
            last_success=now,
        )

    def _failed(self, job: Job, slot: Slot, exc: Exception) -> None:
        metrics.job_runs.labels(self._service, job.name, "failed").inc()
        code = exc.code if isinstance(exc, ServiceError) else type(exc).__name__
        log.error(
            "job failed",
            extra={"service": self._service, "job": job.name, "slot": slot.at, "code": code},
            exc_info=None if isinstance(exc, ServiceError) else exc,
        )
        # Again soon, then slower, but at least once in each period.
        wait = min(job.every, _FIRST_RETRY * 2 ** min(slot.failures, 10))
        self._leases.release(
            slot,
            owner=None,
            lease_until=self._clock.now() + wait,
            failures=slot.failures + 1,
            last_error=code[:256],
        )
