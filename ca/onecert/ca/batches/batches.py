"""Batches as they are accepted, asked for and cancelled; `batch_work` fills them.

States: `arriving` until every part is there, `accepted`, then `done` or `cancelled`. A chunk is `waiting`,
`begun` from the transaction on that puts its intents on record, `done` with its results, or `cancelled`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, update

from onecert.ca.authorities.authorities import pem
from onecert.ca.batches.documents import (
    CANCELLATION_TYPE,
    RESULTS_TYPE,
    Head,
    open_head,
    open_question,
    read_head,
)
from onecert.ca.batches.models import batch_chunks, batches
from onecert.ca.errors import BatchAlteredError, BatchClosedError, BatchPartError, UnknownBatchError
from onecert.ca.issuing.orders import OrderDesk
from onecert.ca.models import certificates
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.languages import gettext
from onecert.server.statements import insert_if_absent
from onecert.verifier.jws import load_json, load_payload

__all__ = ["ACCEPTED", "ARRIVING", "BEGUN", "CANCELLED", "CHUNK_LINES", "DONE", "WAITING", "Batches"]

ARRIVING, ACCEPTED, DONE, CANCELLED = "arriving", "accepted", "done", "cancelled"
WAITING, BEGUN = "waiting", "begun"
# So many orders share a transaction: it holds the write lock for some twenty milliseconds.
CHUNK_LINES = 250
_SIZE_MAX = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a batch has come."""

    batch: str
    state: str
    lines: int
    issued: int
    refused: int
    cancelled: int
    missing: tuple[int, ...]  # parts that have not arrived
    received_at: str
    finished_at: str | None

    def as_json(self) -> dict[str, object]:
        return {**vars(self), "missing": list(self.missing)}


