"""What people do to a case: open, approve, consent, complete, reject, withdraw.

    hold, release, revoke   a clerk asks with the form in hand, a second person approves: the order is signed
                            in that step and goes the way of `onecert.ra.revocation`
    unlock                  approved by a second person, carried out by a media clerk, who records it done; so
                            many times within so many hours for one certificate, as the settings say
    recovery                approved by a second person, consented to by a security officer, handed to the key
                            centre by a security officer as a signed document (`handover.py`)

Like applications, what is approved is what was shown: the hash of a case goes with the approval.
"""

import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from onecert.ra.applications.records import list_events
from onecert.ra.applications.steps import OperatorSteps
from onecert.ra.cases.handover import HandOvers
from onecert.ra.cases.records import Case, load_case
from onecert.ra.certificates.records import Certificate, load_certificate
from onecert.ra.content.checking import canonical_json
from onecert.ra.errors import (
    CaseInvalidError,
    ContentChangedError,
    ReasonMissingError,
    RequestKeyReusedError,
    RevocationRefusedError,
    UnlockLimitError,
)
from onecert.ra.evidence import records as evidence
from onecert.ra.life.machine import STATUS, Act, Business, State, check_move
from onecert.ra.models import cases
from onecert.ra.operators.reach import Reach
from onecert.ra.revocation.reasons import HOLD, REASONS, RELEASE
from onecert.ra.revocation.requests import Certificates
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator, check_role

__all__ = ["CASES", "Cases", "content_of"]

# The business types that are about a certificate that exists, and have no application.
CASES = STATUS | {Business.UNLOCK, Business.RECOVERY}


