"""One durable commit for all who wait: threads that want to write share transactions.

A commit that survives a power cut costs a disk flush, whether it holds one certificate or fifty. Whoever
comes while a commit is under way waits for the next one, which takes everybody who waits by then. Each
one's work runs in a savepoint of its own: its failure undoes its own work and nobody else's. Nobody is told
"done" before the common commit has returned.

With several processes, two groups may wait for each other's rows; PostgreSQL then ends one piece of work,
which is run again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from onecert.server.audit import AuditEntry, AuditTrail
from onecert.server.database import Database
from onecert.server.engines import translate
from onecert.server.errors import DatabaseUnavailableError

__all__ = ["GroupCommit"]

T = TypeVar("T")
Work = Callable[[Connection, list[AuditEntry]], T]

# Bounds how long a transaction holds the write lock.
MAX_TOGETHER = 64
ATTEMPTS = 5


@dataclass(eq=False)
class _Item(Generic[T]):
    work: Work[T]
    entries: list[AuditEntry] = field(default_factory=list)
    results: list[T] = field(default_factory=list)
    error: BaseException | None = None
    finished: bool = False


class GroupCommit:
    """Runs pieces of work in common transactions, each with its audit entries."""

    def __init__(self, database: Database, audit: AuditTrail) -> None:
        self._database = database
        self._audit = audit
        self._waiting: list[_Item[Any]] = []
        self._waiting_lock = threading.Lock()
        self._leader = threading.Lock()

    def run(self, work: Work[T]) -> T:
        """Run one piece of work and return its result after it is durable.

        Args:
            work: gets a connection and a list; audit entries that it appends are written in the same
                transaction.

        Raises:
            whatever `work` raised, or what the transaction raised; nothing of the work is kept then.
        """
        for _attempt in range(ATTEMPTS - 1):
            item = self._run(work)
            if not _is_deadlock(item.error):
                return self._result(item)
        return self._result(self._run(work))

    @staticmethod
    def _result(item: _Item[T]) -> T:
        if item.error is not None:
            raise item.error
        return item.results[0]

    def _run(self, work: Work[T]) -> _Item[T]:
        item: _Item[T] = _Item(work)
        with self._waiting_lock:
            self._waiting.append(item)
        with self._leader:
            if not item.finished:
                with self._waiting_lock:
                    batch, self._waiting = self._waiting[:MAX_TOGETHER], self._waiting[MAX_TOGETHER:]
                    if item not in batch:
                        # More than one transaction's worth was waiting before us; put ourselves first.
                        self._waiting.remove(item)
                        batch.append(item)
                self._commit(batch)
        return item

    def _commit(self, batch: list[_Item[Any]]) -> None:
        try:
            with self._database.transaction() as connection:
                for item in batch:
                    if len(batch) == 1:
                        item.results.append(item.work(connection, item.entries))
                    else:
                        self._attempt(connection, item)
                entries = [entry for item in batch if item.error is None for entry in item.entries]
                if entries:
                    self._audit.record_many(connection, entries)
        except BaseException as exc:
            for item in batch:
                item.error = item.error or exc
            if not isinstance(exc, Exception):
                raise
        finally:
            for item in batch:
                item.finished = True

    @staticmethod
    def _attempt(connection: Connection, item: _Item[Any]) -> None:
        # The driver's own cursor: SQLAlchemy's savepoints cost more than the work in them.
        cursor = connection.connection.cursor()
        cursor.execute("SAVEPOINT one")
        try:
            item.results.append(item.work(connection, item.entries))
        except Exception as exc:
            try:
                cursor.execute("ROLLBACK TO SAVEPOINT one")
            except Exception:
                # A full disk, or a lost connection, has ended the transaction for everybody.
                raise exc from None
            # What the driver says of an outage is translated where a transaction ends; this one goes on.
            item.error = translate(exc) or exc
        cursor.execute("RELEASE SAVEPOINT one")
        cursor.close()


def _is_deadlock(error: BaseException | None) -> bool:
    return isinstance(error, DatabaseUnavailableError) and error.kind == "deadlock"
