"""What security officers do with an emergency: propose, approve, refuse, pause, go on.

    proposed   one officer has selected; the set is frozen, with its number and its hash
    running    another person has approved exactly that; the service carries it out (`work.py`)
    paused     one officer is enough to stop; what is revoked stays revoked
    done       every certificate has its answer
    refused    not approved, or taken back by who proposed it

A drill goes the same way and revokes nothing.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from onecert.ra.content.checking import canonical_json
from onecert.ra.emergency.parts import ask_of_parts
from onecert.ra.emergency.records import (
    PAUSED,
    PROPOSED,
    REFUSED,
    RUNNING,
    Emergency,
    load_emergency,
)
from onecert.ra.emergency.selection import Selection, choose, set_hash
from onecert.ra.emergency.tables import emergencies, emergency_items
from onecert.ra.errors import (
    NotFoundError,
    RevocationReasonError,
    RevocationRefusedError,
)
from onecert.ra.errors.emergency import EmergencyRefusedError, UnknownLinesError
from onecert.ra.operators.acting import ActingOperator, certificate_of, with_certificate
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.roles import AUDITOR, SECURITY
from onecert.ra.revocation.reasons import HOLD, REASONS
from onecert.ra.search.find import Search
from onecert.ra.search.terms import TEXT_MAX, Read
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator, SamePersonError, check_role

__all__ = ["VALID", "Emergencies"]

VALID = timedelta(hours=12)
# Of a search that is selected; for more there are times and authorities.
FOUND_MOST = 20_000
_AT_ONCE = 1000


class Emergencies:
    """The acts; each is one transaction with its audit entry."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        reach: Reach,
        search: Search,
        load_operator: Callable[[Connection, str], Operator],
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._reach = reach
        self._search = search
        self._load_operator = load_operator

    def propose(
        self,
        operator: Operator,
        selection: Selection,
        *,
        reason: str,
        why: str,
        request_key: str,
        invalidity_date: datetime | None = None,
        is_drill: bool = False,
    ) -> Emergency:
        """Freeze what the selection finds now; the same key by the same operator is the same proposal.

        Raises:
            EmergencyRefusedError, UnknownLinesError, RevocationReasonError, RevocationRefusedError: nothing
                is frozen.
        """
        check_role(operator, SECURITY)
        why = why.strip()
        if not 2 <= len(why) <= 500 or "\0" in why:
            raise EmergencyRefusedError("EMERGENCY_WHY")
        if reason not in REASONS and reason != HOLD:
            raise RevocationReasonError(reason, [*REASONS, HOLD])
        now, key = self._clock.now(), f"{operator.id}:{request_key}"[:128]
        if invalidity_date is not None and invalidity_date > now:
            raise RevocationRefusedError("INVALIDITY_IN_FUTURE")
        with self._database.reading() as connection:
            if (made := _find(connection, key)) is not None:
                return made
        searched = self._searched(operator, selection) if selection.kind == "search" else ()
        with self._database.reading() as connection:
            scope = self._reach.scope(connection, operator)
            chosen = choose(connection, scope, selection, at=now, found=searched)
        if chosen.unknown:
            raise UnknownLinesError(list(chosen.unknown))
        said = selection.as_json() | {"places": [list(place) for place in chosen.places]}
        content = {
            "drill": is_drill,
            "set_sha256": set_hash(chosen.items),
            "certificates": len(chosen.items),
            "reason": reason,
            "invalidity_date": invalidity_date.isoformat() if invalidity_date else None,
            "why": why,
        }
        emergency_id = str(uuid.uuid4())
        with self._database.transaction() as connection:
            operator = self._reach.account(connection, operator, SECURITY, at=now)
            if (made := _find(connection, key)) is not None:
                return made
            connection.execute(
                insert(emergencies).values(
                    id=emergency_id,
                    request_key=key,
                    is_drill=is_drill,
                    selection=json.dumps(said, ensure_ascii=False),
                    reason=reason,
                    invalidity_date=invalidity_date,
                    why=why,
                    state=PROPOSED,
                    certificates=len(chosen.items),
                    holders=chosen.holders,
                    left_out=chosen.left_out,
                    content_sha256=hashlib.sha256(canonical_json(content)).hexdigest(),
                    proposed_by=operator.id,
                    proposed_certificate=certificate_of(operator),
                    proposed_at=now,
                    expires_at=now + VALID,
                )
            )
            rows = [
                {
                    "emergency_id": emergency_id,
                    "number": number,
                    "authority": authority,
                    "serial_hex": serial_hex,
                    "name": name,
                    "state": "waiting",
                }
                for number, (authority, serial_hex, name) in enumerate(chosen.items, 1)
            ]
            for begin in range(0, len(rows), _AT_ONCE):
                connection.execute(insert(emergency_items), rows[begin : begin + _AT_ONCE])
            made = load_emergency(connection, emergency_id)
            self._note(connection, made, "proposed", operator)
            return made

    def _searched(self, operator: Operator, selection: Selection) -> list[tuple[str, str]]:
        """All certificates that a search finds, page by page, as the page of the search shows them."""
        read_as = Read(selection.read_as) if selection.read_as in set(Read) else None
        found: dict[tuple[str, str], None] = {}
        wanted = [(selection.value.strip()[:TEXT_MAX], read_as)]
        for text, kind in wanted:
            answer = self._search.find(operator, text, read_as=kind, limit=200)
            while True:
                for hit in answer.hits:
                    if hit.certificate is not None:
                        found[hit.certificate.authority, hit.certificate.serial_hex] = None
                    if hit.more_of:
                        wanted.append((hit.more_of, Read.HOLDER))
                if len(found) > FOUND_MOST or len(wanted) > FOUND_MOST:
                    raise EmergencyRefusedError("EMERGENCY_SEARCH")
                if answer.next is None or answer.read is None:
                    break
                answer = self._search.find(
                    operator, text, read_as=answer.read.kind, cursor=answer.next, limit=200
                )
        return list(found)

    def find(self, operator: Operator, emergency_id: str) -> Emergency:
        """Raises `NotFoundError` when there is none whose certificates are all in reach."""
        check_role(operator, SECURITY, AUDITOR)
        with self._database.reading() as connection:
            found = load_emergency(connection, emergency_id)
            scope = self._reach.scope(connection, operator)
        if not found.is_covered_by(scope):
            raise NotFoundError(emergency_id[:64])
        return found

    def approve(
        self, operator: Operator, emergency_id: str, *, content_sha256: str, certificates: int
    ) -> Emergency:
        """The second person's yes to exactly this set, reason and words; from now on it is carried out.

        Raises:
            SamePersonError: this person proposed it, under whatever account.
            EmergencyRefusedError: another content than shown, too late, or decided already.
        """
        self.find(operator, emergency_id)
        now = self._clock.now()
        with self._database.transaction() as connection:
            operator, current = self._begin(connection, operator, emergency_id, PROPOSED)
            first = self._load_operator(connection, current.proposed_by)
            if operator.id == first.id or operator.person == first.person:
                raise SamePersonError(first.id, operator.id)
            if now >= current.expires_at:
                raise EmergencyRefusedError("EMERGENCY_EXPIRED")
            if (current.content_sha256, current.certificates) != (content_sha256, certificates):
                raise EmergencyRefusedError("EMERGENCY_CHANGED")
            return self._turn(
                connection,
                current,
                operator,
                "approved",
                {
                    "state": RUNNING,
                    "decided_by": operator.id,
                    "decided_certificate": certificate_of(operator),
                    "decided_at": now,
                    "began_at": now,
                },
            )

    def refuse(self, operator: Operator, emergency_id: str, *, note: str) -> Emergency:
        """Not approved, or taken back: nothing is carried out."""
        self.find(operator, emergency_id)
        with self._database.transaction() as connection:
            operator, current = self._begin(connection, operator, emergency_id, PROPOSED)
            changes = {
                "state": REFUSED,
                "decided_by": operator.id,
                "decided_certificate": certificate_of(operator),
                "decided_at": self._clock.now(),
                "note": _words(note),
            }
            return self._turn(connection, current, operator, "refused", changes)

    def pause(self, operator: Operator, emergency_id: str, *, note: str) -> Emergency:
        """Stop it where it is; one officer is enough."""
        return self._change(operator, emergency_id, (RUNNING, PAUSED), "paused", note)

    def resume(self, operator: Operator, emergency_id: str, *, note: str) -> Emergency:
        """Go on with what two people had decided."""
        return self._change(operator, emergency_id, (PAUSED, RUNNING), "resumed", note)

    def _change(
        self, operator: Operator, emergency_id: str, states: tuple[str, str], event: str, note: str
    ) -> Emergency:
        self.find(operator, emergency_id)
        before, after = states
        with self._database.transaction() as connection:
            operator, current = self._begin(connection, operator, emergency_id, before)
            # The CA is told by the service, in its next turn.
            asked = {"stop_by" if after == PAUSED else "resume_by": operator.id}
            ask_of_parts(connection, current.id, **asked)
            return self._turn(connection, current, operator, event, {"state": after, "note": _words(note)})

    def _begin(
        self, connection: Connection, operator: Operator, emergency_id: str, state: str
    ) -> tuple[ActingOperator, Emergency]:
        acting = self._reach.account(connection, operator, SECURITY, at=self._clock.now())
        current = load_emergency(connection, emergency_id, lock=True)
        if not current.is_covered_by(self._reach.scope(connection, operator)):
            raise NotFoundError(emergency_id[:64])
        if current.state != state:
            raise EmergencyRefusedError("EMERGENCY_STATE")
        return acting, current

    def _turn(
        self,
        connection: Connection,
        current: Emergency,
        operator: Operator,
        event: str,
        changes: Mapping[str, object],
    ) -> Emergency:
        connection.execute(update(emergencies).where(emergencies.c.id == current.id).values(**changes))
        after = load_emergency(connection, current.id)
        self._note(connection, after, event, operator)
        return after

    def _note(self, connection: Connection, about: Emergency, event: str, operator: Operator) -> None:
        self._audit.record(
            connection,
            event=f"emergency.{event}",
            actor=operator.actor,
            subject=f"emergency:{about.id}",
            details={
                "certificates": about.certificates,
                "content_sha256": about.content_sha256,
                "reason": about.reason,
                "drill": about.is_drill,
                **with_certificate(operator),
            },
        )


def _words(note: str) -> str:
    note = note.strip()
    if not 2 <= len(note) <= 500 or "\0" in note:
        raise EmergencyRefusedError("EMERGENCY_WHY")
    return note


def _find(connection: Connection, key: str) -> Emergency | None:
    found = connection.scalar(select(emergencies.c.id).where(emergencies.c.request_key == key))
    return None if found is None else load_emergency(connection, found)
