"""Makes records of before findable: names, keyed hashes and SHA-1 thumbprints, some hundred in a transaction.

Three tasks, each in the order of a key that does not change. What is done is on record, so a restart goes on;
doing a row twice changes nothing. New records are written findable by the acts themselves.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from sqlalchemy import Connection, bindparam, insert, select, tuple_, update

from onecert.ra.applications.records import load_frozen
from onecert.ra.models import applications, certificates
from onecert.ra.search.index import marks_of, remember_marks, remember_names
from onecert.ra.search.tables import search_tasks
from onecert.ra.vault.sealed import Vault
from onecert.server.database import Database

__all__ = ["Backfill", "Progress"]

log = logging.getLogger(__name__)

ROWS = 500
CHUNKS = 20  # of one run of the job


@dataclass(frozen=True)
class Progress:
    """How far a task is; `finished_at` None: still at it."""

    name: str
    position: str
    done: int
    finished_at: datetime | None


class Backfill:
    """The job `ra.search`; safe to run again and to stop at any moment."""

    def __init__(self, *, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._tasks: dict[str, Callable[[str], tuple[int, str, Callable[[Connection], None]]]] = {
            "names": self._names,
            "certificates": self._certificates,
            "marks": self._marks,
        }

    def progress(self) -> list[Progress]:
        """Every task, also one that has not begun."""
        with self._database.reading() as connection:
            rows = {row.name: row for row in connection.execute(select(search_tasks))}
        return [
            Progress(name, rows[name].position, rows[name].done, rows[name].finished_at)
            if name in rows
            else Progress(name, "", 0, None)
            for name in self._tasks
        ]

    def run(self, at: datetime) -> None:
        """Some chunks of what is still to be done."""
        chunks = CHUNKS
        for begun in self.progress():
            task = begun
            while task.finished_at is None and chunks:
                chunks -= 1
                task = self._step(task, at)

    def _step(self, task: Progress, at: datetime) -> Progress:
        # What needs the token or takes time is done before the short transaction.
        count, position, write = self._tasks[task.name](task.position)
        finished = at if count < ROWS else None
        after = Progress(task.name, position or task.position, task.done + count, finished)
        with self._database.transaction() as connection:
            write(connection)
            values = {"position": after.position, "done": after.done, "finished_at": finished}
            known = update(search_tasks).where(search_tasks.c.name == task.name).values(values)
            if not connection.execute(known).rowcount:
                connection.execute(insert(search_tasks).values(name=task.name, **values))
        log.info("records made findable", extra={"task": task.name, "done": after.done})
        return after

    def _names(self, position: str) -> tuple[int, str, Callable[[Connection], None]]:
        query = select(applications.c.seq, applications.c.name).where(applications.c.seq > int(position or 0))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(applications.c.seq).limit(ROWS)).all()
        return (
            len(rows),
            str(rows[-1].seq) if rows else "",
            lambda connection: void(remember_names(connection, [row.name for row in rows])),
        )

    def _certificates(self, position: str) -> tuple[int, str, Callable[[Connection], None]]:
        table = certificates.c
        authority, _slash, serial = position.partition("/")
        query = (
            select(table.authority, table.serial_hex, table.name, table.certificate_pem)
            .where(tuple_(table.authority, table.serial_hex) > (authority, serial))
            .order_by(table.authority, table.serial_hex)
            .limit(ROWS)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        found = [
            {"a": row.authority, "s": row.serial_hex, "h": sha1}
            for row in rows
            if (sha1 := _sha1(row.certificate_pem)) is not None
        ]
        change = (
            update(certificates)
            .where(table.authority == bindparam("a"), table.serial_hex == bindparam("s"))
            .values(sha1=bindparam("h"))
        )

        def write(connection: Connection) -> None:
            remember_names(connection, [row.name for row in rows])
            if found:
                connection.execute(change, found)

        return len(rows), f"{rows[-1].authority}/{rows[-1].serial_hex}" if rows else "", write

    def _marks(self, position: str) -> tuple[int, str, Callable[[Connection], None]]:
        query = select(applications.c.seq, applications.c.id).where(applications.c.seq > int(position or 0))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(applications.c.seq).limit(ROWS)).all()
            frozen = [load_frozen(connection, self._vault, row.id) for row in rows]
        found = [(each.application.id, marks_of(self._vault, each.values)) for each in frozen]

        def write(connection: Connection) -> None:
            for application_id, each in found:
                remember_marks(connection, application_id, each)

        return len(rows), str(rows[-1].seq) if rows else "", write


def void(_answer: object) -> None:
    """What was answered does not matter."""


def _sha1(certificate_pem: str) -> str | None:
    """None: a row that holds no certificate; the page says so, the job goes on."""
    try:
        return x509.load_pem_x509_certificate(certificate_pem.encode()).fingerprint(SHA1()).hex()  # noqa: S303
    except ValueError:
        return None
