"""Carries approved emergencies out: by the CA's mass revocation (`mass.py`), or certificate by certificate.

Where the CA takes no mass revocation, each certificate is asked for: its request is a row of
`ra_revocations`, written in the transaction that marks the item, under a key made of the emergency and the
item's number: whatever dies in between, it is asked for once. Between two chunks it is looked whether
somebody has paused it. A drill signs the same requests and throws them away.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from onecert.ra.certificates.records import load_certificate
from onecert.ra.emergency import parts as of_parts
from onecert.ra.emergency.mass import MassParts
from onecert.ra.emergency.records import (
    DONE,
    PAUSED,
    RUNNING,
    Emergency,
    Item,
    count_items,
    list_items,
    load_emergency,
)
from onecert.ra.emergency.tables import emergencies, emergency_items
from onecert.ra.errors import NotFoundError, RevocationRefusedError
from onecert.ra.models import revocations
from onecert.ra.revocation.requests import Certificates
from onecert.ra.revocation.revoking import Revoking
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator

__all__ = ["EmergencyWork"]

log = logging.getLogger(__name__)

CHUNK = 20
# One run of the job; the next begins a second later and goes on.
LONGEST = timedelta(seconds=30)


class EmergencyWork:
    """The job `ra.emergencies`; safe to run again and to stop at any moment."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        requests: Certificates,
        revoking: Revoking,
        mass: MassParts,
        load_operator: Callable[[Connection, str], Operator],
        name: str,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._requests = requests
        self._revoking = revoking
        self._mass = mass
        self._load_operator = load_operator
        self._name = name

    def run(self, at: datetime) -> None:
        """Chunks of every running emergency, until there are none or the time is up; paused ones are held."""
        end = time.monotonic() + LONGEST.total_seconds()
        with self._database.reading() as connection:
            ids = connection.scalars(
                select(emergencies.c.id)
                .where(emergencies.c.state.in_((RUNNING, PAUSED)))
                .order_by(emergencies.c.seq)
            ).all()
        for emergency_id in ids:
            while time.monotonic() < end and self.step(emergency_id):
                pass

    def step(self, emergency_id: str) -> bool:
        """One chunk; whether there is more to do at once."""
        with self._database.reading() as connection:
            emergency = load_emergency(connection, emergency_id)
            proposer = self._load_operator(connection, emergency.proposed_by)
        if emergency.state == PAUSED:
            return self._mass.hold_back(emergency)
        if emergency.state != RUNNING:
            return False
        more = self._mass.carry_on(emergency)
        items, is_all = self._single(emergency)
        if not items:
            return self._finish(emergency) if is_all else more
        if emergency.is_drill:
            return self._rehearse(emergency, proposer, items)
        posted = [item for item in items if item.state == "posted"]
        if not posted:
            self._ask(emergency, proposer, items)
            with self._database.reading() as connection:
                numbers = {item.number for item in items}
                found = list_items(connection, emergency_id, states=["posted"], limit=CHUNK)
            posted = [item for item in found if item.number in numbers]
        answered = [self._carry_out(emergency, item) for item in posted]
        # While the authority does not answer, the next run tries again.
        return all(answered) or more

    def _single(self, emergency: Emergency) -> tuple[list[Item], bool]:
        """The next certificates that are asked for by themselves; and, without any, whether all is done."""
        with self._database.reading() as connection:
            posted = list_items(connection, emergency.id, states=["posted"], limit=CHUNK)
            parts = of_parts.list_parts(connection, emergency.id)
            if posted:
                return posted, False
            for part in parts:
                if part.state == of_parts.SINGLE:
                    first, last = part.first_item, part.last_item
                    items = list_items(
                        connection,
                        emergency.id,
                        states=["waiting"],
                        after=first - 1,
                        upto=last,
                        limit=CHUNK,
                    )
                    if items:
                        return items, False
        return [], all(part.state in {of_parts.DONE, of_parts.SINGLE} for part in parts)

    def _ask(self, emergency: Emergency, proposer: Operator, items: Sequence[Item]) -> None:
        """Sign outside the transaction, then keep requests and marks in one."""
        prepared = [
            self._requests.prepare(
                proposer,
                item.authority,
                item.serial_hex,
                reason=emergency.reason,
                invalidity_date=emergency.invalidity_date,
            )
            for item in items
        ]
        with self._database.transaction() as connection:
            if load_emergency(connection, emergency.id, lock=True).state != RUNNING:
                return
            known = {
                each.number for each in list_items(connection, emergency.id, states=["waiting"], limit=CHUNK)
            }
            for item, request in zip(items, prepared, strict=True):
                if item.number not in known:
                    continue  # another process was first
                try:
                    certificate = load_certificate(connection, item.authority, item.serial_hex, lock=True)
                    self._requests.keep(
                        connection,
                        proposer,
                        certificate,
                        request,
                        note=emergency.why,
                        request_key=f"emergency:{emergency.id}:{item.number}",
                    )
                except (RevocationRefusedError, NotFoundError) as exc:
                    state = "already" if exc.code in {"ALREADY_REVOKED", "ALREADY_ON_HOLD"} else "refused"
                    self._mark(connection, emergency, item, state=state, problem=exc.code)
                else:
                    self._mark(connection, emergency, item, state="posted", revocation_id=request.id)

    def _carry_out(self, emergency: Emergency, item: Item) -> bool:
        assert item.revocation_id is not None  # noqa: S101 - it is posted
        state = self._revoking.carry_out(item.revocation_id)
        if state == "pending":
            return False
        with self._database.transaction() as connection:
            error = connection.scalar(
                select(revocations.c.last_error).where(revocations.c.id == item.revocation_id)
            )
            self._mark(
                connection, emergency, item, state=state, problem=error if state == "refused" else None
            )
        return True

    def _rehearse(self, emergency: Emergency, proposer: Operator, items: Sequence[Item]) -> bool:
        for item in items:
            self._requests.prepare(
                proposer,
                item.authority,
                item.serial_hex,
                reason=emergency.reason,
                invalidity_date=emergency.invalidity_date,
            )
        with self._database.transaction() as connection:
            for item in items:
                self._mark(connection, emergency, item, state="done")
        return True

    def _mark(
        self,
        connection: Connection,
        emergency: Emergency,
        item: Item,
        *,
        state: str,
        revocation_id: str | None = None,
        problem: str | None = None,
    ) -> None:
        values: dict[str, object] = {"state": state, "problem": problem}
        if revocation_id is not None:
            values["revocation_id"] = revocation_id
        if state != "posted":
            values["answered_at"] = self._clock.now()
        connection.execute(
            update(emergency_items)
            .where(
                emergency_items.c.emergency_id == emergency.id,
                emergency_items.c.number == item.number,
                emergency_items.c.state.in_(("waiting", "posted")),
            )
            .values(**values)
        )

    def _finish(self, emergency: Emergency) -> bool:
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(emergencies)
                .where(emergencies.c.id == emergency.id, emergencies.c.state == RUNNING)
                .values(state=DONE, finished_at=self._clock.now())
            )
            if changed.rowcount == 1:
                self._audit.record(
                    connection,
                    event="emergency.done",
                    actor="ra:" + self._name,
                    subject=f"emergency:{emergency.id}",
                    details={**count_items(connection, emergency.id), "drill": emergency.is_drill},
                )
        log.info("emergency carried out", extra={"emergency": emergency.id})
        return False
