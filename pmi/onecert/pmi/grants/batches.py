"""Batches: many grants of one authority, asked for together, approved as a whole, issued together.

Each row is judged like a single grant, and the report says of each what is wrong with it. Either all rows are
good, or the batch is asked for with its good rows only. What a second person approves is the hash over the
contents of all rows in their order. Its certificates are issued chunk by chunk (``issuing.together``), here
or by a job, and go on where they were interrupted.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from onecert.pmi.authorities.directory import Authorities
from onecert.pmi.errors import ContentChangedError, GrantStateError, GrantUnknownError, RequestWrongError
from onecert.pmi.grants.acts import APPROVER, MAX_WHY, OFFICER, Grants
from onecert.pmi.grants.batch_rows import BatchRow, RowJudge
from onecert.pmi.grants.errors import NotYoursError
from onecert.pmi.grants.preparing import Preparer
from onecert.pmi.grants.request import STATES, Grant, GrantRequest, grant_of
from onecert.pmi.grants.rules import Rules
from onecert.pmi.holders.seen import remember
from onecert.pmi.issuing.together import Progress, Together
from onecert.pmi.models import batches, certificates, grants
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.languages import Message, _
from onecert.server.operators import Operator, Operators, check_different_people, check_role, check_usable
from onecert.server.statements import Act, Statement, Values, insert_once

__all__ = ["BATCH_STATES", "Batch", "BatchRow", "Batches"]

BATCH_STATES: dict[str, Message] = {
    "waiting": _("waiting for approval"),
    "approved": _("being issued"),
    "done": _("done"),
    "refused": _("refused"),
}
# As many are issued before an answer is given; the others are left to the job.
AT_ONCE = 1000

_FIND = Statement(select(batches).where(batches.c.id == bindparam("wanted")))
_LOCK = Statement(select(batches).where(batches.c.id == bindparam("wanted")).with_for_update())
_INSERT = insert_once(grants)
_HASHES = Statement(
    select(grants.c.content_sha256).where(grants.c.batch_id == bindparam("wanted")).order_by(grants.c.id)
)

_CERTIFICATES = Statement(
    select(certificates.c.serial, certificates.c.certificate_der, certificates.c.grant_id)
    .join(grants, grants.c.serial == certificates.c.serial)
    .where(
        grants.c.batch_id == bindparam("wanted"),
        grants.c.state == "issued",
        grants.c.id > bindparam("after"),
        certificates.c.certificate_der.is_not(None),
    )
    .order_by(grants.c.id)
    .limit(500)
)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch as it is on record; ``counts`` has the number of its grants by their state."""

    id: str
    authority: str
    state: str
    content_sha256: str
    row_count: int
    needs_approval: bool
    requested_by: str
    requested_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    finished_at: datetime | None
    counts: dict[str, int]
    rows: tuple[BatchRow, ...] = ()

    @property
    def wrong(self) -> tuple[BatchRow, ...]:
        """The rows that cannot be granted; known while the batch is asked for only."""
        return tuple(row for row in self.rows if row.error is not None)


