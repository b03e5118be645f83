"""Carries the parts of an emergency out by the CA's mass revocation: proposed, confirmed, looked after.

    find      the CA is asked how the part stands; whatever died in between, the next run goes on from there
    propose   signed for who proposed the emergency; the lines follow, and the CA freezes them
    confirm   signed for who approved it; the CA revokes, and everybody refuses from then on
    write     when all is done, the certificates are marked here, some hundred at a time

A drill goes the same way as far as the CA's frozen list; the confirmation is signed and thrown away, and the
CA is told to stop, after which nobody can confirm that proposal.
"""

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import update

from onecert.ra.ca.client import TOO_OLD
from onecert.ra.ca.errors import CaAnswerError, CaRefusedError, CaUnreachableError
from onecert.ra.ca.mass import ARRIVING, AT_WORK, DONE, EXPIRED, PROPOSED, STOPPED, MassAnswer, MassWire
from onecert.ra.emergency import documents as papers
from onecert.ra.emergency import parts as of_parts
from onecert.ra.emergency.parts import CARRIED, OPEN, SINGLE, Part, list_parts, set_part
from onecert.ra.emergency.records import Emergency, load_emergency
from onecert.ra.emergency.tables import emergency_items
from onecert.ra.emergency.writing import Writing, count_revoked, told
from onecert.ra.orders.documents import sign_order
from onecert.ra.vault.keys import Keys
from onecert.server.clock import Clock
from onecert.server.database import Database

__all__ = ["MassParts"]

log = logging.getLogger(__name__)


