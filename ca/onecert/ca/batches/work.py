"""Batches are filled: chunk by chunk, in the order of acts of single orders, several chunks at once.

    lines checked, drafted, linted   in processes of their own (`batch_preparing`)
    intents on record                one transaction for the chunk
    signed, compared, verified       in the thread of the chunk: as many keys at work as threads
    certificates, audit, results     one transaction for the chunk

Interrupted anywhere, the chunk is done again from its first step: orders that are on record are known by
their numbers and finished, not repeated.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from onecert.ca.authorities.authorities import Authorities
from onecert.ca.batches import preparing as batch_preparing
from onecert.ca.batches.batches import Batches
from onecert.ca.batches.claims import ChunkClaims
from onecert.ca.batches.ledger import BatchLedger, ChunkTakenError, Signed
from onecert.ca.batches.preparing import Chunk, KnownOrder, Line, Preparer, Refusal
from onecert.ca.errors import CaError, OrderAbandonedError, TryAgainError
from onecert.ca.issuing.certifier import Certifier
from onecert.ca.issuing.ledger import (
    ABANDONED,
    INTENDED,
    CertificateRecord,
    Intent,
    NumberTakenError,
    OrderKnownError,
    OrderRecord,
)
from onecert.ca.signatures.signer import Signer
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.workers import WorkerPool

__all__ = ["BatchWork"]

log = logging.getLogger(__name__)

ATTEMPTS = 5
# One turn of the job; shorter than a service waits for its jobs when it stops.
TURN = timedelta(seconds=10)


class BatchWork:
    """Works on the chunks of accepted batches.

    Args:
        workers: processes that prepare; 0: the thread of the chunk does.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        batches: Batches,
        ledger: BatchLedger,
        claims: ChunkClaims,
        authorities: Authorities,
        certifier: Certifier,
        signer: Signer,
        test_identities: bool = False,
        workers: int = 0,
    ) -> None:
        self._database = database
        self._clock = clock
        self._batches = batches
        self._ledger = ledger
        self._claims = claims
        self._authorities = authorities
        self._certifier = certifier
        self._signer = signer
        self._workers = workers
        self._preparer = Preparer(database, authorities, test_identities=test_identities)
        self._pool = WorkerPool(
            workers,
            what="prepares batches",
            initializer=batch_preparing.start,
            initargs=(database, authorities.status_url, test_identities),
        )
        self._stopping = threading.Event()

    def run(self, turn: timedelta = TURN) -> int:
        """Work until nothing is left or the turn is over; return how many chunks were done.

        Raises:
            CaError, DatabaseUnavailableError: not now; whatever was begun is finished the next time.
        """
        until = monotonic() + turn.total_seconds()
        done = 0
        self._authorities.reload()
        while monotonic() < until and not self._stopping.is_set():
            self._claims.free_those_of_the_dead()
            lanes = self._claims.free_chunks(self._workers + 2 if self._workers else 1)
            if lanes:
                done += self._work(lanes, until)
            for batch in self._ledger.open_batches():
                self._batches.close_if_finished(batch)
            if not lanes:
                break
        return done

    def close(self) -> None:
        """Begin no more chunks and end the processes."""
        self._stopping.set()
        self._pool.close(wait=False)

    def _work(self, lanes: int, until: float) -> int:
        """Work on the next chunks in several threads; the first error ends them all."""
        failed = threading.Event()

        def lane() -> int:
            done = 0
            while not failed.is_set() and not self._stopping.is_set() and monotonic() < until:
                try:
                    taken = self._claims.take()
                    if taken is None:
                        break
                    self._fill_or_give_back(*taken)
                except BaseException:
                    failed.set()
                    raise
                done += 1
            return done

        if lanes == 1:
            return lane()
        with ThreadPoolExecutor(lanes, thread_name_prefix="batch") as threads:
            running = [threads.submit(lane) for _ in range(lanes)]
            return sum(each.result() for each in running)

    def _fill_or_give_back(self, batch: str, first_line: int) -> None:
        try:
            self._fill(self._ledger.chunk(batch, first_line))
        except Exception:
            with contextlib.suppress(ServiceError):
                self._claims.give_back(batch, first_line)
            raise

    def _fill(self, chunk: Chunk) -> None:
        """Fill the orders of one chunk."""
        # 1. Check, draft and lint; once more when an authority was retired or changed meanwhile.
        at = self._clock.now()
        lines = self._prepare(chunk, at)
        for label in {self._label(line.outcome.record) for line in lines if isinstance(line.outcome, Intent)}:
            # An order that waits for its token leaves no intent behind.
            self._signer.check_usable(label)
        # 2. Serials, key numbers and the exact bytes on record.
        try:
            lines = self._reserve(chunk, lines, at)
        except ChunkTakenError:
            return
        # 3. Only now use the key; the bytes signed are compared with those on record, the signature verified.
        lines, records = self._on_record(lines)
        facts = {"batch": chunk.batch, "line": chunk.first_line}
        unsigned = [(record, order) for record, order in records.values() if record.state == INTENDED]
        fresh = {line.outcome.record.serial for line in lines if isinstance(line.outcome, Intent)}
        for record, _order in unsigned:
            if record.serial not in fresh:
                self._certifier.check_profile(record)
        log.info("chunk of a batch to be signed", extra=facts | {"certificates": len(unsigned)})
        signed = self._sign(unsigned)
        # 4. Certificates, audit entries and results, in one transaction.
        self._ledger.record_results(chunk, signed, [_result(line, records) for line in lines])
        log.info("chunk of a batch done", extra=facts | {"certificates": len(signed)})

    def _reserve(self, chunk: Chunk, lines: list[Line], at: datetime) -> list[Line]:
        found = {line.number: line for line in lines}
        for _attempt in range(ATTEMPTS):
            fresh = [line for line in lines if isinstance(line.outcome, Intent)]
            intents = [line.outcome for line in fresh if isinstance(line.outcome, Intent)]
            again: set[int] = set()
            for line, error in zip(fresh, self._ledger.record_intents(chunk, intents, at), strict=True):
                if isinstance(error, NumberTakenError):
                    again.add(line.number)
                elif isinstance(error, OrderKnownError) and isinstance(line.outcome, Intent):
                    found[line.number] = replace(line, outcome=KnownOrder(order=line.outcome.order))
                elif isinstance(error, CaError):
                    found[line.number] = replace(line, outcome=Refusal.of(error))
            if not again:
                return [found[number] for number in sorted(found)]
            lines = self._preparer.prepare(chunk, at, frozenset(again))
            found |= {line.number: line for line in lines}
        raise TryAgainError

    def _on_record(
        self, lines: Sequence[Line]
    ) -> tuple[list[Line], dict[str, tuple[CertificateRecord, OrderRecord]]]:
        """The record of each order: what was just written, or what stands there from before."""
        records: dict[str, tuple[CertificateRecord, OrderRecord]] = {}
        known: dict[str, OrderRecord] = {}
        for line in lines:
            if isinstance(line.outcome, Intent):
                records[line.outcome.order.id] = line.outcome.record, line.outcome.order
            elif isinstance(line.outcome, KnownOrder):
                known[line.outcome.order.id] = line.outcome.order
        # Twice in this chunk is known too; it takes what became of the other line.
        asked = {number: order.content_sha256 for number, order in known.items() if number not in records}
        refused = {line.order_id: line.outcome for line in lines if isinstance(line.outcome, Refusal)}
        for number, found in (self._ledger.records(asked) if asked else {}).items():
            if isinstance(found, CaError):
                refused[number] = Refusal.of(found)
            elif found.state == ABANDONED:
                refused[number] = Refusal.of(OrderAbandonedError(number, found.serial))
            else:
                records[number] = found, known[number]
        return [
            replace(line, outcome=refused[line.order_id])
            if isinstance(line.outcome, KnownOrder) and line.outcome.order.id not in records
            else line
            for line in lines
        ], records

    def _sign(self, unsigned: Sequence[tuple[CertificateRecord, OrderRecord]]) -> list[Signed]:
        signed: list[Signed] = []
        for name in dict.fromkeys(record.authority for record, _order in unsigned):
            authority = self._authorities.get(name)
            own = [(record, order) for record, order in unsigned if record.authority == name]
            certificates = self._certifier.sign_all(
                authority.issuer,
                authority.key_label,
                [(record.serial, record.tbs_der or b"") for record, _order in own],
            )
            for (record, order), certificate_der in zip(own, certificates, strict=True):
                details = {
                    "approved_by": list(order.approved_by),
                    "application_sha256": order.application_sha256,
                }
                signed.append(
                    Signed(
                        record=record,
                        certificate_der=certificate_der,
                        actor=order.ordered_by,
                        details=details,
                    )
                )
        return signed

    def _label(self, record: CertificateRecord) -> str:
        return self._authorities.get(record.authority).key_label

    def _prepare(self, chunk: Chunk, at: datetime) -> list[Line]:
        for _attempt in range(ATTEMPTS):
            mark = self._authorities.mark
            lines = self._prepare_once(replace(chunk, authorities=mark), at)
            if self._authorities.mark == mark:
                return lines
        raise TryAgainError

    def _prepare_once(self, chunk: Chunk, at: datetime) -> list[Line]:
        return self._pool.submit(
            batch_preparing.prepare, chunk, at, instead=lambda: self._preparer.prepare(chunk, at)
        )()


def _result(line: Line, records: Mapping[str, tuple[CertificateRecord, OrderRecord]]) -> dict[str, Any]:
    """What is kept of a line, for its registration authority."""
    result: dict[str, Any] = {"line": line.number, "order": line.order_id}
    if isinstance(line.outcome, Refusal):
        return result | {"status": "refused"} | vars(line.outcome)
    record, _order = records[line.outcome.order.id]
    return result | {"status": "issued", "authority": record.authority, "serial": record.serial}