class Batches:
    """The record of batches."""

    def __init__(self, database: Database, audit: AuditTrail, clock: Clock, desk: OrderDesk) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._desk = desk

    def open(self, document: bytes) -> tuple[Progress, bool]:
        """Take the signed head of a batch; its parts follow. The same head again changes nothing.

        Returns:
            how it stands, and whether it is new.

        Raises:
            CaError: refused.
        """
        head = open_head(self._desk, document)
        at = self._clock.now()
        row = self._find(head.id)
        if row is None:
            self._desk.check_age(head.created_at, at)
            values = {
                "id": head.id,
                "content_sha256": head.content_sha256,
                "registration_authority": head.registration_authority,
                "state": ARRIVING,
                "lines": head.lines,
                "received_at": at,
                "finished_at": None,
                "document": document,
            }
            with self._database.transaction() as connection:
                is_new = insert_if_absent(connection, batches, values)
                if is_new:
                    self._record(connection, head, "batch.opened", lines=head.lines, parts=len(head.parts))
            if is_new:
                return self.progress(head.id), True
            row = self._find(head.id)
        if row is None or row["content_sha256"] != head.content_sha256:
            raise BatchAlteredError(head.id)
        return self.progress(head.id), False

    def add_part(self, batch: str, number: int, content: bytes) -> Progress:
        """Take one part of the lines, durably; with the last one the batch is accepted.

        No signature is needed: the head says by hash what the part is. The same part again changes nothing.

        Raises:
            UnknownBatchError, BatchClosedError
            BatchPartError: not the lines that were signed for.
        """
        row, head = self._head(batch)
        if not 1 <= number <= len(head.parts):
            raise BatchPartError(batch, number)
        part = head.parts[number - 1]
        lines = part.check(batch, content)
        if row["state"] == CANCELLED:
            raise BatchClosedError(batch)
        with self._database.transaction() as connection:
            # On PostgreSQL the last two parts must not pass each other.
            state = connection.scalar(select(batches.c.state).where(batches.c.id == batch).with_for_update())
            if state == CANCELLED:
                raise BatchClosedError(batch)
            for at in range(0, len(lines), CHUNK_LINES):
                some = lines[at : at + CHUNK_LINES]
                values = {
                    "batch": batch,
                    "first_line": part.first_line + at,
                    "lines": len(some),
                    "state": WAITING,
                    "issued": 0,
                    "refused": 0,
                    "content": zlib.compress(b"\n".join(some), 1),
                    "results": None,
                }
                insert_if_absent(connection, batch_chunks, values)
            if state == ARRIVING and not self._missing(connection, head):
                connection.execute(update(batches).where(batches.c.id == batch).values(state=ACCEPTED))
                self._record(connection, head, "batch.accepted", lines=head.lines)
        return self.progress(batch)

    def head(self, batch: str) -> Head:
        """Read the signed head of a batch.

        Raises:
            UnknownBatchError
        """
        return self._head(batch)[1]

    def progress(self, batch: str) -> Progress:
        """Tell how far a batch has come.

        Raises:
            UnknownBatchError
        """
        row, head = self._head(batch)
        table = batch_chunks.c
        is_cancelled = table.state == CANCELLED
        counted = select(
            func.sum(table.issued), func.sum(table.refused), func.sum(table.lines).filter(is_cancelled)
        ).where(table.batch == batch)
        with self._database.reading() as connection:
            issued, refused, cancelled = (int(count or 0) for count in connection.execute(counted).one())
            missing = self._missing(connection, head) if row["state"] == ARRIVING else ()
        return Progress(
            batch=batch,
            state=row["state"],
            lines=row["lines"],
            issued=issued,
            refused=refused,
            cancelled=cancelled,
            missing=missing,
            received_at=row["received_at"].isoformat(),
            finished_at=row["finished_at"].isoformat() if row["finished_at"] else None,
        )

    def cancel_as_ordered(self, document: bytes) -> Progress:
        """Cancel a batch as its registration authority has signed."""
        asked = open_question(self._desk, document, CANCELLATION_TYPE)
        self._desk.check_age(asked.created_at, self._clock.now())
        self._check_owner(asked.batch, asked.registration_authority)
        return self.cancel(asked.batch, actor=f"ra:{asked.registration_authority}")

    def cancel(self, batch: str, *, actor: str) -> Progress:
        """Begin no more lines of a batch. What is on record already is finished.

        Raises:
            UnknownBatchError
        """
        _row, head = self._head(batch)
        with self._database.transaction() as connection:
            waiting = (batch_chunks.c.batch == batch) & (batch_chunks.c.state == WAITING)
            stopped = connection.execute(update(batch_chunks).where(waiting).values(state=CANCELLED)).rowcount
            arriving = (batches.c.id == batch) & (batches.c.state == ARRIVING)
            closed = connection.execute(
                update(batches).where(arriving).values(state=CANCELLED, finished_at=self._clock.now())
            )
            if stopped or closed.rowcount:
                self._record(connection, head, "batch.cancelled", actor=actor)
        self.close_if_finished(batch)
        return self.progress(batch)

    def close_if_finished(self, batch: str) -> None:
        """Give an accepted batch its last state, once none of its lines is open."""
        of_batch = batch_chunks.c.batch == batch
        count = select(func.count()).select_from(batch_chunks).where(of_batch)
        _row, head = self._head(batch)
        with self._database.transaction() as connection:
            # On PostgreSQL two who close at once take turns here.
            state = connection.scalar(select(batches.c.state).where(batches.c.id == batch).with_for_update())
            if state != ACCEPTED or connection.scalar(
                count.where(batch_chunks.c.state.in_((WAITING, BEGUN)))
            ):
                return
            was_cancelled = connection.scalar(count.where(batch_chunks.c.state == CANCELLED))
            last = CANCELLED if was_cancelled else DONE
            closing = update(batches).where(batches.c.id == batch)
            connection.execute(closing.values(state=last, finished_at=self._clock.now()))
            self._record(connection, head, "batch.finished", actor="job:ca.batches", state=last)

    def results_as_asked(self, document: bytes) -> Iterator[bytes]:
        """Answer the signed question of the registration authority; see `results`."""
        asked = open_question(self._desk, document, RESULTS_TYPE)
        self._desk.check_age(asked.created_at, self._clock.now())
        self._check_owner(asked.batch, asked.registration_authority)
        return self.results(asked.batch, after=asked.after)

    def results(self, batch: str, *, after: int = 0) -> Iterator[bytes]:
        """The results of the next lines, as far as they are there without a gap; JSON lines.

        One line for each line of the batch, and at the end `{"after": N, "state": …}`: ask again with that
        number. A batch is read to its end when its state is `done` or `cancelled` and no line came.

        Raises:
            UnknownBatchError
        """
        row, _head = self._head(batch)
        chunk = (
            select(batch_chunks)
            .where(
                batch_chunks.c.batch == batch, batch_chunks.c.first_line + batch_chunks.c.lines > after + 1
            )
            .order_by(batch_chunks.c.first_line)
            .limit(1)
        )
        with self._database.reading() as connection:
            found = connection.execute(chunk).mappings().one_or_none()
            if found is None or found["state"] not in (DONE, CANCELLED):
                lines: list[dict[str, Any]] = []
            elif found["state"] == CANCELLED:
                numbers = range(found["first_line"], found["first_line"] + found["lines"])
                lines = [{"line": number, "status": CANCELLED} for number in numbers]
            else:
                lines = _with_certificates(connection, json.loads(found["results"]))
        lines = [line for line in lines if line["line"] > after]
        last = lines[-1]["line"] if lines else after
        return (
            (json.dumps(line, ensure_ascii=False) + "\n").encode()
            for line in [*lines, {"after": last, "state": row["state"]}]
        )

    def _check_owner(self, batch: str, registration_authority: str) -> None:
        row = self._find(batch)
        if row is None or row["registration_authority"] != registration_authority:
            raise UnknownBatchError(batch)

    def _find(self, batch: str) -> RowMapping | None:
        with self._database.reading() as connection:
            return connection.execute(select(batches).where(batches.c.id == batch)).mappings().one_or_none()

    def _head(self, batch: str) -> tuple[RowMapping, Head]:
        row = self._find(batch) if len(batch) <= _ID_MAX else None
        if row is None:
            raise UnknownBatchError(batch[:_ID_MAX])
        payload = load_json(load_payload(row["document"], max_bytes=_SIZE_MAX), max_bytes=_SIZE_MAX)
        return row, read_head(payload, row["registration_authority"], row["document"])

    @staticmethod
    def _missing(connection: Connection, head: Head) -> tuple[int, ...]:
        starts = select(batch_chunks.c.first_line).where(batch_chunks.c.batch == head.id)
        there = set(connection.scalars(starts))
        return tuple(part.number for part in head.parts if part.first_line not in there)

    def _record(
        self, connection: Connection, head: Head, event: str, *, actor: str = "", **details: Any
    ) -> None:
        self._audit.record(
            connection,
            event=event,
            actor=actor or f"ra:{head.registration_authority}",
            subject=f"batch/{head.id}",
            details=details,
        )


_ID_MAX = 64


def _with_certificates(connection: Connection, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the certificates to the issued lines, and the texts to the refused ones."""
    wanted: dict[str, list[str]] = {}
    for line in results:
        if "serial" in line:
            wanted.setdefault(line["authority"], []).append(line["serial"])
    found: dict[tuple[str, str], bytes] = {}
    for authority, serials in wanted.items():
        query = select(certificates.c.serial, certificates.c.certificate_der).where(
            certificates.c.authority == authority, certificates.c.serial.in_(serials)
        )
        found |= {(authority, serial): der for serial, der in connection.execute(query)}
    for line in results:
        if "serial" in line:
            line["certificate_pem"] = pem(found[line["authority"], line["serial"]] or b"")
        if "code" in line:
            facts = line.pop("facts")
            line["detail"] = gettext(line.pop("text"), **facts)
            line["hint"] = gettext(line["hint"], **facts) if line["hint"] else ""
    return results
