"""Periodic work: one lease row per job, one UPDATE to claim it, safe with many instances.

A job has slots: moments at a fixed distance. Whoever's UPDATE hits the row owns the slot for the length of
the lease and renews it while the work lasts. If that process dies, the lease runs out and another instance
runs the *same slot* again; that is why a job must be idempotent in its slot time. Slots that were missed
(everything was down) are not made up one by one: the newest one runs.

The rows and their leases are in leases.py.
"""

from __future__ import annotations

import enum
import fcntl
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

from onecert.server import metrics
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.leases import LEASE, Leases, Slot
from onecert.server.models import jobs as jobs_table

__all__ = ["Job", "JobRunner", "Scope"]

log = logging.getLogger(__name__)

_FIRST_RETRY = timedelta(seconds=5)
_POLL_S = 1.0
_MAX_POLL_S = 5.0


class Scope(enum.Enum):
    """Who runs a job."""

    ONE = "one"  # one of all processes on the database
    FOLDER = "folder"  # one of the processes that share a data folder; also processes without jobs
    PROCESS = "process"  # every process, also those without jobs
    WORKERS = "workers"  # every process that runs jobs


@dataclass(frozen=True)
class Job:
    """Periodic work.

    `run` gets the slot time. It may be called twice for one slot (after a crash, after a failure), also by
    another process, and must then do nothing twice.
    """

    name: str
    every: timedelta
    run: Callable[[datetime], None]
    scope: Scope = Scope.ONE

    def __post_init__(self) -> None:
        if self.every < timedelta(seconds=1):
            raise ValueError(f"job {self.name}: at least one second must lie between two runs")


class JobRunner:
    """Runs the jobs of one service in this process, taking turns with the other instances.

    Args:
        service: for logs and metrics.
        lease: how long after its last sign of life a dead owner's slot is given to another.
        folder: of the service; its processes share what is for one of them.
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
        folder: Path | None = None,
    ) -> None:
        names = [job.name for job in jobs]
        if len(set(names)) != len(names):
            raise ValueError("two jobs have the same name")
        self._clock = clock
        self._jobs = tuple(jobs)
        self._service = service
        self._workers = workers
        self._folder = folder
        self._next: dict[str, datetime] = {}
        self._failures: dict[str, int] = {}
        leased = [job.name for job in jobs if job.scope is Scope.ONE]
        self._leases = Leases(database, clock, leased, service=service, lease=lease)
        self._running: set[str] = set()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def run_due(self) -> int:
        """Run what is due now, in this thread, and return how many slots ran (or failed).

        Raises:
            DatabaseUnavailableError: the lease rows cannot be reached. A job that fails raises nothing here.
        """
        slots = 0
        self._leases.look_again()
        for job in self._jobs:
            slot = self._claim(job)
            if slot is not None:
                self._run(job, slot)
                slots += 1
        return slots

    def choose(self, only: Collection[str] | None) -> None:
        """Run no others than these jobs, besides those that every process and folder needs; None: all.

        Args:
            only: names of jobs, or what names begin with: `ca.ocsp` is `ca.ocsp.new` too.
        """
        always = (Scope.PROCESS, Scope.FOLDER)
        self._jobs = tuple(
            job
            for job in self._jobs
            if only is None
            or job.scope in always
            or any(f"{job.name}.".startswith(f"{name}.") for name in only)
        )

    def add(self, job: Job) -> None:
        """Run this one too; not one for which the processes take turns."""
        if job.scope is Scope.ONE:
            raise ValueError(f"job {job.name}: its row is made with those of the others")
        self._jobs = (*self._jobs, job)

    @property
    def names(self) -> list[str]:
        """The names of the jobs."""
        return [job.name for job in self._jobs]

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
                    self._leases.look_again()
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
        slot = self._claim(job)
        if slot is None:
            return
        self._running.add(job.name)

        def done(_: Future[None]) -> None:
            self._running.discard(job.name)

        pool.submit(self._run, job, slot).add_done_callback(done)

    def _claim(self, job: Job) -> Slot | None:
        if job.scope is Scope.ONE:
            return self._leases.claim(job.name, job.every)
        now = self._clock.now()
        # Due later than its period allows: the clock was set back, and work goes on.
        if now < self._next.get(job.name, now) <= now + job.every:
            return None
        self._next[job.name] = now + job.every
        return Slot(name=job.name, due=now, at=now, failures=self._failures.get(job.name, 0))

    @contextmanager
    def _kept(self, job: Job, slot: Slot) -> Iterator[bool]:
        """Hold what says that this process runs the job now; False: another one does."""
        if job.scope is Scope.ONE:
            with self._leases.kept(slot):
                yield True
        elif job.scope is Scope.FOLDER and self._folder is not None:
            with (self._folder / f".{job.name}.lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield False
                else:
                    yield True
        else:
            yield True

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
            with self._kept(job, slot) as is_ours:
                if is_ours:
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
        if job.scope is not Scope.ONE:
            self._failures.pop(job.name, None)
            return
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
        if job.scope is not Scope.ONE:
            self._failures[job.name] = slot.failures + 1
            self._next[job.name] = self._clock.now() + wait
            return
        self._leases.release(
            slot,
            owner=None,
            lease_until=self._clock.now() + wait,
            failures=slot.failures + 1,
            last_error=code[:256],
        )
