"""The lease rows of jobs: one row per job, one UPDATE to claim a slot, renewed while the work lasts.

The lease compares the clocks of the instances: they must agree to within a fraction of the lease (30 s).
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.models import jobs as jobs_table

__all__ = ["LEASE", "Leases", "Slot"]

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)


@dataclass(frozen=True)
class Slot:
    """A slot of a job, claimed by this process."""

    name: str
    due: datetime  # as it stands in the row, which names the claim
    at: datetime  # the slot that runs: the newest one that is due
    failures: int


class Leases:
    """The rows of one service's jobs, as this process sees and claims them.

    Args:
        service: for logs.
        lease: how long after its last sign of life a dead owner's slot is given to another.
    """

    def __init__(
        self, database: Database, clock: Clock, names: Sequence[str], *, service: str, lease: timedelta
    ) -> None:
        self._database = database
        self._clock = clock
        self._names = tuple(names)
        self._service = service
        self._lease = lease
        self.owner = f"{socket.gethostname()[:64]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._registered = False
        self._free: dict[str, tuple[datetime, int]] | None = None  # what `claim` saw: name -> due, failures

    def _register(self, now: datetime) -> None:
        """Make the missing rows; a new job is due at once."""
        with self._database.reading() as connection:
            known = set(connection.scalars(select(jobs_table.c.name)))
        for name in self._names:
            if name in known:
                continue
            try:
                with self._database.transaction() as connection:
                    connection.execute(
                        insert(jobs_table).values(
                            name=name, due=now.replace(microsecond=0), runs=0, failures=0
                        )
                    )
            except IntegrityError:
                pass  # another instance has just made it
        self._registered = True

    def look_again(self) -> None:
        """Let the next `claim` look at the rows anew; until then one look serves all jobs.

        Dozens of jobs ask each second; almost every look finds nothing to do, and it costs no lock.
        """
        self._free = None

    def _due(self, now: datetime) -> dict[str, tuple[datetime, int]]:
        if self._free is None:
            with self._database.reading() as connection:
                rows = connection.execute(
                    select(jobs_table.c.name, jobs_table.c.due, jobs_table.c.failures).where(
                        jobs_table.c.name.in_(self._names), jobs_table.c.due <= now, _is_free(now)
                    )
                )
                self._free = {row.name: (row.due, row.failures) for row in rows}
        return self._free

    def claim(self, name: str, every: timedelta) -> Slot | None:
        """Take the newest slot that is due and that nobody works on, if there is one."""
        now = self._clock.now()
        if not self._registered:
            self._register(now)
        row = self._due(now).pop(name, None)
        if row is None:
            return None
        due, failures = row
        with self._database.transaction() as connection:
            claimed = connection.execute(
                update(jobs_table)
                .where(jobs_table.c.name == name, jobs_table.c.due == due, _is_free(now))
                .values(owner=self.owner, lease_until=now + self._lease)
            )
        if claimed.rowcount != 1:
            return None
        missed = (now - due) // every
        return Slot(name=name, due=due, at=due + missed * every, failures=failures)

    def release(self, slot: Slot, **values: object) -> None:
        """Write how the slot ended, unless another owner has taken it over."""
        try:
            with self._database.transaction() as connection:
                released = connection.execute(
                    update(jobs_table)
                    .where(
                        jobs_table.c.name == slot.name,
                        jobs_table.c.due == slot.due,
                        jobs_table.c.owner == self.owner,
                    )
                    .values(**values)
                )
        except ServiceError as exc:
            # The lease runs out and the slot runs again: allowed, because jobs are idempotent.
            log.error("the end of a job could not be written", extra={"job": slot.name, "code": exc.code})
            return
        if released.rowcount != 1:
            log.warning("a job outlived its lease", extra={"service": self._service, "job": slot.name})

    @contextmanager
    def kept(self, slot: Slot) -> Iterator[None]:
        """Renew the lease every third of its length until the block ends."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(self._lease.total_seconds() / 3):
                try:
                    with self._database.transaction() as connection:
                        connection.execute(
                            update(jobs_table)
                            .where(
                                jobs_table.c.name == slot.name,
                                jobs_table.c.due == slot.due,
                                jobs_table.c.owner == self.owner,
                            )
                            .values(lease_until=self._clock.now() + self._lease)
                        )
                except ServiceError as exc:
                    log.warning("a lease could not be renewed", extra={"job": slot.name, "code": exc.code})

        keeper = threading.Thread(target=renew, name=f"lease-{slot.name}", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(jobs_table.c.lease_until.is_(None), jobs_table.c.lease_until <= now)
