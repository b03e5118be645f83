"""The services of one process: built, mounted, their jobs run, stopped in order.

Knows nothing of sockets (see `serve.py`), so that a test can have the whole system without a port.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from flask import Flask

from onecert.server import metrics
from onecert.server.audit.keys import publish_audit_key
from onecert.server.clock import Clock, SystemClock
from onecert.server.config import ServerConfig, Settings
from onecert.server.contexts import OpenedMember, make_peers, open_members
from onecert.server.dispatch import Dispatcher
from onecert.server.errors import ServiceError, UnknownJobError
from onecert.server.figures import FIGURES_EVERY, Figures
from onecert.server.health import Readiness
from onecert.server.jobs import Job, JobRunner, Scope
from onecert.server.members import Context, Member, Service
from onecert.server.operators import command_actor
from onecert.server.processes import BEAT, Processes
from onecert.server.web.frame import frame_of
from onecert.server.web.landing import landing_app

__all__ = ["System"]

log = logging.getLogger(__name__)

AUDIT_HEAD_JOB = "server.audit-head"
PROCESS_JOB = "server.process"
FIGURES_JOB = "server.figures"


@dataclass(frozen=True)
class _Running:
    opened: OpenedMember
    service: Service
    jobs: JobRunner
    figures: Figures

    @property
    def context(self) -> Context:
        return self.opened.context


class System:
    """Everything `onecert up` runs, without the ports.

    Args:
        data: DATA, the folder that holds the services' folders.
        settings: with the real port numbers, because services write their addresses into what they issue.
        patience: how long to wait for a database server that starts at the same time.

    Raises:
        ServiceError: a service cannot be built; those built before it are closed again.
    """

    def __init__(
        self,
        members: Sequence[Member],
        data: Path,
        settings: Settings,
        *,
        clock: Clock | None = None,
        patience: timedelta = timedelta(0),
    ) -> None:
        self._clock = clock or SystemClock()
        server = settings.section("server", ServerConfig)
        peers = make_peers(server, data)
        self.readiness = Readiness()
        health = self.readiness.app
        landing = landing_app([member.name for member in members])
        self.https = Dispatcher("https", health=health, landing=landing, monitors=server.monitors)
        self.http = Dispatcher("http", health=health, monitors=server.monitors)
        self._running: list[_Running] = []
        self._started = False
        opened = open_members(members, data, settings, peers=peers, clock=self._clock, patience=patience)
        try:
            for each in opened:
                self._build(each, server)
                # Peers call the whole application of the port, with the path a network client would use.
                peers.mount(each.member.name, self.https)
        except BaseException:
            self.close()
            for each in opened[len(self._running) :]:
                each.close()
            raise

    @property
    def services(self) -> dict[str, Service]:
        """The built services by name."""
        return {running.context.name: running.service for running in self._running}

    def start_jobs(self, *, role: str = "service", only: Collection[str] | None = None) -> None:
        """Note the start in every audit trail, then run the jobs until `close`.

        Args:
            role: what the table of processes calls this one.
            only: names of jobs; besides them, those that every process needs. None: all.

        Raises:
            UnknownJobError: no service here has such a job.
        """
        known = [name for running in self._running for name in running.jobs.names]
        for name in only or ():
            if name not in known:
                raise UnknownJobError(name, known)
        self._started = True
        for running in self._running:
            running.opened.processes.register(role)
            self._note(running.context, "service.started")
            running.jobs.choose(only)
            running.jobs.add(Job(PROCESS_JOB, BEAT, partial(_beat, running.opened.processes), Scope.PROCESS))
            running.jobs.add(Job(FIGURES_JOB, FIGURES_EVERY, running.figures.take, Scope.PROCESS))
            running.jobs.start()

    def drain(self) -> None:
        """Say everywhere that this process takes nothing new; what comes all the same is answered."""
        self.readiness.stop()
        for running in self._running:
            if self._started:
                _quietly("process", running, running.opened.processes.stopping)

    def run_due_jobs(self) -> int:
        """Run what is due in this thread: for tests and for replaying a day."""
        return sum(running.jobs.run_due() for running in self._running)

    def close(self) -> None:
        """Stop the jobs, sign the audit heads, close everything. One failure stops no other step."""
        for running in self._running:
            _quietly("jobs", running, running.jobs.stop)
        for running in self._running:
            if self._started:
                _quietly("audit entry", running, partial(self._note, running.context, "service.stopped"))
            _quietly("audit head", running, partial(_sign_head, running.context, running.service))
        for running in reversed(self._running):
            _quietly("service", running, running.service.close)
            _quietly("database", running, running.opened.close)
        self._running.clear()

    def _build(self, opened: OpenedMember, server: ServerConfig) -> None:
        context = opened.context
        service = opened.member.build(opened.config, context)
        jobs = list(service.jobs)
        if service.audit_key is None:
            log.warning("no key signs the audit trail", extra={"service": context.name})
        else:
            publish_audit_key(context.data, service.audit_key)
        if service.audit_key is not None or service.find_audit_key is not None:
            jobs.append(Job(AUDIT_HEAD_JOB, server.audit_head_every, lambda at: _sign_head(context, service)))
        runner = JobRunner(context.database, self._clock, jobs, service=context.name, folder=context.data)
        checks = {"process": self.readiness.check_not_stopping, **service.checks}
        figures = Figures(context, server, checks=service.checks, service=service)
        self._running.append(_Running(opened, service, runner, figures))
        if isinstance(service.app, Flask) and "onecert" in service.app.extensions:
            frame_of(service.app).checks.update(checks)
        self.readiness.add(context.name, {"database": context.database.check, **checks}, opened.processes)
        self.https.mount(context.name, service.app)
        if service.status is not None:
            self.http.mount(context.name, service.status)

    def _note(self, context: Context, event: str) -> None:
        with context.database.transaction() as connection:
            context.audit.record(connection, event=event, actor=command_actor(), subject=context.name)


def _beat(processes: Processes, _at: datetime) -> None:
    processes.beat()


def _sign_head(context: Context, service: Service) -> None:
    if service.audit_key is None and service.find_audit_key is not None:
        # Its token was away at the start; from when it is back, heads are signed again.
        service.audit_key = service.find_audit_key()
        if service.audit_key is not None:
            publish_audit_key(context.data, service.audit_key)
    if service.audit_key is None:
        return
    try:
        context.audit.sign_head(context.database, service.audit_key)
    except Exception:
        metrics.audit_head_failures.labels(context.name).inc()
        raise


def _quietly(what: str, running: _Running, step: Callable[[], None]) -> None:
    try:
        step()
    except ServiceError as exc:
        log.error(
            "stop: a step failed", extra={"service": running.context.name, "step": what, "code": exc.code}
        )
    except Exception:
        log.exception("stop: a step failed", extra={"service": running.context.name, "step": what})
