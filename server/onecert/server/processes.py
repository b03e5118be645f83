"""The processes of one service on one database: who they are, what they do, and which of them live.

Each has an instance number of its own, drawn at its start. What it leaves half-done bears that number, so
that another process neither disturbs the living nor waits for the dead.

The sign of life is a lock that the system itself lets go when its holder dies: with SQLite a file lock in
the service's folder, with PostgreSQL an advisory lock on a connection of its own, which works across hosts.
The row in `processes` is for people, and for the two cases in which the lock says too little: a host that
lost its power keeps its lock until the database notices, and a restart of the database lets go the locks of
the living.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, delete, insert, select, update

from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import DatabaseUnavailableError, ServiceError
from onecert.server.folders import make_private_folder
from onecert.server.models import processes as table

__all__ = ["BEAT", "Alone", "Living", "Process", "Processes"]

log = logging.getLogger(__name__)

BEAT = timedelta(seconds=3)
# A lock that is free says nothing about a process that was seen so shortly before.
JUST_SEEN = timedelta(seconds=5)
# A lock that is held says nothing about a process that was not seen for so long.
NOT_SEEN = timedelta(seconds=30)
# How long `onecert processes` still tells of one that ended without saying so.
REMEMBERED = timedelta(days=1)


class Living(Protocol):
    """Who asks, and which other processes live."""

    own: str

    def is_living(self, process: str) -> bool: ...


class Alone:
    """The only process there is; what another left behind is left behind."""

    own = ""

    def is_living(self, process: str) -> bool:
        return False


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process as `onecert processes` shows it."""

    id: str
    role: str  # service | status | worker
    state: str  # running | stopping | gone
    host: str
    pid: int
    version: str
    started_at: datetime
    last_seen: datetime

    def as_json(self) -> dict[str, Any]:
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
        }