class Batches:
    """The way of a batch, from its rows to its certificates."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        operators: Operators,
        authorities: Authorities,
        grants: Grants,
        rules: Rules,
        together: Together,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._operators = operators
        self._judge = RowJudge(
            database=database, clock=clock, authorities=authorities, grants=grants, rules=rules
        )
        self._prepare = Preparer(rules).prepare_many
        self._together = together

    def check(
        self, authority: str, rows: Sequence[GrantRequest | ServiceError], operator: Operator
    ) -> tuple[BatchRow, ...]:
        """Judge each row and keep nothing.

        Args:
            rows: requests, or what was wrong already where the row was read.

        Raises:
            RequestWrongError, AuthorityStateError, AuthorityUnknownError: nothing can be judged.
        """
        return tuple(each.row for each in self._judge.judge(_batch_id(""), authority, rows, operator))

    def request(
        self,
        batch_id: str,
        authority: str,
        rows: Sequence[GrantRequest | ServiceError],
        operator: Operator,
        *,
        only_good: bool = False,
    ) -> Batch:
        """Put a batch on record, and issue it when no second person is needed.

        Args:
            batch_id: a UUID, which makes it safe to ask twice.
            only_good: leave out rows with faults; otherwise one such row keeps all out.

        Returns:
            the batch with the report of each row. Its state is empty when nothing was put on record.

        Raises:
            ServiceError: nothing can be judged; or the batch is on record with another content.
        """
        batch_id = _batch_id(batch_id)
        known = _FIND.look_up(self._database, {"wanted": batch_id})
        if known is not None:
            if known["requested_by"] != operator.id:
                raise NotYoursError(batch_id)
            return self.load(batch_id)
        judged = self._judge.judge(batch_id, authority, rows, operator)
        report = tuple(each.row for each in judged)
        found = [each for each in judged if each.columns is not None and each.holder is not None]
        good = sorted((dict(each.columns or {}) for each in found), key=itemgetter("id"))
        holders = {each.holder.certificate.der: each.holder for each in found if each.holder is not None}
        now = self._clock.now()
        needs_approval = any(columns["needs_approval"] for columns in good)
        values: dict[str, Any] = {
            "id": batch_id,
            "authority": authority,
            "state": "waiting" if needs_approval else "approved",
            "content_sha256": _sha256([columns["content_sha256"] for columns in good]),
            "row_count": len(good),
            "needs_approval": needs_approval,
            "requested_by": operator.id,
            "requested_at": now,
            "approved_by": None,
            "approved_at": None,
            "finished_at": None,
        }
        if not good or (len(good) < len(report) and not only_good):
            return Batch(**{**values, "state": ""}, counts={}, rows=report)
        for columns in good:
            # All of it waits when one of it does: what is approved is the whole.
            columns["state"] = values["state"]
        with self._database.transaction() as connection:
            connection.execute(insert(batches).values(values))
            _INSERT.run_many(Act(connection), good)
            for holder in holders.values():
                remember(connection, holder, now)
            self._audit.record(
                connection,
                event="batch.requested",
                actor=operator.actor,
                subject=f"batch:{batch_id}",
                details={
                    "authority": authority,
                    "rows": len(good),
                    "left_out": len(report) - len(good),
                    "content_sha256": values["content_sha256"],
                    "needs_approval": needs_approval,
                },
            )
        self._issue_some(batch_id, len(good), values["state"], operator.actor)
        return replace(self.load(batch_id), rows=report)

    def approve(self, batch_id: str, operator: Operator, *, content_sha256: str) -> Batch:
        """Approve a batch as it was shown, as another person than who asked for it. Twice changes nothing.

        A large batch is issued by the job from here on; ``issue`` does it at once.

        Raises:
            GrantUnknownError, GrantStateError, ContentChangedError, SamePersonError
        """
        check_role(operator, APPROVER)
        now = self._clock.now()
        check_usable(operator, at=now)
        with self._database.transaction() as connection:
            row = self._lock(connection, batch_id)
            if row["state"] in {"approved", "done"} and row["approved_by"] == operator.id:
                return self._batch(connection, row)
            if row["state"] != "waiting":
                raise GrantStateError(batch_id, BATCH_STATES[row["state"]])
            hashes = [each["content_sha256"] for each in _HASHES.all(connection, {"wanted": batch_id})]
            # Shown, on record, and on record in each row: all three are the same.
            if not row["content_sha256"] == content_sha256 == _sha256(hashes):
                raise ContentChangedError(batch_id)
            check_different_people(self._operators.load(connection, row["requested_by"]), operator)
            approved = {"state": "approved", "approved_by": operator.id, "approved_at": now}
            connection.execute(update(batches).where(batches.c.id == batch_id).values(approved))
            connection.execute(
                update(grants)
                .where(grants.c.batch_id == batch_id, grants.c.state == "waiting")
                .values(approved)
            )
            self._audit.record(
                connection,
                event="batch.approved",
                actor=operator.actor,
                subject=f"batch:{batch_id}",
                details={"content_sha256": content_sha256},
            )
        self._issue_some(batch_id, row["row_count"], "approved", operator.actor)
        return self.load(batch_id)

    def refuse(self, batch_id: str, operator: Operator, why: str) -> Batch:
        """Refuse a batch that waits; who asked for it withdraws it so. Twice changes nothing.

        Raises:
            GrantUnknownError, GrantStateError, RequestWrongError
        """
        now = self._clock.now()
        check_usable(operator, at=now)
        why = why.strip()
        if not 1 <= len(why) <= MAX_WHY or not why.isprintable():
            raise RequestWrongError("why", _("a sentence of at most 500 characters"))
        with self._database.transaction() as connection:
            row = self._lock(connection, batch_id)
            own = row["requested_by"] == operator.id
            check_role(operator, OFFICER if own else APPROVER)
            if row["state"] == "refused":
                return self._batch(connection, row)
            if row["state"] != "waiting":
                raise GrantStateError(batch_id, BATCH_STATES[row["state"]])
            connection.execute(
                update(batches).where(batches.c.id == batch_id).values(state="refused", finished_at=now)
            )
            connection.execute(
                update(grants)
                .where(grants.c.batch_id == batch_id, grants.c.state == "waiting")
                .values(state="refused", refused_by=operator.id, refused_at=now, refused_why=why)
            )
            self._audit.record(
                connection,
                event="batch.withdrawn" if own else "batch.refused",
                actor=operator.actor,
                subject=f"batch:{batch_id}",
                details={"why": why},
            )
        return self.load(batch_id)

    def issue(self, batch_id: str, *, actor: str) -> Progress:
        """Issue what is left of an approved batch, and close it.

        Raises:
            ServiceError: not now; the next run goes on from here.
        """
        progress = self._together.run(batch_id, self._prepare, actor=actor)
        now = self._clock.now()
        with self._database.transaction() as connection:
            row = self._lock(connection, batch_id)
            counts = _counts(connection, batch_id)
            if row["state"] == "approved" and not counts.get("approved"):
                connection.execute(
                    update(batches).where(batches.c.id == batch_id).values(state="done", finished_at=now)
                )
                self._audit.record(
                    connection,
                    event="batch.done",
                    actor=actor,
                    subject=f"batch:{batch_id}",
                    details={"issued": counts.get("issued", 0), "refused": counts.get("refused", 0)},
                )
        return progress

    def resume(self) -> int:
        """Go on with every approved batch; for a timer. Returns how many certificates were issued."""
        with self._database.reading() as connection:
            waiting = select(batches.c.id).where(batches.c.state == "approved")
            ids = list(connection.scalars(waiting.order_by(batches.c.requested_at, batches.c.id)))
        return sum(self.issue(batch_id, actor="job:batches").issued for batch_id in ids)

    def load(self, batch_id: str) -> Batch:
        """Return a batch. Raises GrantUnknownError."""
        with self._database.reading() as connection:
            row = _FIND.first(connection, {"wanted": batch_id})
            if row is None:
                raise GrantUnknownError(batch_id)
            return self._batch(connection, row)

    def page(self, *, state: str = "", page: int = 1, per_page: int = 20) -> tuple[Sequence[Batch], int]:
        """Return one page of batches, newest first, and how many there are."""
        chosen, count = select(batches), select(func.count()).select_from(batches)
        if state:
            chosen, count = chosen.where(batches.c.state == state), count.where(batches.c.state == state)
        chosen = chosen.order_by(batches.c.requested_at.desc(), batches.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(chosen.limit(per_page).offset((page - 1) * per_page)).mappings().all()
            return [self._batch(connection, dict(row)) for row in rows], connection.scalar(count) or 0

    def grants_of(self, batch_id: str, *, after: str = "", state: str = "", most: int = 100) -> list[Grant]:
        """Return grants of a batch in the order of their numbers, from behind ``after`` on."""
        chosen = select(grants).where(grants.c.batch_id == batch_id, grants.c.id > after)
        if state in STATES:
            chosen = chosen.where(grants.c.state == state)
        with self._database.reading() as connection:
            rows = connection.execute(chosen.order_by(grants.c.id).limit(most))
            return [grant_of(row) for row in rows.mappings()]

    def certificates_of(self, batch_id: str) -> Iterator[tuple[str, bytes]]:
        """Yield serial number and DER of each certificate of a batch, in the order of its grants."""
        after = ""
        while True:
            with self._database.reading() as connection:
                rows = _CERTIFICATES.all(connection, {"wanted": batch_id, "after": after})
            if not rows:
                return
            yield from ((row["serial"], bytes(row["certificate_der"])) for row in rows)
            after = rows[-1]["grant_id"]

    def _issue_some(self, batch_id: str, count: int, state: str, actor: str) -> None:
        if state == "approved" and count <= AT_ONCE:
            self.issue(batch_id, actor=actor)

    @staticmethod
    def _lock(connection: Connection, batch_id: str) -> Values:
        row = _LOCK.first(connection, {"wanted": batch_id})
        if row is None:
            raise GrantUnknownError(batch_id)
        return row

    @staticmethod
    def _batch(connection: Connection, row: Values) -> Batch:
        values = {name: row[name] for name in Batch.__dataclass_fields__ if name in row}
        return Batch(**values, counts=_counts(connection, row["id"]))


def _counts(connection: Connection, batch_id: str) -> dict[str, int]:
    chosen = select(grants.c.state, func.count()).where(grants.c.batch_id == batch_id)
    return {str(state): int(count) for state, count in connection.execute(chosen.group_by(grants.c.state))}


def _sha256(hashes: Sequence[str]) -> str:
    return hashlib.sha256("".join(f"{each}\n" for each in hashes).encode("ascii")).hexdigest()


def _batch_id(given: str) -> str:
    try:
        return str(uuid.UUID(given)) if given else str(uuid.uuid4())
    except ValueError as exc:
        raise RequestWrongError("id", _("not a UUID")) from exc
