"""Orders of a batch go to the CA together: some hundred under one signature, answered in bulk.

Each step is durable before the next one begins, so a crash anywhere is continued by the job:

    approved   nothing is on record yet             -> sign the head; head and lines in one transaction
    pending    head and lines are on record         -> post both again; the CA knows them by number and hash
    answered   the answers up to a line are         -> ask for those after it
    done       every line has its answer

The batch at the CA has the number that is on record here, whoever posts it and however often. What the CA
does not take waits and says why (`standing_of`); nothing of it is ever sent as a single order.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from cryptography import x509
from sqlalchemy import ColumnElement, Connection, exists, func, insert, or_, select, update

from onecert.ra.applications.records import Application, load_application, load_applications, load_frozen
from onecert.ra.applications.steps import ServiceSteps
from onecert.ra.batches.tables import batches
from onecert.ra.ca.authorities import Directory
from onecert.ra.ca.batches import (
    BATCH_TYP,
    CANCELLED,
    CLOSED,
    RESULTS_TYP,
    BatchResults,
    BatchWire,
    head_payload,
    question_payload,
)
from onecert.ra.ca.client import TOO_OLD, IssuedAnswer
from onecert.ra.ca.errors import CaAnswerError, CaRefusedError
from onecert.ra.errors import ContentChangedError, InvalidApplicationError
from onecert.ra.life.machine import Act, State
from onecert.ra.models import applications, order_batches, orders
from onecert.ra.orders.answers import Answers, pause
from onecert.ra.orders.documents import sign_order
from onecert.ra.orders.signing import Signing
from onecert.ra.vault.keys import Keys
from onecert.ra.vault.sealed import Vault
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError

__all__ = ["LINES", "Standing", "Together", "goes_alone", "standing_of"]

log = logging.getLogger(__name__)

# As many as the CA fills in one transaction.
LINES = 250
_AT_WORK = ("entering", "ordering")  # phases of a batch that takes its applications to the CA itself
_Answered = tuple[str, str, IssuedAnswer | CaRefusedError, x509.Certificate | None]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the orders of a batch stand, for its page."""

    sent: int
    answered: int
    problem: str | None  # why some wait
    next_attempt_at: datetime | None


def goes_alone() -> ColumnElement[bool]:
    """Whether an application is ordered by itself: of no batch, or of one that has finished."""
    at_work = exists().where(batches.c.id == applications.c.batch_id, batches.c.phase.in_(_AT_WORK))
    return or_(applications.c.batch_id.is_(None), ~at_work)


def standing_of(connection: Connection, batch_id: str) -> Standing:
    """How many orders are on record and answered, and what holds the others up."""
    of_batch = order_batches.c.batch_id == batch_id
    sent, answered = connection.execute(
        select(func.sum(order_batches.c.lines), func.sum(order_batches.c.answered)).where(of_batch)
    ).one()
    waiting = connection.execute(
        select(order_batches.c.last_error, order_batches.c.next_attempt_at)
        .where(of_batch, order_batches.c.state == "pending", order_batches.c.attempts > 0)
        .order_by(order_batches.c.next_attempt_at)
        .limit(1)
    ).one_or_none()
    return Standing(
        sent=int(sent or 0),
        answered=int(answered or 0),
        problem=waiting.last_error if waiting else None,
        next_attempt_at=waiting.next_attempt_at if waiting else None,
    )