class MassParts:
    """Brings parts on; safe to call again at any moment.

    Args:
        writing: writes down what the CA has done.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        keys: Keys,
        wire: MassWire,
        writing: Writing,
        name: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys
        self._wire = wire
        self._writing = writing
        self._name = name

    def carry_on(self, emergency: Emergency) -> bool:
        """Bring every part as far as it goes now; whether there is more to do at once."""
        more = False
        for part in self._parts(emergency):
            if part.state == OPEN:
                more |= self._bring_on(emergency, part)
            elif part.state == CARRIED:
                more |= self._writing.write_some(emergency, part)
        return more

    def hold_back(self, emergency: Emergency) -> bool:
        """Of a paused one: tell the CA to stop, and write down what it had done."""
        more = False
        for part in self._parts(emergency):
            if part.state == CARRIED:
                more |= self._writing.write_some(emergency, part)
            elif part.state == OPEN and part.stop_by and part.confirmed_at:
                try:
                    self._stop(emergency, part)
                except (CaUnreachableError, CaRefusedError) as exc:
                    self._set(emergency, part, problem=told(exc))
        return more

    def _parts(self, emergency: Emergency) -> list[Part]:
        with self._database.reading() as connection:
            found = list_parts(connection, emergency.id)
        if found:
            return found
        with self._database.transaction() as connection:
            load_emergency(connection, emergency.id, lock=True)
            if not list_parts(connection, emergency.id):
                of_parts.make_parts(connection, emergency.id)
            return list_parts(connection, emergency.id)

    def _bring_on(self, emergency: Emergency, part: Part) -> bool:
        try:
            answer = self._wire.find(part.mass_revocation)
            if answer is None or answer.state == ARRIVING:
                answer = self._propose(emergency, part, answer)
            if part.confirmed_at is None:
                self._check(emergency, part, answer)
            if answer.state == PROPOSED:
                answer = self._rehearsed(emergency, part, answer) or self._confirm(emergency, part, answer)
            if answer.state == STOPPED and not emergency.is_drill:
                return self._stopped(emergency, part, answer)
        except CaRefusedError as exc:
            return self._refused(emergency, part, exc)
        except CaUnreachableError as exc:
            self._set(emergency, part, problem=told(exc))
            return False
        if answer.state == STOPPED:
            return self._end_drill(emergency, part)
        values = self._seen(answer)
        if answer.state == DONE:
            values |= {"state": CARRIED, "finished_at": answer.finished_at or self._clock.now()}
        elif answer.state in AT_WORK:
            values["resume_by"] = None
        self._set(emergency, part, **values)
        return answer.state == DONE

    def _propose(self, emergency: Emergency, part: Part, answer: MassAnswer | None) -> MassAnswer:
        with self._database.reading() as connection:
            lines = papers.lines_of(of_parts.serials_of(connection, emergency.id, part))
        if answer is None:
            document = part.proposal
            if document is None:
                now = self._clock.now()
                payload = papers.proposal_payload(
                    emergency, part.mass_revocation, part.authority, lines, name=self._name, at=now
                )
                document = self._sign(payload, papers.PROPOSAL_TYP)
                self._set(emergency, part, proposal=document, proposed_at=now)
            log.info("posting mass revocation", extra={"mass_revocation": part.mass_revocation})
            answer = self._wire.propose(document)
        if answer.state == ARRIVING:
            answer = self._wire.add_lines(part.mass_revocation, lines)
        return answer

    def _check(self, emergency: Emergency, part: Part, answer: MassAnswer) -> None:
        """What the CA froze must be what two people approved, or a part of it that is not revoked yet."""
        with self._database.reading() as connection:
            lines = papers.lines_of(of_parts.serials_of(connection, emergency.id, part))
        said = (answer.authority, answer.reason, answer.selection)
        if said != (part.authority, emergency.reason, papers.selection_of(lines)):
            log.error("mass revocation is another one", extra={"mass_revocation": part.mass_revocation})
            raise CaAnswerError("mass revocation")
        if answer.state != STOPPED and answer.certificates + answer.already != part.certificates:
            raise CaAnswerError("mass revocation")

    def _confirm(self, emergency: Emergency, part: Part, answer: MassAnswer) -> MassAnswer:
        """The second person's word, on record before it is posted; not while somebody has paused it."""
        now = self._clock.now()
        document = part.confirmation or self._sign(
            self._word(emergency, part, answer), papers.CONFIRMATION_TYP
        )
        with self._database.transaction() as connection:
            if load_emergency(connection, emergency.id, lock=True).state != emergency.state:
                return answer
            is_exact = answer.already == count_revoked(connection, emergency.id, part)
            set_part(
                connection,
                emergency.id,
                part,
                confirmation=document,
                frozen_at=part.frozen_at or now,
                confirmed_at=now,
                is_exact=is_exact,
            )
        return self._wire.confirm(document)

    def _rehearsed(self, emergency: Emergency, part: Part, answer: MassAnswer) -> MassAnswer | None:
        """Of a drill: the confirmation is signed and thrown away, and the CA told to stop."""
        if not emergency.is_drill:
            return None
        frozen_at = self._clock.now()
        self._sign(self._word(emergency, part, answer), papers.CONFIRMATION_TYP)
        self._set(emergency, part, frozen_at=frozen_at, confirmed_at=self._clock.now())
        return self._wire.stop(self._note(emergency, part, emergency.proposed_by, papers.STOP_TYP))

    def _stop(self, emergency: Emergency, part: Part) -> None:
        answer = self._wire.find(part.mass_revocation)
        if answer is not None and answer.state in AT_WORK:
            by = part.stop_by or emergency.proposed_by
            answer = self._wire.stop(self._note(emergency, part, by, papers.STOP_TYP))
        values: dict[str, object] = {} if answer is None else self._seen(answer)
        if answer is not None and answer.state == DONE:
            values |= {"state": CARRIED, "finished_at": answer.finished_at or self._clock.now()}
        self._set(emergency, part, **values, stop_by=None)

    def _stopped(self, emergency: Emergency, part: Part, answer: MassAnswer) -> bool:
        """Stopped at the CA: gone on with when an officer of ours has said so, and only then."""
        if part.resume_by is None:
            self._set(emergency, part, **self._seen(answer))
            return False
        if not answer.is_confirmed:
            return self._begin_anew(emergency, part)
        answer = self._wire.resume(self._note(emergency, part, part.resume_by, papers.RESUMPTION_TYP))
        self._set(emergency, part, **self._seen(answer), resume_by=None)
        return False

    def _refused(self, emergency: Emergency, part: Part, refusal: CaRefusedError) -> bool:
        if refusal.ca_code == EXPIRED:
            return self._begin_anew(emergency, part)
        if refusal.ca_code == TOO_OLD:
            # Signed before the CA was away for a day; the next run signs the same words anew.
            self._set(emergency, part, proposal=None, confirmation=None, problem=told(refusal))
            return False
        log.warning(
            "mass revocation not taken; each by itself",
            extra={"mass_revocation": part.mass_revocation, "code": refusal.ca_code},
        )
        self._set(emergency, part, state=SINGLE, problem=told(refusal))
        return False

    def _begin_anew(self, emergency: Emergency, part: Part) -> bool:
        """A proposal that can no more be confirmed; the same certificates under another number."""
        self._set(
            emergency,
            part,
            mass_revocation=of_parts.new_number(),
            proposal=None,
            confirmation=None,
            confirmed_at=None,
            resume_by=None,
        )
        return True

    def _end_drill(self, emergency: Emergency, part: Part) -> bool:
        now, items = self._clock.now(), emergency_items.c
        with self._database.transaction() as connection:
            connection.execute(
                update(emergency_items)
                .where(
                    items.emergency_id == emergency.id,
                    items.number.between(part.first_item, part.last_item),
                    items.state == "waiting",
                )
                .values(state="done", answered_at=now)
            )
            set_part(
                connection,
                emergency.id,
                part,
                state=of_parts.DONE,
                finished_at=now,
                at_authority=STOPPED,
                problem=None,
            )
        return True

    # ------------------------------------------------------------------ inside

    def _seen(self, answer: MassAnswer) -> dict[str, object]:
        """What the CA says of itself, for the page."""
        return {
            "at_authority": answer.state,
            "gone_through": answer.done,
            "crl_number": answer.crl_number,
            "problem": None,
        }

    def _set(self, emergency: Emergency, part: Part, **values: object) -> None:
        with self._database.transaction() as connection:
            set_part(connection, emergency.id, part, **values)

    def _word(self, emergency: Emergency, part: Part, answer: MassAnswer) -> Mapping[str, Any]:
        number, now = part.mass_revocation, self._clock.now()
        return papers.confirmation_payload(emergency, number, answer, name=self._name, at=now)

    def _note(self, emergency: Emergency, part: Part, by: str, typ: str) -> bytes:
        number, now = part.mass_revocation, self._clock.now()
        return self._sign(papers.note_payload(emergency, number, by, name=self._name, at=now), typ)

    def _sign(self, payload: Mapping[str, Any], typ: str) -> bytes:
        return sign_order(dict(payload), typ=typ, key=self._keys.order_key())