class Processes:
    """This process, and the others on the same database.

    Args:
        folder: of the service; the file locks of processes on SQLite are there.
        version: of the program.
    """

    def __init__(self, database: Database, clock: Clock, folder: Path, *, version: str = "") -> None:
        self.own = uuid.uuid4().hex[:16]
        self._database = database
        self._clock = clock
        self._version = version
        self._role = ""
        self._lock = threading.Lock()
        is_file = database.path is not None
        self._sign: _Sign = _FileSign(folder / "processes") if is_file else _ServerSign(database)

    def begin(self) -> None:
        """Show the sign of life from now on, until `close` or death.

        Raises:
            DatabaseUnavailableError
        """
        with self._lock:
            self._sign.show(self.own)

    def register(self, role: str) -> None:
        """Stand in the table from now on; `beat` keeps the row fresh."""
        self._role = role
        self.beat()

    def beat(self) -> None:
        """Say that this process lives, and forget those who have been gone for long.

        Raises:
            DatabaseUnavailableError
        """
        self.begin()
        now = self._clock.now()
        seen = update(table).where(table.c.id == self.own).values(last_seen=now)
        with self._database.transaction() as connection:
            if connection.execute(seen).rowcount:
                return
            connection.execute(insert(table).values(self._row(now)))
            connection.execute(delete(table).where(table.c.last_seen < now - REMEMBERED))

    def stopping(self) -> None:
        """Tell the others that this process takes nothing new."""
        with self._database.transaction() as connection:
            connection.execute(update(table).where(table.c.id == self.own).values(state="stopping"))

    def close(self) -> None:
        """Leave: nothing of this process is under way any more."""
        if self._role:
            with contextlib.suppress(ServiceError), self._database.transaction() as connection:
                connection.execute(delete(table).where(table.c.id == self.own))
        with self._lock:
            self._sign.hide(self.own)

    def is_living(self, process: str) -> bool:
        """Whether a process of this instance number lives, as far as can be known.

        A wrong answer only costs work: whatever may be done twice is decided by the database.
        """
        if process == self.own:
            return True
        with self._database.reading() as connection:
            seen = connection.scalar(select(table.c.last_seen).where(table.c.id == process))
            age = None if seen is None else self._clock.now() - seen
            if age is not None and age > NOT_SEEN:
                return False
            if self._sign.is_shown(connection, process):
                return True
        return age is not None and age < JUST_SEEN and not self._sign.is_certain

    def everyone(self) -> list[Process]:
        """List the processes, the oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(table).order_by(table.c.started_at)).mappings().all()
        return [self._process(dict(row)) for row in rows]

    def _process(self, row: Mapping[str, Any]) -> Process:
        state = row["state"] if self.is_living(row["id"]) else "gone"
        return Process(**{**row, "state": state})

    def _row(self, now: datetime) -> dict[str, Any]:
        return {
            "id": self.own,
            "role": self._role,
            "state": "running",
            "host": socket.gethostname()[:64],
            "pid": os.getpid(),
            "version": self._version,
            "started_at": now,
            "last_seen": now,
        }


class _Sign(Protocol):
    is_certain: bool  # whether a lock that is free proves death

    def show(self, process: str) -> None: ...
    def hide(self, process: str) -> None: ...
    def is_shown(self, connection: Connection, process: str) -> bool: ...


class _FileSign:
    """A file for each process, locked while it lives: for processes of one machine."""

    is_certain = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: int | None = None

    def show(self, process: str) -> None:
        if self._held is not None:
            # Somebody who swept may have come between making the file and locking it.
            if (self._folder / process).exists():
                return
            self.hide(process)
        make_private_folder(self._folder)
        descriptor = os.open(self._folder / process, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._held = descriptor
        self._sweep()

    def hide(self, process: str) -> None:
        if self._held is not None:
            (self._folder / process).unlink(missing_ok=True)
            os.close(self._held)
            self._held = None

    def is_shown(self, connection: Connection, process: str) -> bool:
        with self._opened(process) as descriptor:
            return descriptor is not None and not _is_free(descriptor)

    def _sweep(self) -> None:
        """Take the files of the dead away."""
        for file in self._folder.iterdir():
            with self._opened(file.name) as descriptor:
                if descriptor is not None and _is_free(descriptor):
                    file.unlink(missing_ok=True)

    @contextmanager
    def _opened(self, process: str) -> Iterator[int | None]:
        try:
            descriptor = os.open(self._folder / process, os.O_RDWR | os.O_CLOEXEC)
        except (OSError, ValueError):
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _ServerSign:
    """An advisory lock of PostgreSQL on a connection of its own: for processes of any machine."""

    is_certain = False

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: Connection | None = None

    def show(self, process: str) -> None:
        key = self._key(process)
        if self._held is not None:
            try:
                self._held.exec_driver_sql("SELECT 1")
            except Exception:
                self.hide(process)
            else:
                return
        held = self._database.own_connection()
        try:
            with self._database.translated():
                taken = held.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (key,)).scalar()
        except BaseException:
            held.close()
            raise
        if not taken:
            # The database has not noticed yet that our connection before this one is gone.
            held.close()
            raise DatabaseUnavailableError("locked")
        self._held = held

    def hide(self, process: str) -> None:
        held, self._held = self._held, None
        if held is not None:
            with contextlib.suppress(Exception):
                held.close()

    def is_shown(self, connection: Connection, process: str) -> bool:
        # Shared, so that two who look do not take each other for it; let go with the transaction.
        got = connection.exec_driver_sql(
            "SELECT pg_try_advisory_xact_lock_shared(%s)", (self._key(process),)
        ).scalar()
        return not got

    def _key(self, process: str) -> int:
        """One of 2^64, of this schema's own: services may share a PostgreSQL database."""
        named = f"onecert process {self._database.schema or ''} {process}"
        return int.from_bytes(hashlib.sha256(named.encode()).digest()[:8], signed=True)
