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
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, func, select, update

from onecert.pmi.authorities.directory import Authorities, Authority
from onecert.pmi.catalogue.content import Catalogues
from onecert.pmi.errors import (
    ContentChangedError,
    GrantConflictError,
    GrantStateError,
    GrantUnknownError,
    RequestWrongError,
    ValidityWrongError,
)
from onecert.pmi.holders.identity import HolderIdentity, HolderVerifier
from onecert.pmi.issuing.one import Intent, Issued, Issuing
from onecert.pmi.models import grants
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.languages import Message, _
from onecert.server.operators import Operator, Operators, check_different_people, check_role, check_usable
from onecert.server.statements import Statement, Values, insert_once
from onecert.verifier.certificate import ParsedCertificate, as_parsed

__all__ = ["APPROVER", "AUDITOR", "OFFICER", "STATES", "Grant", "GrantRequest", "Grants"]

OFFICER = "attribute.officer"
APPROVER = "attribute.approver"
AUDITOR = "auditor"

STATES: dict[str, Message] = {
    "waiting": _("waiting for approval"),
    "approved": _("approved, not yet issued"),
    "issued": _("issued"),
    "refused": _("refused"),
}
_TARGET = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!-~]{1,500}")
# What an approver sees and agrees to; with the holder and the period.
_CONTENT = (
    "id",
    "kind",
    "authority",
    "entity",
    "holder_name",
    "holder_form",
    "attributes",
    "constraints",
    "targets",
    "target_groups",
    "short_lived",
    "audit_identity",
    "source",
)
MAX_ROLES = 32
MAX_TARGETS = 32

_FIND = Statement(select(grants).where(grants.c.id == bindparam("wanted")))
# On PostgreSQL, whoever else would change this grant waits here.
_LOCK = Statement(select(grants).where(grants.c.id == bindparam("wanted")).with_for_update())
_INSERT = insert_once(grants)
_SET_APPROVED = Statement(
    update(grants)
    .where(grants.c.id == bindparam("wanted"))
    .values(state="approved", approved_by=bindparam("operator"), approved_at=bindparam("at"))
)


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
    targets: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    needs_approval: bool
    requested_by: str
    requested_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    serial: str | None
    kind: str = "grant"
    holder_form: str = "certificate"
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    constraints: Mapping[str, Any] = field(default_factory=dict)
    target_groups: tuple[str, ...] = ()
    short_lived: bool = False
    audit_identity: str = ""
    source: str = ""
    batch_id: str | None = None
    refused_by: str | None = None
    refused_at: datetime | None = None
    refused_why: str = ""

    @property
    def roles(self) -> tuple[str, ...]:
        """The URIs of the roles among the attributes."""
        return tuple(self.attributes.get("role", ()))


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
        return self._request(asked, operator, keep=True)

    def _request(self, asked: GrantRequest, operator: Operator, *, keep: bool) -> Grant:
        check_role(operator, OFFICER)
        now = self._clock.now()
        check_usable(operator, at=now)
        grant_id = _grant_id(asked.id)
        # Outside of the transaction: the verifier may have to fetch a revocation list.
        holder = self._holders.verify(asked.holder, now)
        begun: Intent | Issued | None = None
        with self._database.transaction() as connection:
            row, authority = self._record(
                connection, grant_id, asked, holder=holder, operator=operator, now=now
            )
            if not keep:
                raise _NotKeptError(_grant(row, holder.certificate))  # takes the transaction back
            # Request and intent are one transaction: one flush of the disk.
            if authority is not None and row["state"] == "approved":
                begun = self._issuing.begin_new(connection, row, authority, holder.certificate)
            elif row["state"] == "approved":
                begun = self._issuing.begin(connection, grant_id)
        return self._finish(_grant(row, holder.certificate), begun, operator)

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
            row: Values | None = _LOCK.first(connection, {"wanted": grant_id})
            if row is None:
                raise GrantUnknownError(grant_id)
            if row["state"] == "issued" and row["approved_by"] == operator.id:
                return _grant(row)
            if row["state"] not in {"waiting", "approved"}:
                raise GrantStateError(grant_id, STATES[row["state"]])
            # Shown, on record, and on record in each field: all three are the same.
            if not row["content_sha256"] == content_sha256 == _content_sha256(row):
                raise ContentChangedError(grant_id)
            check_different_people(self._operators.load(connection, row["requested_by"]), operator)
            if row["state"] == "waiting":
                row = self._record_approval(connection, row, operator, now)
            begun = self._issuing.begin(connection, grant_id)
        return self._finish(_grant(row), begun, operator)

    def load(self, grant_id: str) -> Grant:
        """Return a grant. Raises GrantUnknownError."""
        row = _FIND.look_up(self._database, {"wanted": grant_id})
        if row is None:
            raise GrantUnknownError(grant_id)
        return _grant(row)

    def page(self, *, state: str = "", page: int = 1, per_page: int = 20) -> tuple[Sequence[Grant], int]:
        """Return one page of grants, newest first, and how many there are."""
        chosen = select(grants)
        count = select(func.count()).select_from(grants)
        if state:
            chosen, count = chosen.where(grants.c.state == state), count.where(grants.c.state == state)
        chosen = chosen.order_by(grants.c.requested_at.desc(), grants.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(chosen.limit(per_page).offset((page - 1) * per_page))
            return [_grant(row) for row in rows.mappings()], connection.scalar(count) or 0

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
        grant_id: str,
        asked: GrantRequest,
        *,
        holder: HolderIdentity,
        operator: Operator,
        now: datetime,
    ) -> tuple[Values, Authority | None]:
        """Put the grant on record; return its row, and the authority if the grant is new."""
        known = _LOCK.first(connection, {"wanted": grant_id}) if asked.id else None
        if known is not None:
            return _check_same(known, asked, holder), None
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
            "attributes": json.dumps({"role": roles}),
            "targets": json.dumps(_check_targets(asked.targets)),
            "not_before": start,
            "not_after": end,
            "needs_approval": needs_approval,
            "requested_by": operator.id,
            "requested_at": now,
            "approved_by": None,
            "approved_at": None,
            "serial": None,
            "kind": "grant",
            "holder_form": "certificate",
            "constraints": "{}",
            "target_groups": "[]",
            "short_lived": False,
            "audit_identity": "",
            "source": "",
            "batch_id": None,
            "refused_by": None,
            "refused_at": None,
            "refused_why": "",
        }
        values["content_sha256"] = _content_sha256(values)
        if _INSERT.run(connection, values) != 1:
            # Another process has put it on record since we looked.
            known = _LOCK.first(connection, {"wanted": grant_id})
            if known is None:
                raise GrantUnknownError(grant_id)
            return _check_same(known, asked, holder), None
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
        return values, authority

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
    # In UTC, as the record holds it: the hash of the content is taken before and after.
    start = (asked.not_before or now).astimezone(UTC).replace(microsecond=0)
    latest = min(start + longest, *(certificate.not_after for certificate in limits))
    end = (asked.not_after or latest).astimezone(UTC).replace(microsecond=0)
    # Never dated back: the order of the audit trail is the order of the certificates.
    is_good = now - timedelta(minutes=1) <= start < end <= latest
    if not is_good or any(start < certificate.not_before for certificate in limits):
        raise ValidityWrongError(start, end, longest)
    return start, end


