"""Suspends, resumes and revokes an authority, and all under it: shown first, then one confirmed act.

State, history, delegations, certificates and the audit entry are one transaction, in statements that change
many rows at once. What is shown is named by a hash, and only what was shown is done. A source of authority is
revoked by two people; one is enough to suspend it.

Delegations to the authority, those it gave and all under those are put on hold or revoked, each on the list
of its issuer. The certificates of holders are left to end with that chain, or changed one by one (``each``).
Certificates that are being signed at this moment are given up.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, literal, select, update

from onecert.pmi.authorities.directory import ACTIVE, REVOKED, SOURCE, STATES, SUSPENDED
from onecert.pmi.authorities.errors import AuthorityActError, AuthorityStateError
from onecert.pmi.authorities.survey import Survey, Under, chunks, read_under, under_clauses
from onecert.pmi.errors import AuthorityNotReadyError, AuthorityUnknownError, ReasonUnknownError
from onecert.pmi.models import authorities, authority_acts, authority_history, certificates, holds
from onecert.pmi.status.acrl import AcrlPublisher
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.languages import Message, _
from onecert.server.operators import Operator, Operators, check_different_people, check_role, check_usable

__all__ = ["ACTS", "ADMINISTRATOR", "REASONS", "AuthorityStates", "Outcome", "check_not_suspended"]

log = logging.getLogger(__name__)

ADMINISTRATOR = "attribute.administrator"
SUSPEND, RESUME, REVOKE = "suspend", "resume", "revoke"
ACTS: dict[str, Message] = {
    SUSPEND: _("suspend"),
    RESUME: _("let act again"),
    REVOKE: _("revoke for good"),
}
# RFC 5280, section 5.3.1, as far as they fit an authority.
REASONS: dict[str, Message] = {
    "aACompromise": _("the key of the attribute authority is compromised"),
    "privilegeWithdrawn": _("the right to give attributes was taken back"),
    "cessationOfOperation": _("the attribute authority ends its work"),
}
HOLD_REASON = "certificateHold"
# Who put a certificate on hold: a suspension, by the name of its authority.
_SUSPENSION = "suspension:"
_FROM: dict[str, tuple[str, ...]] = {
    SUSPEND: (ACTIVE,),
    RESUME: (SUSPENDED,),
    REVOKE: (ACTIVE, SUSPENDED),
}
_TO = {SUSPEND: SUSPENDED, RESUME: ACTIVE, REVOKE: REVOKED}
_EVENTS = {SUSPEND: "authority.suspended", RESUME: "authority.resumed", REVOKE: "authority.revoked"}
# Acts on authorities wait for each other; PostgreSQL's advisory lock has a number for a name.
_LOCK = int.from_bytes(b"pmi:acts")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of an act.

    Args:
        survey: what was done, or what waits for a second person.
        is_done: False: nothing has changed yet, another person has to confirm.
        changed: certificates and delegations whose status was changed.
        published: for each authority concerned the number of its new list; None: later, by the timer.
    """

    survey: Survey
    is_done: bool
    changed: int = 0
    published: dict[str, int | None]


