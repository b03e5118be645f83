"""Carries requests for revocation, hold and release to the CA, and records its answers.

The counterpart of `onecert.ra.orders.dispatch`: the signed request is on record before it is posted, and is
posted again with the same number until the answer is known.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from onecert.ra.applications.steps import ServiceSteps
from onecert.ra.ca.client import TOO_OLD, CaClient, RevokedAnswer
from onecert.ra.ca.errors import CaAnswerError, CaRefusedError, CaUnreachableError
from onecert.ra.cases.records import Case, find_case_of_revocation
from onecert.ra.certificates.records import Certificate, load_certificate, load_revocation
from onecert.ra.errors import NotFoundError
from onecert.ra.life.machine import Act, State, check_move
from onecert.ra.models import certificates, revocations
from onecert.ra.revocation.reasons import HOLD, RELEASE, business_of
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError

__all__ = ["Revoking"]

log = logging.getLogger(__name__)

# A revocation cannot wait: 2 s, 4 s, 8 s … and never more than a minute.
_FIRST_WAIT_S = 2
_LONGEST_WAIT_S = 60
BATCH = 100
# The words of the table for the states of the machine.
STATE_OF = {"pending": State.ORDERED, "done": State.DONE, "refused": State.REFUSED_BY_CA}
EVENTS = {HOLD: "certificate.held", RELEASE: "certificate.released"}


class Revoking:
    """Posts pending requests. Safe in several processes."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        client: CaClient,
        sign: Callable[..., bytes],
        registration_authority: str,
        case_steps: ServiceSteps[Case],
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._client = client
        self._sign = sign
        self._name = registration_authority
        self._case_steps = case_steps

    def carry_out(self, revocation_id: str) -> str:
        """Post a request now and return its state: done, refused, or pending when the CA could not be
        asked."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(revocations).where(revocations.c.id == revocation_id)
            ).one_or_none()
        if row is None:
            raise NotFoundError(revocation_id)
        if row.state != "pending":
            return str(row.state)
        log.info("posting revocation", extra={"revocation": revocation_id, "attempt": row.attempts + 1})
        try:
            answer = self._client.post_revocation(revocation_id, row.document)
            if answer.serial_hex.lstrip("0") != row.serial_hex:
                raise CaAnswerError("POST /ca/v1/revocations")
        except CaRefusedError as exc:
            if exc.ca_code == TOO_OLD:
                self._sign_anew(revocation_id, row.document)
                return self._record_no_answer(row, CaUnreachableError(TOO_OLD))
            return self._record_refused(row, exc)
        except CaUnreachableError as exc:
            return self._record_no_answer(row, exc)
        return self._record_done(row, answer)

    def run(self, at: datetime) -> None:
        """The job: every request whose answer is unknown and due."""
        with self._database.reading() as connection:
            due = list(
                connection.scalars(
                    select(revocations.c.id)
                    .where(revocations.c.state == "pending", revocations.c.next_attempt_at <= at)
                    .order_by(revocations.c.next_attempt_at)
                    .limit(BATCH)
                )
            )
        for revocation_id in due:
            try:
                self.carry_out(revocation_id)
            except ServiceError as exc:
                log.warning(
                    "revocation not carried out", extra={"revocation": revocation_id, "code": exc.code}
                )

    def refresh(self, authority: str, serial_hex: str) -> Certificate:
        """Ask the CA for the status on record there and keep it; the last known one when it cannot be
        asked."""
        with self._database.reading() as connection:
            known = load_certificate(connection, authority, serial_hex)
        found = self._client.certificate(authority, known.serial_hex)
        status = _read_status(found)
        if status is None or (status == known.status and found.get("reason") in {None, known.reason}):
            return known
        since = found.get("revoked_at") or found.get("status_since")
        with self._database.transaction() as connection:
            self._set_status(
                connection,
                authority,
                known.serial_hex,
                status=status,
                reason=found.get("reason") if status != "good" else None,
                since=datetime.fromisoformat(str(since)) if since else self._clock.now(),
            )
            self._audit.record(
                connection,
                event="certificate.status_learned",
                actor="ra:" + self._name,
                subject=f"certificate:{authority}/{known.serial_hex}",
                details={"before": known.status, "after": status},
            )
            return load_certificate(connection, authority, known.serial_hex)

    def _sign_anew(self, revocation_id: str, stale: bytes) -> None:
        """Replace a request that grew too old while the CA was away: the same number, signed today."""
        with self._database.reading() as connection:
            revocation = load_revocation(connection, revocation_id)
        document = self._sign(revocation, at=self._clock.now())
        with self._database.transaction() as connection:
            connection.execute(
                update(revocations)
                .where(revocations.c.id == revocation_id, revocations.c.document == stale)
                .values(document=document)
            )

    def _record_done(self, row: Any, answer: RevokedAnswer) -> str:
        status = {HOLD: "hold", RELEASE: "good"}.get(row.reason, "revoked")
        with self._database.transaction() as connection:
            if not self._close(connection, row, Act.RECORD_DONE, None, answer.crl_number):
                return "done"
            self._set_status(
                connection,
                row.authority,
                row.serial_hex,
                status=status,
                reason=None if status == "good" else row.reason,
                since=answer.revoked_at or self._clock.now(),
            )
            self._audit.record(
                connection,
                event=EVENTS.get(row.reason, "certificate.revoked"),
                actor="ra:" + self._name,
                subject=f"certificate:{row.authority}/{row.serial_hex}",
                details={"revocation": row.id, "reason": row.reason, "crl_number": answer.crl_number},
            )
        return "done"

    def _record_refused(self, row: Any, refusal: CaRefusedError) -> str:
        with self._database.transaction() as connection:
            error = f"{refusal.detail} ({refusal.ca_code})"[:500]
            if self._close(connection, row, Act.RECORD_REFUSED, error, None):
                self._audit.record(
                    connection,
                    event="certificate.change_refused",
                    actor="ra:" + self._name,
                    subject=f"certificate:{row.authority}/{row.serial_hex}",
                    details={"revocation": row.id, "reason": row.reason, "code": refusal.ca_code},
                )
        return "refused"

    def _record_no_answer(self, row: Any, problem: CaUnreachableError) -> str:
        wait = min(_FIRST_WAIT_S * 2 ** min(row.attempts, 10), _LONGEST_WAIT_S)
        with self._database.transaction() as connection:
            connection.execute(
                update(revocations)
                .where(revocations.c.id == row.id, revocations.c.state == "pending")
                .values(
                    attempts=revocations.c.attempts + 1,
                    next_attempt_at=self._clock.now() + timedelta(seconds=wait),
                    last_error=str(problem.facts["detail"])[:200],
                )
            )
        return "pending"

    def _close(
        self,
        connection: Connection,
        row: Any,
        act: Act,
        error: str | None,
        crl_number: int | None,
    ) -> bool:
        """Record the answer; False when another process was first."""
        step = check_move(business_of(row.reason), STATE_OF[row.state], act)
        state = next(word for word, after in STATE_OF.items() if after is step.after)
        changed = connection.execute(
            update(revocations)
            .where(revocations.c.id == row.id, revocations.c.state == "pending")
            .values(
                state=state,
                answered_at=self._clock.now(),
                attempts=revocations.c.attempts + 1,
                last_error=error,
                crl_number=crl_number,
            )
        )
        if changed.rowcount != 1:
            return False
        case = find_case_of_revocation(connection, row.id)
        if case is not None:
            event = "done" if act is Act.RECORD_DONE else "refused_by_ca"
            changes = {"answer": error}
            now = self._clock.now()
            self._case_steps.move(connection, case, act=act, event=event, at=now, changes=changes, note=error)
        return True

    def _set_status(
        self,
        connection: Connection,
        authority: str,
        serial_hex: str,
        *,
        status: str,
        reason: str | None,
        since: datetime,
    ) -> None:
        connection.execute(
            update(certificates)
            .where(certificates.c.authority == authority, certificates.c.serial_hex == serial_hex)
            .values(status=status, reason=reason, status_since=since)
        )


def _read_status(found: Any) -> str | None:
    """The CA's word for a status in ours; None when it says something that we do not know."""
    return {"good": "good", "issued": "good", "hold": "hold", "revoked": "revoked"}.get(
        str(found.get("status"))
    )