def _content_sha256(values: Values) -> str:
    content = {name: values[name] for name in _CONTENT}
    content["holder"] = hashlib.sha256(values["holder_der"]).hexdigest()
    for name in ("not_before", "not_after"):
        content[name] = str(values[name])
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _check_same(known: Values, asked: GrantRequest, holder: HolderIdentity) -> Values:
    """Return the grant on record if it is what is asked now. Raises GrantConflictError.

    What was asked the first time counts; the period may have been filled in by us then.
    """
    again = {
        "authority": asked.authority,
        "holder_der": holder.certificate.der,
        "attributes": json.dumps({"role": sorted(asked.roles)}),
        "targets": json.dumps(sorted(set(asked.targets))),
        "not_before": (asked.not_before or known["not_before"]).replace(microsecond=0),
        "not_after": (asked.not_after or known["not_after"]).replace(microsecond=0),
    }
    if any(known[name] != value for name, value in again.items()):
        raise GrantConflictError(known["id"])
    return known


def _grant(row: Values | RowMapping, holder: ParsedCertificate | None = None) -> Grant:
    """Build a grant from its row.

    Args:
        holder: what the row holds as ``holder_der``, when it has been read already.
    """
    values = {name: value for name, value in row.items() if name != "holder_der"}
    return Grant(
        **{
            **values,
            "holder": holder or as_parsed(bytes(row["holder_der"])),
            "attributes": json.loads(row["attributes"]),
            "constraints": json.loads(row["constraints"]),
            "targets": tuple(json.loads(row["targets"])),
            "target_groups": tuple(json.loads(row["target_groups"])),
        }
    )