class Together:
    """Signs, sends and records. Safe in several processes: of two that do the same, one finds it done."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        vault: Vault,
        keys: Keys,
        wire: BatchWire,
        directory: Directory,
        signing: Signing,
        answers: Answers,
        steps: ServiceSteps[Application],
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._keys = keys
        self._wire = wire
        self._directory = directory
        self._signing = signing
        self._answers = answers
        self._steps = steps

    def advance(self, batch_id: str) -> bool:
        """Take the approved applications of a batch as far as they go now; False: nothing could be done."""
        moved = False
        while self._sign_some(batch_id):
            moved = True
        due = order_batches.c.next_attempt_at <= self._clock.now()
        query = select(order_batches.c.id).where(
            order_batches.c.batch_id == batch_id, order_batches.c.state == "pending", due
        )
        with self._database.reading() as connection:
            numbers = connection.scalars(query.order_by(order_batches.c.created_at, order_batches.c.id)).all()
        for number in numbers:
            moved |= self._send(number)
        return moved

    def is_finished(self, batch_id: str) -> bool:
        """Whether each application of a batch that was approved has its answer."""
        unsigned = select(applications.c.id).where(*_unsigned(batch_id)).limit(1)
        unanswered = select(order_batches.c.id).where(
            order_batches.c.batch_id == batch_id, order_batches.c.state == "pending"
        )
        with self._database.reading() as connection:
            return connection.scalar(unsigned) is None and connection.scalar(unanswered.limit(1)) is None

    # Signing ---------------------------------------------------------------------------------------------

    def _sign_some(self, batch_id: str) -> bool:
        """approved -> ordered, for the next ones: all is on record before anything is sent."""
        with self._database.reading() as connection:
            query = select(applications.c.id).where(*_unsigned(batch_id)).order_by(applications.c.seq)
            ids = connection.scalars(query.limit(LINES)).all()
        chosen, lines = [], []
        for application_id in ids:
            try:
                lines.append(self._line(application_id))
            except (ContentChangedError, InvalidApplicationError) as exc:
                self._signing.return_unsigned(application_id, exc)
            else:
                chosen.append(application_id)
        if chosen:
            self._keep(batch_id, chosen, lines)
        return bool(ids)

    def _line(self, application_id: str) -> bytes:
        """The order of one application as it stands in its part, with its line feed."""
        with self._database.reading() as connection:
            frozen = load_frozen(connection, self._vault, application_id)
        said = json.dumps(self._signing.payload(frozen), ensure_ascii=False, separators=(",", ":"))
        return said.encode() + b"\n"

    def _keep(self, batch_id: str, ids: Sequence[str], lines: Sequence[bytes]) -> None:
        number, now = str(uuid4()), self._clock.now()
        head = self._head(number, lines)
        with self._database.reading() as connection:
            wanted = {each.id: each.order_id for each in load_applications(connection, ids)}
        sealed = [
            self._vault.seal(f"order:{wanted[each]}", line) for each, line in zip(ids, lines, strict=True)
        ]
        with self._database.transaction() as connection:
            current = [load_application(connection, each, lock=True) for each in ids]
            if any(
                each.state is not State.APPROVED or each.order_id is None or each.order_id != wanted[each.id]
                for each in current
            ):
                return  # another process was first with some of them
            connection.execute(
                insert(order_batches).values(
                    id=number,
                    batch_id=batch_id,
                    state="pending",
                    lines=len(lines),
                    answered=0,
                    document=head,
                    created_at=now,
                    attempts=0,
                    next_attempt_at=now,
                )
            )
            connection.execute(
                insert(orders),
                [
                    {
                        "id": each.order_id,
                        "application_id": each.id,
                        "state": "pending",
                        "document_sealed": document,
                        "created_at": now,
                        "attempts": 0,
                        "next_attempt_at": now,
                        "order_batch": number,
                        "line": line,
                    }
                    for line, (each, document) in enumerate(zip(current, sealed, strict=True), start=1)
                ],
            )
            for each in current:
                details = {"order_batch": number}
                self._steps.move(connection, each, act=Act.ORDER, event="ordered", at=now, details=details)

    def _head(self, number: str, lines: Sequence[bytes]) -> bytes:
        part = {"lines": len(lines), "sha256": hashlib.sha256(b"".join(lines)).hexdigest()}
        name, now = self._signing.name, self._clock.now()
        payload = head_payload(number, [part], registration_authority=name, at=now)
        return sign_order(payload, typ=BATCH_TYP, key=self._keys.order_key())

    def _sign_anew(self, number: str, stale: bytes) -> None:
        """Replace head and lines that grew too old while the CA was away: the same numbers, signed today.

        Safe, because the CA says "too old" only of a batch that it has never seen.
        """
        with self._database.reading() as connection:
            rows = connection.execute(_orders_of(number)).all()
        lines = [self._line(row.application_id) for row in rows]
        head = self._head(number, lines)
        sealed = [self._vault.seal(f"order:{row.id}", line) for row, line in zip(rows, lines, strict=True)]
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(order_batches)
                .where(order_batches.c.id == number, order_batches.c.document == stale)
                .values(document=head)
            )
            if changed.rowcount:
                for row, document in zip(rows, sealed, strict=True):
                    changing = update(orders).where(orders.c.id == row.id)
                    connection.execute(changing.values(document_sealed=document))

    # Sending ---------------------------------------------------------------------------------------------

    def _send(self, number: str) -> bool:
        """Post what is on record and fetch what is answered; False: the CA is not ready, or not there."""
        with self._database.reading() as connection:
            row = connection.execute(select(order_batches).where(order_batches.c.id == number)).one()
        try:
            moved = self._post(number, row.document)
            moved |= self._fetch(number)
        except CaRefusedError as exc:
            if exc.ca_code == TOO_OLD:
                self._sign_anew(number, row.document)
            log.error("batch of orders refused", extra={"order_batch": number, "code": exc.ca_code})
            self._note_problem(number, row.attempts, f"{exc.detail} ({exc.ca_code})")
            return False
        except ServiceError as exc:
            log.warning("batch of orders waits", extra={"order_batch": number, "code": exc.code})
            self._note_problem(number, row.attempts, str(exc.facts.get("detail") or exc.code))
            return False
        if row.attempts:
            with self._database.transaction() as connection:
                answered = update(order_batches).where(order_batches.c.id == number)
                connection.execute(answered.values(attempts=0, last_error=None))
        return moved

    def _post(self, number: str, document: bytes) -> bool:
        """Make sure that the CA has head and lines; True: it had not."""
        progress = self._wire.open(document)
        if not progress.missing:
            return False
        with self._database.reading() as connection:
            rows = connection.execute(_orders_of(number)).all()
        lines = b"".join(self._vault.unseal(f"order:{row.id}", row.document_sealed) for row in rows)
        log.info("posting orders", extra={"order_batch": number, "lines": len(rows)})
        try:
            self._wire.add_part(number, 1, lines)
        except CaRefusedError as exc:
            if exc.ca_code != CLOSED:
                raise
        return True

    def _note_problem(self, number: str, attempts: int, problem: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                update(order_batches)
                .where(order_batches.c.id == number, order_batches.c.state == "pending")
                .values(
                    attempts=order_batches.c.attempts + 1,
                    next_attempt_at=self._clock.now() + pause(attempts),
                    last_error=problem[:200],
                )
            )

    # Answers ---------------------------------------------------------------------------------------------

    def _fetch(self, number: str) -> bool:
        """Record the answers that are there; True: there were some."""
        moved = False
        while True:
            with self._database.reading() as connection:
                row = connection.execute(select(order_batches).where(order_batches.c.id == number)).one()
                known = {each.line: each for each in connection.execute(_orders_of(number, row.answered))}
            if row.state != "pending":
                return moved
            now, name = self._clock.now(), self._signing.name
            question = question_payload(number, after=row.answered, registration_authority=name, at=now)
            found = self._wire.results(sign_order(question, typ=RESULTS_TYP, key=self._keys.order_key()))
            lines = found.lines or _cancelled(found, row.answered, row.lines)
            if not lines:
                return moved
            with self._database.reading() as connection:
                ids = [each.application_id for each in known.values()]
                made = {each.id: each for each in load_applications(connection, ids)}
            answered = []
            for line in lines:
                order = known.get(line["line"])
                if order is None or line.get("order", order.id) != order.id:
                    raise CaAnswerError("POST /ca/v1/batches/results")
                answered.append(self._read(order.id, made[order.application_id], line))
            self._record(number, row.answered, answered)
            moved = True

    def _read(self, order_id: str, application: Application, line: Mapping[str, Any]) -> _Answered:
        """What one line says, believed only if its certificate fits.

        Raises:
            CaAnswerError
        """
        status = line.get("status")
        if status == CANCELLED:
            refused = CaRefusedError("BATCH_CANCELLED", "the batch was cancelled at the authority")
            return order_id, application.id, refused, None
        if status == "refused":
            refused = CaRefusedError(str(line.get("code")), str(line.get("detail")))
            return order_id, application.id, refused, None
        if status != "issued":
            raise CaAnswerError("POST /ca/v1/batches/results")
        issuer = self._directory.listing().authorities.get(str(line.get("authority")))
        if issuer is None:
            # Made since the list was read.
            self._directory.forget()
            raise CaAnswerError("an authority that is not on its list")
        answer = IssuedAnswer(
            order=order_id,
            serial_hex=str(line.get("serial")).lower(),
            certificate_pem=str(line.get("certificate_pem")),
            chain_pem=issuer.chain_pem or (issuer.certificate_pem,),
        )
        certificate = self._answers.fitting_certificate(application, answer)
        return order_id, application.id, answer, certificate

    def _record(self, number: str, after: int, answered: Sequence[_Answered]) -> None:
        """Answers and how far they go, in one transaction."""
        with self._database.transaction() as connection:
            query = select(order_batches).where(order_batches.c.id == number).with_for_update()
            row = connection.execute(query).one()
            if row.answered != after:
                return  # another process was first
            for order_id, application_id, answer, certificate in answered:
                if isinstance(answer, CaRefusedError):
                    self._answers.write_refused(connection, order_id, application_id, answer)
                elif certificate is not None:
                    self._answers.write_issued(connection, order_id, application_id, answer, certificate)
            last = after + len(answered)
            connection.execute(
                update(order_batches)
                .where(order_batches.c.id == number)
                .values(answered=last, state="done" if last == row.lines else "pending")
            )


def _unsigned(batch_id: str) -> tuple[ColumnElement[bool], ...]:
    return applications.c.batch_id == batch_id, applications.c.state == State.APPROVED.value


def _orders_of(number: str, after: int = 0) -> Any:
    return select(orders).where(orders.c.order_batch == number, orders.c.line > after).order_by(orders.c.line)


def _cancelled(found: BatchResults, after: int, last: int) -> list[Mapping[str, Any]]:
    """The lines of a batch that was cancelled before they had arrived."""
    if found.state != CANCELLED:
        return []
    return [{"line": line, "status": CANCELLED} for line in range(after + 1, last + 1)]
