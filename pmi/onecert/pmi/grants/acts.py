"""Grants: who wants which attributes for whom, who agrees, and what came of it.

A grant names an authority, a holder's certificate, attributes, targets and a period. It is frozen by a hash
when it is requested. Where the catalogue says so, a second person (role attribute.approver, another natural
person) approves what is shown, by that hash; then the certificate is issued. A grant that nobody has approved
is refused by an approver, or withdrawn by who asked for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select, update

from onecert.pmi.authorities.delegations import Delegations
from onecert.pmi.authorities.directory import Authorities
from onecert.pmi.authorities.states import ADMINISTRATOR
from onecert.pmi.errors import (
    ContentChangedError,
    GrantStateError,
    GrantUnknownError,
    RequestWrongError,
)
from onecert.pmi.grants.carried import carries_over
from onecert.pmi.grants.errors import NotYoursError
from onecert.pmi.grants.preparing import Preparer
from onecert.pmi.grants.request import (
    DELEGATION,
    GRANT,
    STATES,
    Grant,
    GrantRequest,
    Wanted,
    content_sha256,
    grant_of,
)
from onecert.pmi.grants.rows import row_of, said_of
from onecert.pmi.grants.rules import Rules
from onecert.pmi.holders.identity import HolderIdentity, HolderVerifier
from onecert.pmi.holders.seen import remember
from onecert.pmi.issuing.one import Intent, Issued, Issuing
from onecert.pmi.models import grants
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.languages import _
from onecert.server.operators import Operator, Operators, check_different_people, check_role, check_usable
from onecert.server.statements import Statement, Values, insert_once

__all__ = ["APPROVER", "AUDITOR", "OFFICER", "STATES", "Grant", "GrantRequest", "Grants"]

OFFICER = "attribute.officer"
APPROVER = "attribute.approver"
AUDITOR = "auditor"

MAX_WHY = 500

_FIND = Statement(select(grants).where(grants.c.id == bindparam("wanted")))
# On PostgreSQL, whoever else would change this grant waits here.
_LOCK = Statement(select(grants).where(grants.c.id == bindparam("wanted")).with_for_update())
_INSERT = insert_once(grants)
_SET_APPROVED = Statement(
    update(grants)
    .where(grants.c.id == bindparam("wanted"))
    .values(state="approved", approved_by=bindparam("operator"), approved_at=bindparam("at"))
)
_SET_REFUSED = Statement(
    update(grants)
    .where(grants.c.id == bindparam("wanted"))
    .values(
        state="refused",
        refused_by=bindparam("operator"),
        refused_at=bindparam("at"),
        refused_why=bindparam("why"),
    )
)


class _NotKeptError(Exception):
    """Ends a preview; never leaves this module."""

    def __init__(self, grant: Grant) -> None:
        super().__init__("preview")
        self.grant = grant


class Grants:
    """The way of a grant, from request to certificate."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        operators: Operators,
        authorities: Authorities,
        holders: HolderVerifier,
        issuing: Issuing,
        delegations: Delegations,
        rules: Rules,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._operators = operators
        self._authorities = authorities
        self._holders = holders
        self._issuing = issuing
        self._delegations = delegations
        self._rules = rules
        self._preparer = Preparer(rules)

    def preview(self, asked: GrantRequest, operator: Operator) -> Grant:
        """Return the grant that ``request`` would put on record, by the same code; nothing is kept."""
        try:
            self._request(asked, operator, keep=False)
        except _NotKeptError as exc:
            return exc.grant
        raise AssertionError("a preview ends before anything is kept")

    def request(self, asked: GrantRequest, operator: Operator) -> Grant:
        """Put a grant on record; issue it at once when no second person is needed.

        Raises:
            ServiceError: the request has a fault, or its catalogue or authority is missing.
            VerifyError: the holder's certificate is refused, or could not be checked.
        """
        return self._request(asked, operator, keep=True)

    def _request(self, asked: GrantRequest, operator: Operator, *, keep: bool) -> Grant:
        # Delegations are the business of those who answer for the authorities.
        check_role(operator, ADMINISTRATOR if asked.kind == DELEGATION else OFFICER)
        now = self._clock.now()
        check_usable(operator, at=now)
        wanted = Wanted.of(asked)
        # Outside of the transaction: the verifier may have to fetch a revocation list.
        holder = self.find_holder(asked.kind, asked.holder, now)
        begun: Intent | Issued | None = None
        with self._database.transaction() as connection:
            known = _LOCK.first(connection, {"wanted": wanted.id}) if asked.id else None
            row: Values
            if known is not None:
                row = wanted.check_same(known, holder)
                begun = self._begin(connection, row) if row["state"] == "approved" else None
            else:
                row, begun = self._record(connection, wanted, holder=holder, operator=operator, now=now)
            if not keep:
                raise _NotKeptError(grant_of(row, holder.certificate))  # takes the transaction back
        return self._finish(grant_of(row, holder.certificate), begun, operator)

    def find_holder(self, kind: str, certificate: bytes, at: datetime) -> HolderIdentity:
        """Verify the holder of a grant; of a delegation, find the authority whose certificate it is.

        Raises:
            VerifyError: refused, or could not be checked.
            DelegateIsSourceError, AuthorityStateError, DelegateUnfitError: nothing can be delegated to it.
        """
        if kind == GRANT:
            return self._holders.verify(certificate, at)
        with self._database.reading() as connection:
            return self._delegations.find_delegate(connection, certificate, at)

    def approve(self, grant_id: str, operator: Operator, *, content_sha256: str) -> Grant:
        """Approve what was shown, and issue the certificate. Approving twice changes nothing.

        Args:
            content_sha256: of the content that the approver saw.

        Raises:
            SamePersonError: the approver is the person who asked for it.
            ContentChangedError: something else is on record than was shown.
            PmiError: what could be given when it was asked for cannot be given now.
        """
        check_role(operator, APPROVER, ADMINISTRATOR)
        now = self._clock.now()
        check_usable(operator, at=now)
        with self._database.transaction() as connection:
            row: Values = self._issuing.find_open(connection, grant_id)
            check_role(operator, ADMINISTRATOR if row["kind"] == DELEGATION else APPROVER)
            if row["state"] == "issued" and row["approved_by"] == operator.id:
                return grant_of(row)
            if row["state"] not in {"waiting", "approved"}:
                raise GrantStateError(grant_id, STATES[row["state"]])
            self._check_shown(row, content_sha256)
            check_different_people(self._operators.load(connection, row["requested_by"]), operator)
            if row["state"] == "waiting":
                row = self._record_approval(connection, row, operator, now)
            begun = self._begin(connection, row)
        return self._finish(grant_of(row), begun, operator)

    def issue(self, grant_id: str, *, actor: str) -> Issued:
        """Issue the certificate of an approved grant. A grant that is issued answers with what it has.

        Raises:
            GrantUnknownError, GrantStateError: it cannot be issued.
            PmiError: what could be given when it was approved cannot be given now.
            DraftRefusedError, TokenGoneError, SignatureFaultError: nothing was given out.
        """
        with self._database.transaction() as connection:
            begun = self._begin(connection, self._issuing.find_open(connection, grant_id))
        return begun if isinstance(begun, Issued) else self._issuing.finish(begun, actor=actor)

    def refuse(self, grant_id: str, operator: Operator, why: str) -> Grant:
        """Refuse a grant that waits, as an approver, and say why. Refusing twice changes nothing.

        Raises:
            GrantUnknownError, GrantStateError, RequestWrongError
        """
        check_role(operator, APPROVER, ADMINISTRATOR)
        return self._end(grant_id, operator, why)

    def withdraw(self, grant_id: str, operator: Operator, why: str = "") -> Grant:
        """Take back a grant that waits, as the one who asked for it. Twice changes nothing.

        Raises:
            GrantUnknownError, GrantStateError, RequestWrongError
            NotYoursError: somebody else asked for it.
        """
        check_role(operator, OFFICER, ADMINISTRATOR)
        return self._end(grant_id, operator, why or "withdrawn", own=True)

    def _end(self, grant_id: str, operator: Operator, why: str, *, own: bool = False) -> Grant:
        now = self._clock.now()
        check_usable(operator, at=now)
        why = why.strip()
        if not 1 <= len(why) <= MAX_WHY or not why.isprintable():
            raise RequestWrongError("why", _("a sentence of at most 500 characters"))
        with self._database.transaction() as connection:
            row: Values = self._issuing.find_open(connection, grant_id)
            if row["kind"] == DELEGATION:
                check_role(operator, ADMINISTRATOR)
            else:
                check_role(operator, OFFICER if own else APPROVER)
            if own and row["requested_by"] != operator.id:
                raise NotYoursError(grant_id)
            if row["state"] == "refused" and row["refused_by"] == operator.id:
                return grant_of(row)
            if row["state"] != "waiting":
                raise GrantStateError(grant_id, STATES[row["state"]])
            kept = {"refused_by": operator.id, "refused_at": now, "refused_why": why}
            _SET_REFUSED.run(connection, {"wanted": grant_id, "operator": operator.id, "at": now, "why": why})
            self._audit.record(
                connection,
                event="grant.withdrawn" if own else "grant.refused",
                actor=operator.actor,
                subject=f"grant:{grant_id}",
                details={"why": why},
            )
        return grant_of({**row, **kept, "state": "refused"})

    def load(self, grant_id: str) -> Grant:
        """Return a grant. Raises GrantUnknownError."""
        row = _FIND.look_up(self._database, {"wanted": grant_id})
        if row is None:
            raise GrantUnknownError(grant_id)
        return grant_of(row)

    def page(self, *, state: str = "", page: int = 1, per_page: int = 20) -> tuple[Sequence[Grant], int]:
        """Return one page of grants, newest first, and how many there are."""
        chosen = select(grants)
        count = select(func.count()).select_from(grants)
        if state:
            chosen, count = chosen.where(grants.c.state == state), count.where(grants.c.state == state)
        chosen = chosen.order_by(grants.c.requested_at.desc(), grants.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(chosen.limit(per_page).offset((page - 1) * per_page))
            return [grant_of(row) for row in rows.mappings()], connection.scalar(count) or 0

    def _finish(self, grant: Grant, begun: Intent | Issued | None, operator: Operator) -> Grant:
        """Sign what was begun in the transaction before; return the grant as it then stands on record."""
        if begun is None:
            return grant
        if isinstance(begun, Intent):
            begun = self._issuing.finish(begun, actor=operator.actor)
        return replace(grant, state="issued", serial=begun.serial)

    def _record(
        self,
        connection: Connection,
        wanted: Wanted,
        *,
        holder: HolderIdentity,
        operator: Operator,
        now: datetime,
    ) -> tuple[Values, Intent | Issued | None]:
        """Put a new grant on record, with what will be signed for it when nobody needs to approve it."""
        authority = self._authorities.load_to_issue(connection, wanted.authority)
        terms = self._rules.judge(connection, authority, wanted, holder, now)
        if terms.needs_approval and carries_over(connection, wanted, holder, now):
            terms = replace(terms, needs_approval=False)
        row = row_of(wanted, terms, authority, holder=holder, operator=operator, now=now)
        to_sign = self._preparer.to_sign(
            connection,
            authority,
            terms,
            wanted,
            holder=holder.certificate,
            period=(row["not_before"], row["not_after"]),
            at=now,
        )
        if _INSERT.run(connection, row) != 1:
            # Another process has put it on record since we looked.
            known: Values = wanted.check_same(self._issuing.find_open(connection, wanted.id), holder)
            return known, self._begin(connection, known) if known["state"] == "approved" else None
        remember(connection, holder, now)
        self._audit.record(
            connection,
            event="delegation.requested" if wanted.kind == DELEGATION else "grant.requested",
            actor=operator.actor,
            subject=f"grant:{wanted.id}",
            details={
                "authority": authority.name,
                "attributes": said_of(terms, wanted),
                "content_sha256": str(row["content_sha256"]),
                "needs_approval": terms.needs_approval,
            },
        )
        if terms.needs_approval:
            return row, None
        # Request and intent are one transaction: one flush of the disk.
        return row, self._issuing.begin(connection, row, to_sign)

    def _begin(self, connection: Connection, row: Values) -> Intent | Issued:
        """Judge an approved grant once more, and put on record what will be signed for it."""
        done = self._issuing.check_open(connection, row)
        if done is not None:
            return done
        now = self._clock.now()
        authority = self._authorities.load_to_issue(connection, row["authority"])
        to_sign = self._preparer.prepare(connection, row, authority, now)
        return self._issuing.begin(connection, row, to_sign)

    @staticmethod
    def _check_shown(row: Values, shown: str) -> None:
        # Shown, on record, and on record in each field: all three are the same.
        if not row["content_sha256"] == shown == content_sha256(row):
            raise ContentChangedError(row["id"])

    def _record_approval(
        self, connection: Connection, row: Values, operator: Operator, now: datetime
    ) -> Values:
        _SET_APPROVED.run(connection, {"wanted": row["id"], "operator": operator.id, "at": now})
        self._audit.record(
            connection,
            event="grant.approved",
            actor=operator.actor,
            subject=f"grant:{row['id']}",
            details={"content_sha256": row["content_sha256"]},
        )
        return {**row, "state": "approved", "approved_by": operator.id, "approved_at": now}
