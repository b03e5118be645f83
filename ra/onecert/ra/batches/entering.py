"""Each accepted row of an approved batch becomes an approved application, exactly once.

The same acts as at the counter do it, in the name of the people who took them for the batch: entered and
submitted by its clerk, approved by its reviewers. So nothing that holds for one application is left out for
many: plain rows go together (`applications/many.py`), the others one by one (`applications/acts.py`).
`batch:<id>:<row>` is the key of the request: after a crash the same row finds its own application again. What
can no longer be entered, because somebody else was quicker, is refused with its reason.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

from onecert.ra.applications.acts import Applications
from onecert.ra.applications.entries import Entry
from onecert.ra.applications.many import ManyApplications
from onecert.ra.applications.records import Application
from onecert.ra.applications.steps import ServiceSteps
from onecert.ra.batches.acts import content_hash
from onecert.ra.batches.checking import CheckedRow, Remark, RowRules, RowsWork, check_rows
from onecert.ra.batches.records import USABLE, Batch, Phase, accepted_rows, load_batch, load_chunk
from onecert.ra.batches.tables import batch_chunks, batch_rows, batches
from onecert.ra.content.checking import CheckedContent
from onecert.ra.errors import ContentChangedError, DuplicateError, InvalidApplicationError, KeyRepeatedError
from onecert.ra.life.machine import Act, State
from onecert.ra.models import application_events
from onecert.ra.operators.acting import ActingOperator, acting
from onecert.ra.orders.together import Together
from onecert.ra.vault.sealed import Vault
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.languages import _
from onecert.server.operators import Operator

__all__ = ["Entering", "request_key_of"]

log = logging.getLogger(__name__)

_AT_ONCE = 100  # rows in one transaction, which holds the write lock for some tenths of a second
REVIEWS = ("approved", "passed_on", "confirmed")
# What says no to one row; anything else stops the batch until it is mended.
_ROW_REFUSALS = (InvalidApplicationError, DuplicateError, KeyRepeatedError)


@dataclass(frozen=True)
class People:
    """Who acted on the batch, with the certificates that they acted by."""

    clerk: ActingOperator
    reviewers: tuple[ActingOperator, ...]  # first and, where the policy wants one, second


class Entering:
    """The phases `entering` and `ordering`. `together` takes approved applications to the CA."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        vault: Vault,
        applications: Applications,
        many: ManyApplications,
        steps: ServiceSteps[Batch],
        load_operator: Callable[[Connection, str], Operator],
        together: Together,
        rules: RowRules,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._vault = vault
        self._applications = applications
        self._many = many
        self._steps = steps
        self._load_operator = load_operator
        self._together = together
        self._rules = rules
        self._compared: set[str] = set()

    # Entering --------------------------------------------------------------------------------------------

    def enter(self, batch: Batch) -> bool:
        """Some rows; when none is left, the batch goes on to its orders."""
        with self._database.reading() as connection:
            chunk = connection.scalar(
                select(func.min(batch_chunks.c.number)).where(
                    batch_chunks.c.batch_id == batch.id, batch_chunks.c.state == "checked"
                )
            )
        if chunk is None:
            self._close_entering(batch)
            return True
        # Before the first row, and again after a restart: what is entered is what was approved, as a whole.
        if batch.id not in self._compared:
            if not self._is_as_approved(batch):
                log.error("rows of a batch are not those that were approved", extra={"batch": batch.id})
                raise ContentChangedError
            self._compared.add(batch.id)
        self._enter_chunk(batch, chunk)
        return True

    def _enter_chunk(self, batch: Batch, chunk: int) -> None:
        with self._database.reading() as connection:
            wanted = {
                row.row: row.content_sha256
                for row in connection.execute(
                    select(batch_rows.c.row, batch_rows.c.content_sha256).where(
                        batch_rows.c.batch_id == batch.id,
                        batch_rows.c.chunk == chunk,
                        batch_rows.c.state.in_([state.value for state in USABLE]),
                        batch_rows.c.excluded.is_(False),
                        batch_rows.c.outcome.is_(None),
                    )
                )
            }
            rows = [
                row for row in load_chunk(connection, self._vault, batch.id, chunk) if row.number in wanted
            ]
            people = self._people(connection, batch)
            salt = self._salt(connection, batch.id)
        work = RowsWork(
            kind=batch.kind,
            authority=batch.authority,
            fields=batch.fields,
            rows=rows,
            at=batch.created_at.date(),
            rules=self._rules,
            salt=salt,
            with_requests=bool(batch.columns.get("requests")),
            defaults=batch.defaults,
            with_content=True,
        )
        checked = check_rows(work)
        for at in range(0, len(checked), _AT_ONCE):
            self._enter_some(batch, checked[at : at + _AT_ONCE], wanted, people)
        with self._database.transaction() as connection:
            connection.execute(
                update(batch_chunks)
                .where(batch_chunks.c.batch_id == batch.id, batch_chunks.c.number == chunk)
                .values(state="entered")
            )

    def _enter_some(
        self, batch: Batch, rows: Sequence[CheckedRow], approved: Mapping[int, str], people: People
    ) -> None:
        """Together where all are plain, otherwise one by one, which says what is wrong with each."""
        entries = {
            request_key_of(batch.id, row.number): _entry(batch, row.content)
            for row in rows
            if row.content is not None and row.content_sha256 == approved[row.number]
        }
        made = None
        if len(entries) == len(rows):
            made = self._many.enter_approved(people.clerk, people.reviewers[0], entries)
        if made is not None:
            self._record(
                batch, [(row.number, made[request_key_of(batch.id, row.number)], None) for row in rows]
            )
            return
        self._record(
            batch, [(row.number, *self._enter_row(batch, row, approved[row.number], people)) for row in rows]
        )

    def _enter_row(
        self, batch: Batch, row: CheckedRow, approved_sha256: str, people: People
    ) -> tuple[str | None, Remark | None]:
        """The application of a row, or why there is none."""
        if row.content is None or row.content_sha256 != approved_sha256:
            return None, Remark(
                "error",
                "",
                "CONTENT_CHANGED",
                _("What was approved is not what is on record now. The row was not entered."),
                _("Change nothing. Tell the operator of the service and the auditor."),
            )
        entry = _entry(batch, row.content)
        try:
            return self._approved(entry, request_key_of(batch.id, row.number), people).id, None
        except _ROW_REFUSALS as refused:
            self._withdraw_draft(people, entry, request_key_of(batch.id, row.number))
            facts = {name: value for name, value in refused.facts.items() if isinstance(value, (str, int))}
            return None, Remark("error", "", refused.code, str(refused.text), str(refused.hint), facts)

    def _approved(self, entry: Entry, key: str, people: People) -> Application:
        """Create, submit, approve; whatever was done before a crash is not done again."""
        made = self._applications.create(people.clerk, entry, request_key=key)
        if made.state is State.DRAFT:
            made = self._applications.submit(people.clerk, made.id)
        for reviewer in people.reviewers:
            if made.state in {State.SUBMITTED, State.SECOND_REVIEW} and made.content_sha256:
                made = self._applications.approve(reviewer, made.id, content_sha256=made.content_sha256)
        return made

    def _withdraw_draft(self, people: People, entry: Entry, key: str) -> None:
        """A row that was refused leaves no draft behind that waits for somebody."""
        try:
            made = self._applications.create(people.clerk, entry, request_key=key)
            if made.state is State.DRAFT:
                self._applications.withdraw(people.clerk, made.id)
        except ServiceError as exc:
            log.warning("draft of a refused row stays", extra={"code": exc.code})

    def _record(self, batch: Batch, done: Sequence[tuple[int, str | None, Remark | None]]) -> None:
        """Write down what became of some rows, with an audit entry."""
        if not done:
            return
        entered = refused = 0
        with self._database.transaction() as connection:
            for number, application_id, remark in done:
                changes: dict[str, Any] = {
                    "outcome": "entered" if application_id else "refused",
                    "application_id": application_id,
                }
                if remark is not None:
                    changes["remarks"] = json.dumps([remark.as_json()], ensure_ascii=False)
                written = connection.execute(
                    update(batch_rows)
                    .where(
                        batch_rows.c.batch_id == batch.id,
                        batch_rows.c.row == number,
                        batch_rows.c.outcome.is_(None),
                    )
                    .values(**changes)
                )
                entered += written.rowcount if application_id else 0
                refused += 0 if application_id else written.rowcount
            connection.execute(
                update(batches)
                .where(batches.c.id == batch.id)
                .values(entered=batches.c.entered + entered, refused=batches.c.refused + refused)
            )
            self._audit.record(
                connection,
                event="batch.rows_entered",
                actor="job:ra.batches",
                subject=f"batch:{batch.id}",
                details={
                    "number": batch.number,
                    "first": done[0][0],
                    "last": done[-1][0],
                    "entered": entered,
                    "refused": refused,
                },
            )

    def _close_entering(self, batch: Batch) -> None:
        with self._database.transaction() as connection:
            current = load_batch(connection, batch.id, lock=True)
            if current.phase is Phase.ENTERING:
                connection.execute(
                    update(batches).where(batches.c.id == batch.id).values(phase=Phase.ORDERING.value)
                )

    # Ordering --------------------------------------------------------------------------------------------

    def order(self, batch: Batch) -> bool:
        """Take the approved applications to the CA; when all have their answers, the batch is done."""
        moved = self._together.advance(batch.id)
        if not self._together.is_finished(batch.id):
            return moved  # the CA or the token is away, or the CA is at work; the job comes back
        self._finish(batch)
        return True

    def _finish(self, batch: Batch) -> None:
        with self._database.transaction() as connection:
            current = load_batch(connection, batch.id, lock=True)
            if current.state is State.APPROVED and current.phase is Phase.ORDERING:
                self._steps.move(
                    connection,
                    current,
                    act=Act.RECORD_DONE,
                    event="done",
                    at=self._clock.now(),
                    changes={"phase": Phase.FINISHED.value},
                    details={"entered": current.entered, "refused": current.refused},
                )

    def _people(self, connection: Connection, batch: Batch) -> People:
        """Who entered and who approved the batch in its last round, as they acted."""
        events = connection.execute(
            select(application_events)
            .where(application_events.c.application_id == batch.id)
            .order_by(application_events.c.seq)
        ).all()
        submitted = [event for event in events if event.event == "submitted"]
        if not submitted:
            raise RuntimeError("an approved batch was never submitted")
        last = submitted[-1]
        reviews = [event for event in events if event.event in REVIEWS and event.seq > last.seq]

        def actor(event: Any) -> ActingOperator:
            return acting(self._load_operator(connection, event.actor), event.certificate_sha256)

        return People(actor(last), tuple(actor(event) for event in reviews))

    def _salt(self, connection: Connection, batch_id: str) -> bytes:
        sealed = connection.execute(
            select(batches.c.salt_sealed).where(batches.c.id == batch_id)
        ).scalar_one()
        return self._vault.unseal(f"batch:{batch_id}:salt", sealed)

    def _is_as_approved(self, batch: Batch) -> bool:
        """Whether the accepted rows are still those that were approved."""
        with self._database.reading() as connection:
            digest, _count = content_hash(batch, accepted_rows(connection, batch.id))
        return digest == batch.content_sha256


def _entry(batch: Batch, content: CheckedContent) -> Entry:
    """A row as it would be typed at the counter."""
    return Entry(
        kind=batch.kind,
        authority=batch.authority,
        fields=dict(content.values),
        csr=content.request.pem,
        point=batch.point,
        project=batch.project,
        batch_id=batch.id,
    )


def request_key_of(batch_id: str, row: int) -> str:
    """One row, one request, however often it is carried out."""
    return f"batch:{batch_id}:{row}"
