"""Grants: who wants which role for whom, who agrees, and what came of it.

A grant names an authority, a holder's certificate, roles, targets and a period. It is frozen by a hash when
it is requested. Where the catalogue says so, a second person (role attribute.approver, another natural
person) approves what is shown, by that hash; then the certificate is issued.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from onecert.pmi.authorities import Authorities
from onecert.pmi.catalogue import Catalogues
from onecert.pmi.errors import (
    ContentChangedError,
    GrantConflictError,
    GrantStateError,
    GrantUnknownError,
    RequestWrongError,
    ValidityWrongError,
)
from onecert.pmi.holders import HolderIdentity, HolderVerifier
from onecert.pmi.issuing import Issuing
from onecert.pmi.models import grants
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.languages import Message, _
from onecert.server.operators import Operator, Operators, check_different_people, check_role, check_usable
from onecert.verifier.certificate import ParsedCertificate, as_parsed

__all__ = ["APPROVER", "AUDITOR", "OFFICER", "STATES", "Grant", "GrantRequest", "Grants"]

OFFICER = "attribute.officer"
APPROVER = "attribute.approver"
AUDITOR = "auditor"

STATES: dict[str, Message] = {
    "waiting": _("waiting for approval"),
    "approved": _("approved, not yet issued"),
    "issued": _("issued"),
}
_TARGET = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!-~]{1,500}")
MAX_ROLES = 32
MAX_TARGETS = 32


@dataclass(frozen=True, kw_only=True)
class GrantRequest:
    """What an officer asks for. ``id`` makes it safe to ask twice; the holder's certificate is DER or PEM."""

    authority: str
    holder: bytes
    roles: tuple[str, ...]
    targets: tuple[str, ...] = ()
    not_before: datetime | None = None
    not_after: datetime | None = None
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A grant as it is on record."""

    id: str
    authority: str
    state: str
    content_sha256: str
    holder: ParsedCertificate
    holder_name: str
    entity: str
    roles: tuple[str, ...]
    targets: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    needs_approval: bool
    requested_by: str
    requested_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    serial: str | None


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
        catalogues: Catalogues,
        authorities: Authorities,
        holders: HolderVerifier,
        issuing: Issuing,
        lifetime_max: timedelta,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._operators = operators
        self._catalogues = catalogues
        self._authorities = authorities
        self._holders = holders
        self._issuing = issuing
        self._lifetime_max = lifetime_max

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
        grant = self._request(asked, operator, keep=True)
        if grant.state == "approved":
            self._issuing.issue(grant.id, actor=operator.actor)
        return self.load(grant.id)

    def _request(self, asked: GrantRequest, operator: Operator, *, keep: bool) -> Grant:
        check_role(operator, OFFICER)
        now = self._clock.now()
        check_usable(operator, at=now)
        grant_id = _grant_id(asked.id)
        # Outside of the transaction: the verifier may have to fetch a revocation list.
        holder = self._holders.verify(asked.holder, now)
        with self._database.transaction() as connection:
            grant = self._record(connection, grant_id, asked, holder=holder, operator=operator, now=now)
            if not keep:
                raise _NotKeptError(grant)  # takes the transaction back
        return grant

    def approve(self, grant_id: str, operator: Operator, *, content_sha256: str) -> Grant:
        """Approve what was shown, and issue the certificate. Approving twice changes nothing.

        Args:
            content_sha256: of the content that the approver saw.

        Raises:
            SamePersonError: the approver is the person who asked for it.
            ContentChangedError: something else is on record than was shown.
        """
        check_role(operator, APPROVER)
        now = self._clock.now()
        check_usable(operator, at=now)
        with self._database.transaction() as connection:
            row = _row(connection, grant_id)
            if row.state == "issued" and row.approved_by == operator.id:
                return _grant(row)
            if row.state not in {"waiting", "approved"}:
                raise GrantStateError(grant_id, STATES[row.state])
            # Shown, on record, and on record in each field: all three are the same.
            if not row.content_sha256 == content_sha256 == _content_sha256(dict(row._mapping)):
                raise ContentChangedError(grant_id)
            check_different_people(self._operators.load(connection, row.requested_by), operator)
            if row.state == "waiting":
                self._record_approval(connection, row, operator, now)
        self._issuing.issue(grant_id, actor=operator.actor)
        return self.load(grant_id)

    def load(self, grant_id: str) -> Grant:
        """Return a grant. Raises GrantUnknownError."""
        with self._database.reading() as connection:
            return _grant(_row(connection, grant_id))

    def page(self, *, state: str = "", page: int = 1, per_page: int = 20) -> tuple[Sequence[Grant], int]:
        """Return one page of grants, newest first, and how many there are."""
        chosen = select(grants)
        count = select(func.count()).select_from(grants)
        if state:
            chosen, count = chosen.where(grants.c.state == state), count.where(grants.c.state == state)
        chosen = chosen.order_by(grants.c.requested_at.desc(), grants.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(chosen.limit(per_page).offset((page - 1) * per_page))
            return [_grant(row) for row in rows], connection.scalar(count) or 0

    def _record(
        self,
        connection: Connection,
        grant_id: str,
        asked: GrantRequest,
        *,
        holder: HolderIdentity,
        operator: Operator,
        now: datetime,
    ) -> Grant:
        known = connection.execute(select(grants).where(grants.c.id == grant_id)).one_or_none()
        if known is not None:
            # What was asked the first time counts; the period may have been filled in by us then.
            if _asked(_grant(known)) != _asked_again(asked, holder, known):
                raise GrantConflictError(grant_id)
            return _grant(known)
        authority = self._authorities.load(connection, asked.authority)
        roles = _check_roles(asked.roles)
        chosen = self._catalogues.load(connection).check_assignable(authority.name, roles)
        longest = min([self._lifetime_max, *(timedelta(days=role.max_days) for role in chosen)])
        start, end = _period(asked, now, longest, (holder.certificate, authority.certificate))
        needs_approval = any(role.second_person for role in chosen)
        values = {
            "id": grant_id,
            "authority": authority.name,
            "state": "waiting" if needs_approval else "approved",
            "holder_der": holder.certificate.der,
            "holder_name": (holder.name or holder.certificate.subject_text)[:512],
            "entity": holder.entity,
            "roles": json.dumps(roles),
            "targets": json.dumps(_check_targets(asked.targets)),
            "not_before": start,
            "not_after": end,
            "needs_approval": needs_approval,
            "requested_by": operator.id,
            "requested_at": now,
            "approved_by": None,
            "approved_at": None,
            "serial": None,
        }
        values["content_sha256"] = _content_sha256(values)
        connection.execute(insert(grants).values(values))
        self._audit.record(
            connection,
            event="grant.requested",
            actor=operator.actor,
            subject=f"grant:{grant_id}",
            details={
                "authority": authority.name,
                "roles": roles,
                "content_sha256": str(values["content_sha256"]),
                "needs_approval": needs_approval,
            },
        )
        return _grant(_row(connection, grant_id))

    def _record_approval(
        self, connection: Connection, row: Row[tuple[object, ...]], operator: Operator, now: datetime
    ) -> None:
        connection.execute(
            update(grants)
            .where(grants.c.id == row.id)
            .values(state="approved", approved_by=operator.id, approved_at=now)
        )
        self._audit.record(
            connection,
            event="grant.approved",
            actor=operator.actor,
            subject=f"grant:{row.id}",
            details={"content_sha256": row.content_sha256},
        )


def _grant_id(given: str) -> str:
    if not given:
        return str(uuid.uuid4())
    try:
        return str(uuid.UUID(given))
    except ValueError as exc:
        raise RequestWrongError("id", _("not a UUID")) from exc


def _check_roles(roles: Sequence[str]) -> list[str]:
    if not 0 < len(roles) <= MAX_ROLES:
        raise RequestWrongError("roles", _("choose at least one role, and 32 at most"))
    if len(set(roles)) != len(roles):
        raise RequestWrongError("roles", _("a role occurs twice"))
    return sorted(roles)


def _check_targets(targets: Sequence[str]) -> list[str]:
    if len(targets) > MAX_TARGETS or not all(_TARGET.fullmatch(target) for target in targets):
        raise RequestWrongError("targets", _("these are not URIs, or more than 32"))
    return sorted(set(targets))


def _period(
    asked: GrantRequest, now: datetime, longest: timedelta, limits: Sequence[ParsedCertificate]
) -> tuple[datetime, datetime]:
    """Choose the period: as asked, else from now for as long as all limits allow."""
    start = (asked.not_before or now).replace(microsecond=0)
    latest = min(start + longest, *(certificate.not_after for certificate in limits))
    end = (asked.not_after or latest).replace(microsecond=0)
    # Never dated back: the order of the audit trail is the order of the certificates.
    is_good = now - timedelta(minutes=1) <= start < end <= latest
    if not is_good or any(start < certificate.not_before for certificate in limits):
        raise ValidityWrongError(start, end, longest)
    return start, end


def _content_sha256(values: Mapping[str, Any]) -> str:
    content = {
        name: values[name] for name in ("id", "authority", "entity", "holder_name", "roles", "targets")
    }
    content["holder"] = hashlib.sha256(bytes(values["holder_der"])).hexdigest()
    for name in ("not_before", "not_after"):
        content[name] = str(values[name])
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _asked(grant: Grant) -> tuple[object, ...]:
    return grant.authority, grant.holder.der, grant.roles, grant.targets, grant.not_before, grant.not_after


def _asked_again(
    asked: GrantRequest, holder: HolderIdentity, known: Row[tuple[object, ...]]
) -> tuple[object, ...]:
    return (
        asked.authority,
        holder.certificate.der,
        tuple(sorted(asked.roles)),
        tuple(sorted(set(asked.targets))),
        (asked.not_before or known.not_before).replace(microsecond=0),
        (asked.not_after or known.not_after).replace(microsecond=0),
    )


def _row(connection: Connection, grant_id: str) -> Row[tuple[object, ...]]:
    row = connection.execute(select(grants).where(grants.c.id == grant_id)).one_or_none()
    if row is None:
        raise GrantUnknownError(grant_id)
    return row


def _grant(row: Row[tuple[object, ...]]) -> Grant:
    values = dict(row._mapping)
    return Grant(
        **{
            **{name: value for name, value in values.items() if name != "holder_der"},
            "holder": as_parsed(bytes(values["holder_der"])),
            "roles": tuple(json.loads(values["roles"])),
            "targets": tuple(json.loads(values["targets"])),
        }
    )