class AuthorityStates:
    """The acts on authorities. One object per process; safe to share between threads."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        operators: Operators,
        publisher: AcrlPublisher,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._operators = operators
        self._publisher = publisher

    def survey(self, name: str, act: str, *, reason: str = "", each: bool = False) -> Survey:
        """Return what an act would do. Nothing is changed.

        Args:
            act: ``suspend``, ``resume`` or ``revoke``.
            reason: of a revocation, one of REASONS.
            each: change every certificate, not only the delegations above them.

        Raises:
            AuthorityUnknownError, AuthorityNotReadyError
            AuthorityStateError: the authority is in no state for this.
            ReasonUnknownError
        """
        with self._database.reading() as connection:
            return self._survey(connection, name, act, reason=reason, each=each)[0]

    def suspend(self, name: str, operator: Operator, *, content_sha256: str, each: bool = False) -> Outcome:
        """Suspend an authority: nothing that it gave counts until it is resumed. See `survey`."""
        return self._act(name, SUSPEND, operator, content_sha256=content_sha256, each=each)

    def resume(self, name: str, operator: Operator, *, content_sha256: str) -> Outcome:
        """Take a suspended authority back into use, with what was put on hold because of it."""
        return self._act(name, RESUME, operator, content_sha256=content_sha256)

    def revoke(
        self, name: str, operator: Operator, *, content_sha256: str, reason: str, each: bool = False
    ) -> Outcome:
        """Revoke an authority for good.

        Of a source of authority the first call puts the act on record, and the same call by another person
        does it; until then nothing has changed.

        Args:
            content_sha256: of the `Survey` that the operator saw.

        Raises:
            AuthorityActError: something else would happen than was shown.
            SamePersonError: the second person is the first one.
        """
        return self._act(name, REVOKE, operator, content_sha256=content_sha256, reason=reason, each=each)

    def waiting(self, connection: Connection, name: str) -> RowMapping | None:
        """Return the revocation that waits for a second person: content_sha256, reason, each_certificate,
        requested_by, requested_at; None when nothing waits."""
        return _waiting(connection, name)

    def history(self, connection: Connection, name: str) -> Sequence[RowMapping]:
        """Return what an authority was from when on, oldest first: since, state, reason, changed_by."""
        query = select(authority_history).where(authority_history.c.authority == name)
        return connection.execute(query.order_by(authority_history.c.since)).mappings().all()

    def _act(
        self,
        name: str,
        act: str,
        operator: Operator,
        *,
        content_sha256: str,
        reason: str = "",
        each: bool = False,
    ) -> Outcome:
        check_role(operator, ADMINISTRATOR)
        now = self._clock.now()
        check_usable(operator, at=now)
        with self._database.transaction() as connection:
            _wait_for_others(connection)
            survey, under = self._survey(connection, name, act, reason=reason, each=each, lock=True)
            if survey.content_sha256 != content_sha256:
                raise AuthorityActError(name)
            if survey.needs_second and not self._confirm(connection, survey, operator, now):
                return Outcome(survey=survey, is_done=False, published={})
            changed = self._change(connection, survey, under, now)
            self._record(connection, survey, under, operator, now)
        log.warning("authority changed", extra={"authority": name, "act": act, "certificates": changed})
        state = _TO[act]
        return Outcome(
            survey=replace(survey, state=state),
            is_done=True,
            changed=changed,
            published=self._publish(survey.authorities),
        )

    def _survey(
        self, connection: Connection, name: str, act: str, *, reason: str, each: bool, lock: bool = False
    ) -> tuple[Survey, Under]:
        if act == REVOKE and reason not in REASONS:
            raise ReasonUnknownError(reason, REASONS)
        now = self._clock.now()
        under = read_under(connection, name, now, lock=lock, each=each)
        row = _authority(connection, name, lock=lock)
        if lock and connection.dialect.name == "postgresql":
            # Rows of certificates first, then the authority, as everybody does; now nobody adds any more.
            # SQLite has one writer, and nobody could add in between.
            under = read_under(connection, name, now)
        if row["state"] not in _FROM[act]:
            raise AuthorityStateError(name, STATES[row["state"]])
        waiting = _waiting(connection, name)
        counts, holders = under.counted()
        is_waiting = waiting is not None and act == REVOKE
        survey = Survey(
            authority=name,
            act=act,
            kind=row["kind"],
            state=row["state"],
            reason=reason if act == REVOKE else "",
            each=each,
            given_to=under.given_to,
            below=under.below,
            certificates=counts,
            holders=holders,
            needs_second=act == REVOKE and row["kind"] == SOURCE,
            waiting=waiting["content_sha256"] if waiting is not None and is_waiting else None,
            waiting_for=waiting["requested_by"] if waiting is not None and is_waiting else None,
        )
        return survey, under

    def _confirm(self, connection: Connection, survey: Survey, operator: Operator, now: datetime) -> bool:
        """Return whether a second person confirms what a first one asked for; put it on record if not."""
        waiting = _waiting(connection, survey.authority)
        if waiting is not None and waiting["content_sha256"] == survey.content_sha256:
            if waiting["requested_by"] == operator.id:
                return False
            check_different_people(self._operators.load(connection, waiting["requested_by"]), operator)
            _end_act(connection, waiting["id"], "done", confirmed_by=operator.id, confirmed_at=now)
            return True
        if waiting is not None:
            _end_act(connection, waiting["id"], "withdrawn")
        connection.execute(
            insert(authority_acts).values(
                id=str(uuid.uuid4()),
                authority=survey.authority,
                act=survey.act,
                state="waiting",
                content_sha256=survey.content_sha256,
                reason=survey.reason,
                each_certificate=survey.each,
                requested_by=operator.id,
                requested_at=now,
                confirmed_by=None,
                confirmed_at=None,
            )
        )
        self._audit.record(
            connection,
            event="authority.revocation_requested",
            actor=operator.actor,
            subject=f"authority:{survey.authority}",
            details={"content_sha256": survey.content_sha256, "reason": survey.reason},
        )
        return False

    def _change(self, connection: Connection, survey: Survey, under: Under, now: datetime) -> int:
        name, mark = survey.authority, _SUSPENSION + survey.authority
        delegations = [each.serial for each in (*under.given_to, *under.below)]
        where: list[ColumnElement[bool]] = [certificates.c.serial.in_(chunk) for chunk in chunks(delegations)]
        of_holders = list(under_clauses(name, (each.serial for each in under.below)))
        changed = 0
        if survey.act != RESUME:
            # 1. What is being signed this moment: its signature may come back, and must find its row closed.
            for clause in (*where, *of_holders):
                changed += _abandon(connection, clause, mark, now)
        if survey.each:
            where += [clause & (certificates.c.kind != "delegation") for clause in of_holders]
        # 2. What was issued.
        if survey.act == SUSPEND:
            changed += sum(_hold(connection, clause, mark, now) for clause in where)
        elif survey.act == RESUME:
            changed += _release(connection, mark, now, self._still_suspended(connection, name, now))
        else:
            changed += sum(_revoke(connection, clause, survey.reason, mark, now) for clause in where)
        # 3. Whoever keeps the status of one of these authorities reads it again.
        connection.execute(
            update(authorities)
            .where(authorities.c.name.in_(survey.authorities))
            .values(status_version=authorities.c.status_version + 1)
        )
        return changed

    def _still_suspended(self, connection: Connection, name: str, now: datetime) -> dict[str, list[str]]:
        """Return what stays on hold because another authority above it is suspended, by that authority."""
        others = select(authorities.c.name).where(
            authorities.c.state == SUSPENDED, authorities.c.name != name
        )
        found = {}
        for other in connection.scalars(others.order_by(authorities.c.name)).all():
            under = read_under(connection, other, now)
            found[other] = [each.serial for each in (*under.given_to, *under.below)]
            found[other] += [row.serial for row in under.rows]
        return found

    def _record(
        self, connection: Connection, survey: Survey, under: Under, operator: Operator, now: datetime
    ) -> None:
        name, state = survey.authority, _TO[survey.act]
        reason = {SUSPEND: HOLD_REASON, RESUME: None, REVOKE: survey.reason}[survey.act]
        connection.execute(
            update(authorities)
            .where(authorities.c.name == name)
            .values(state=state, state_at=now, state_reason=reason)
        )
        # The row with the latest moment counts, so no two may have the same.
        newest = connection.scalar(
            select(func.max(authority_history.c.since)).where(authority_history.c.authority == name)
        )
        since = now if newest is None or newest < now else newest + timedelta(microseconds=1)
        connection.execute(
            insert(authority_history).values(
                authority=name, since=since, state=state, reason=reason, changed_by=operator.actor
            )
        )
        self._audit.record(
            connection,
            event=_EVENTS[survey.act],
            actor=operator.actor,
            subject=f"authority:{name}",
            details={
                "content_sha256": survey.content_sha256,
                "reason": reason or "",
                "each": survey.each,
                "delegations": len(under.given_to) + len(under.below),
                "certificates": survey.total,
                "holders": survey.holders,
                "serials_sha256": under.serials_sha256,
                "requested_by": survey.waiting_for or operator.id,
            },
        )

    def _publish(self, names: Iterable[str]) -> dict[str, int | None]:
        published: dict[str, int | None] = {}
        for name in names:
            try:
                published[name] = self._publisher.publish(name).number
            except ServiceError:
                # The change counts all the same, and the timer publishes the list.
                log.exception("acrl after a change of an authority not published", extra={"authority": name})
                published[name] = None
        return published


def check_not_suspended(state: str, held_by: str | None) -> None:
    """Raise AuthorityStateError for a certificate that is on hold because an authority is suspended.

    It is released with the authority, and not alone.
    """
    name = (held_by or "").removeprefix(_SUSPENSION)
    if state == "held" and name != (held_by or ""):
        raise AuthorityStateError(name, STATES[SUSPENDED])


def _wait_for_others(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def _authority(connection: Connection, name: str, *, lock: bool) -> RowMapping:
    query = select(authorities).where(authorities.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise AuthorityUnknownError(name)
    if row["certificate_der"] is None:
        raise AuthorityNotReadyError(name)
    return row


def _waiting(connection: Connection, name: str) -> RowMapping | None:
    query = select(authority_acts).where(
        authority_acts.c.authority == name, authority_acts.c.state == "waiting"
    )
    return connection.execute(query).mappings().first()


def _end_act(connection: Connection, number: str, state: str, **values: Any) -> None:
    connection.execute(
        update(authority_acts).where(authority_acts.c.id == number).values(state=state, **values)
    )


def _abandon(connection: Connection, where: ColumnElement[bool], mark: str, now: datetime) -> int:
    return connection.execute(
        update(certificates)
        .where(where, certificates.c.state == "intended")
        .values(state="abandoned", revoked_at=now, reason="cessationOfOperation", revoked_by=mark)
    ).rowcount


def _hold(connection: Connection, where: ColumnElement[bool], mark: str, now: datetime) -> int:
    is_meant = where & (certificates.c.state == "issued") & (certificates.c.not_after >= now)
    rows = select(certificates.c.serial, literal(now, type_=holds.c.held_at.type), literal(mark)).where(
        is_meant
    )
    connection.execute(insert(holds).from_select(["serial", "held_at", "held_by"], rows))
    return connection.execute(
        update(certificates)
        .where(is_meant)
        .values(state="held", revoked_at=now, reason=HOLD_REASON, revoked_by=mark)
    ).rowcount


def _release(connection: Connection, mark: str, now: datetime, still: dict[str, list[str]]) -> int:
    is_ours = (holds.c.held_by == mark) & holds.c.released_at.is_(None)
    # 1. What another suspension keeps on hold changes its reason, and stays.
    for other, serials in still.items():
        for chunk in chunks(serials):
            is_kept = is_ours & holds.c.serial.in_(chunk)
            kept = connection.scalars(select(holds.c.serial).where(is_kept)).all()
            if not kept:
                continue
            _end_holds(connection, is_kept, mark, now)
            rows = [{"serial": serial, "held_at": now, "held_by": _SUSPENSION + other} for serial in kept]
            connection.execute(insert(holds), rows)
    # 2. The others count again.
    released = connection.execute(
        update(certificates)
        .where(
            certificates.c.state == "held", certificates.c.serial.in_(select(holds.c.serial).where(is_ours))
        )
        .values(state="issued", revoked_at=None, reason=None, revoked_by=None)
    ).rowcount
    _end_holds(connection, is_ours, mark, now)
    return released


def _revoke(connection: Connection, where: ColumnElement[bool], reason: str, mark: str, now: datetime) -> int:
    is_meant = where & certificates.c.state.in_(["issued", "held"]) & (certificates.c.not_after >= now)
    held = select(certificates.c.serial).where(where, certificates.c.state == "held")
    _end_holds(connection, holds.c.serial.in_(held) & holds.c.released_at.is_(None), mark, now)
    return connection.execute(
        update(certificates)
        .where(is_meant)
        # One on hold keeps the date of its hold: it was not good in between.
        .values(
            state="revoked",
            revoked_at=func.coalesce(certificates.c.revoked_at, literal(now, type_=holds.c.held_at.type)),
            reason=reason,
            revoked_by=mark,
        )
    ).rowcount


def _end_holds(connection: Connection, where: ColumnElement[bool], by: str, now: datetime) -> None:
    connection.execute(update(holds).where(where).values(released_at=now, released_by=by))