class Cases:
    """The acts; each is one transaction with life line and audit entry."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        reach: Reach,
        steps: OperatorSteps[Case],
        certificates: Certificates,
        handovers: HandOvers,
        unlock_limit: int = 3,
        unlock_window: timedelta = timedelta(hours=24),
    ) -> None:
        self._handovers = handovers
        self._unlock_limit = unlock_limit
        self._unlock_window = unlock_window
        self._database = database
        self._clock = clock
        self._reach = reach
        self._steps = steps
        self._certificates = certificates

    def open(
        self,
        operator: Operator,
        business: Business,
        authority: str,
        serial_hex: str,
        *,
        reason: str = "",
        note: str = "",
        invalidity_date: datetime | None = None,
        request_key: str,
    ) -> Case:
        """Ask for it; the same key by the same operator is the same case.

        Args:
            reason: for a revocation its RFC 5280 name; hold and release have their own.
            note: what the applicant brought and said; needed for unlocking and key recovery.

        Raises:
            CaseInvalidError: something is missing, or this business type has no case.
            RequestKeyReusedError: the key came with another content.
            UnlockLimitError: the token was unlocked too often of late.
        """
        if business not in CASES:
            raise CaseInvalidError("business")
        step = check_move(business, State.DRAFT, Act.SUBMIT)
        check_role(operator, *step.roles)
        reason, note = _checked_words(business, reason, note)
        if invalidity_date is not None and invalidity_date > self._clock.now():
            raise RevocationRefusedError("INVALIDITY_IN_FUTURE")
        certificate = self._reach.certificate(operator, authority, serial_hex)
        sha256 = _content_sha256(business, certificate, reason, note, invalidity_date)
        key, case_id = f"{operator.id}:{request_key}"[:128], str(uuid.uuid4())
        try:
            with self._database.transaction() as connection:
                now = self._clock.now()
                operator = self._reach.account(connection, operator, *step.roles, at=now)
                if (made := _find(connection, key, certificate, sha256)) is not None:
                    return made
                if business is Business.UNLOCK:
                    self._check_unlocks(connection, certificate, besides=None, at=now)
                connection.execute(
                    insert(cases).values(
                        id=case_id,
                        request_key=key,
                        business=business.value,
                        state=step.after.value,
                        state_since=now,
                        revision=1,
                        point=certificate.point,
                        authority=certificate.authority,
                        serial_hex=certificate.serial_hex,
                        kind=certificate.kind.value,
                        name=certificate.name,
                        reason=reason,
                        note=note,
                        invalidity_date=invalidity_date,
                        content_sha256=sha256,
                        created_at=now,
                        created_by=operator.id,
                    )
                )
                made = load_case(connection, case_id)
                self._steps.write(connection, made, event="submitted", operator=operator, at=now)
                return made
        except IntegrityError:
            with self._database.reading() as connection:
                if (made := _find(connection, key, certificate, sha256)) is None:
                    raise
                return made

    def approve(self, operator: Operator, case_id: str, *, content_sha256: str) -> Case:
        """The second person's yes to exactly this content; a change of status is signed with it.

        Raises:
            ContentChangedError: the hash is not the one on record.
            SamePersonError: this person asked for it, under whatever account.
            RevocationRefusedError: the certificate's status does not allow it any more.
        """
        case = self._reach.case(operator, case_id)
        check_role(operator, *check_move(case.business, case.state, Act.APPROVE).roles)
        certificate = self._reach.certificate(operator, case.authority, case.serial_hex)
        with self._database.reading() as connection:
            self._check_shown(connection, case, certificate, content_sha256)
        if case.business not in STATUS:
            with self._database.transaction() as connection:
                current, operator, now = self._steps.begin(connection, operator, case_id, Act.APPROVE)
                self._check_shown(connection, current, certificate, content_sha256)
                return self._move_approved(connection, current, operator, now, content_sha256)
        # Sign outside the write transaction: a slow token must not hold up the counters.
        prepared = self._certificates.prepare(
            operator,
            case.authority,
            case.serial_hex,
            reason=case.reason,
            invalidity_date=case.invalidity_date,
        )
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, case_id, Act.APPROVE)
            self._check_shown(connection, current, certificate, content_sha256)
            certificate = load_certificate(connection, case.authority, case.serial_hex, lock=True)
            self._certificates.keep(
                connection, operator, certificate, prepared, note=case.note, request_key=f"case:{case_id}"
            )
            return self._move_approved(
                connection, current, operator, now, content_sha256, revocation_id=prepared.id
            )

    def _check_shown(
        self, connection: Connection, case: Case, certificate: Certificate, content_sha256: str
    ) -> None:
        """What is on record must still be what was asked for, and what was shown, with its evidence."""
        asked = content_of(case, certificate, ())
        shown = content_of(case, certificate, evidence.frozen(connection, case.id))
        if case.content_sha256 != asked or content_sha256 != shown:
            raise ContentChangedError

    def _move_approved(
        self,
        connection: Connection,
        current: Case,
        operator: Operator,
        at: datetime,
        content_sha256: str,
        **changes: str,
    ) -> Case:
        """Approved; the hash that was approved stands in the record and in the audit trail."""
        return self._steps.move(
            connection,
            current,
            operator=operator,
            act=Act.APPROVE,
            event="approved",
            at=at,
            changes={"reviewed_by": operator.id, "content_sha256": content_sha256, **changes},
        )

    def consent(self, operator: Operator, case_id: str) -> Case:
        """The security officer's yes to a key recovery, a third person's."""
        return self._step(operator, case_id, Act.CONSENT, "consented")

    def complete(self, operator: Operator, case_id: str) -> Case:
        """It has been carried out: the token is unlocked, or the key centre gets the signed document.

        Raises:
            UnlockLimitError: the token was unlocked too often of late.
        """
        case = self._reach.case(operator, case_id)
        check_role(operator, *check_move(case.business, case.state, Act.COMPLETE).roles)
        certificate = self._reach.certificate(operator, case.authority, case.serial_hex)
        document = None
        if case.business is Business.RECOVERY:
            with self._database.reading() as connection:
                events = list_events(connection, case_id)
            consented = next((e.actor for e in reversed(events) if e.event == "consented"), None)
            people = {"consented_by": consented, "handed_over_by": operator.id}
            # Signed outside the write transaction: a slow token must not hold up the counters.
            document = self._handovers.sign(case, certificate_sha256=certificate.sha256, people=people)
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, case_id, Act.COMPLETE)
            if case.business is Business.UNLOCK:
                self._check_unlocks(connection, certificate, besides=case_id, at=now)
            if document is not None:
                self._handovers.keep(connection, case_id, document, at=now)
            done = self._steps.move(
                connection,
                current,
                operator=operator,
                act=Act.COMPLETE,
                event="completed",
                at=now,
                changes={},
            )
        if document is not None:
            self._handovers.lay_out(case_id)  # else the job does
        return done

    def withdraw(self, operator: Operator, case_id: str) -> Case:
        """End it at the applicant's wish."""
        return self._step(operator, case_id, Act.WITHDRAW, "withdrawn")

    def reject(self, operator: Operator, case_id: str, *, reason: str) -> Case:
        """Refuse it, with a sentence for the clerk and the applicant."""
        reason = reason.strip()
        if not 2 <= len(reason) <= 500:
            raise ReasonMissingError
        return self._step(operator, case_id, Act.REJECT, "rejected", note=reason, reviewed=True)

    def _check_unlocks(
        self, connection: Connection, certificate: Certificate, *, besides: str | None, at: datetime
    ) -> None:
        """Count what is asked for or done; the certificate's row orders two who count at once."""
        load_certificate(connection, certificate.authority, certificate.serial_hex, lock=True)
        over = [State.REJECTED.value, State.WITHDRAWN.value]
        since = at - self._unlock_window
        times = list(
            connection.scalars(
                select(cases.c.state_since)
                .where(
                    cases.c.authority == certificate.authority,
                    cases.c.serial_hex == certificate.serial_hex,
                    cases.c.business == Business.UNLOCK.value,
                    cases.c.state.not_in(over),
                    cases.c.id != (besides or ""),
                    cases.c.state_since > since,
                )
                .order_by(cases.c.state_since)
            )
        )
        if len(times) >= self._unlock_limit:
            again = times[len(times) - self._unlock_limit] + self._unlock_window
            hours = int(self._unlock_window.total_seconds() // 3600)
            raise UnlockLimitError(limit=self._unlock_limit, hours=hours, again=again)

    def _step(
        self,
        operator: Operator,
        case_id: str,
        act: Act,
        event: str,
        *,
        note: str | None = None,
        reviewed: bool = False,
    ) -> Case:
        self._reach.case(operator, case_id)
        with self._database.transaction() as connection:
            current, operator, now = self._steps.begin(connection, operator, case_id, act)
            changes = {"reviewed_by": operator.id} if reviewed else {}
            return self._steps.move(
                connection,
                current,
                operator=operator,
                act=act,
                event=event,
                at=now,
                changes={**changes, **({"answer": note} if note else {})},
                note=note,
            )


def _checked_words(business: Business, reason: str, note: str) -> tuple[str, str]:
    note = note.strip()
    if len(note) > 500 or "\0" in note:
        raise CaseInvalidError("note")
    if business not in STATUS:
        if len(note) < 2:
            raise CaseInvalidError("note")
        if reason:
            raise CaseInvalidError("reason")
        return business.value, note
    fixed = {Business.HOLD: HOLD, Business.RELEASE: RELEASE}.get(business)
    if (fixed is None and reason not in REASONS) or (fixed is not None and reason not in {"", fixed}):
        raise CaseInvalidError("reason")
    return fixed or reason, note


def _content_sha256(
    business: Business, certificate: Certificate, reason: str, note: str, invalidity_date: datetime | None
) -> str:
    """What the second person approves: which certificate, what, why."""
    content = {
        "business": business.value,
        "authority": certificate.authority,
        "serial": certificate.serial_hex,
        "certificate_sha256": certificate.sha256,
        "reason": reason,
        "note": note,
        "invalidity_date": invalidity_date.isoformat() if invalidity_date else None,
    }
    return hashlib.sha256(canonical_json(content)).hexdigest()


def content_of(case: Case, certificate: Certificate, papers: Sequence[tuple[str, str]]) -> str:
    """The hash of what a case says now, for the page that shows it and the approval that names it.

    Args:
        papers: its evidence, see `evidence.records.frozen`; without any it is the hash of what was asked.
    """
    asked = _content_sha256(case.business, certificate, case.reason, case.note, case.invalidity_date)
    if not papers:
        return asked
    content = {"asked": asked, "evidence": [list(paper) for paper in papers]}
    return hashlib.sha256(canonical_json(content)).hexdigest()


def _find(connection: Connection, key: str, certificate: Certificate, content_sha256: str) -> Case | None:
    case_id = connection.scalar(select(cases.c.id).where(cases.c.request_key == key))
    if case_id is None:
        return None
    made = load_case(connection, case_id)
    if content_of(made, certificate, ()) != content_sha256:
        raise RequestKeyReusedError(made.number)
    return made
