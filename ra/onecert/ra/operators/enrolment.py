"""Enrolling operators with four eyes: one administrator asks, another person agrees, only then it counts.

    enrol        a new account with roles, end of validity and scope, if given with its certificate
    roles        other roles for an account, in place of those it has
    scope        other points, authorities or profiles for an account
    certificate  a further certificate for an account
    resume       a suspended account works again

Suspending takes one administrator and works at once: it can only make things safer. Accounts themselves are
`onecert.server.operators`; they expire by their end of validity. The number of the person's identity document
is sealed while a request waits and wiped when it is decided.
"""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from cryptography import x509
from sqlalchemy import Connection, RowMapping, func, insert, select, update

from onecert.ra.errors import EnrolmentClosedError, EnrolmentInvalidError, NotFoundError, ReasonMissingError
from onecert.ra.models import enrolments
from onecert.ra.operators.acting import ActingOperator, certificate_of, with_certificate
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.roles import ADMINISTRATOR
from onecert.ra.operators.scopes import Grant, check_grants, write_scope
from onecert.ra.vault.sealed import Vault
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator, Operators, check_different_people, check_role

__all__ = ["Ask", "Enrolment", "EnrolmentKind", "Enrolments", "count_waiting", "list_enrolments"]


_ID = re.compile(r"[a-z][a-z0-9.-]{0,63}", re.ASCII)


class EnrolmentKind(StrEnum):
    """What is asked for."""

    ENROL = "enrol"
    ROLES = "roles"
    SCOPE = "scope"
    CERTIFICATE = "certificate"
    RESUME = "resume"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request about one account; which fields count depends on its kind.

    `person` is the number of the identity document (enrol only), `certificate_pem` one certificate.
    """

    kind: EnrolmentKind
    operator_id: str
    name: str = ""
    roles: tuple[str, ...] = ()
    valid_until: datetime | None = None
    scope: tuple[Grant, ...] = ()
    certificate_pem: str = ""
    person: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """A request on record, without the person's number."""

    id: str
    kind: EnrolmentKind
    operator_id: str
    content: Mapping[str, Any]
    state: str
    asked_by: str
    asked_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None


class Enrolments:
    """The acts of administrators on accounts."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        vault: Vault,
        reach: Reach,
        operators: Operators,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._vault = vault
        self._reach = reach
        self._operators = operators

    def ask(self, administrator: Operator, ask: Ask) -> Enrolment:
        """Put a request on record; nothing counts yet.

        Raises:
            EnrolmentInvalidError, ScopeInvalidError: something is missing or wrong.
        """
        check_role(administrator, ADMINISTRATOR)
        _check_ask(ask, self._operators.roles, self._clock.now())
        request_id = str(uuid.uuid4())
        sealed = self._vault.seal(_place(request_id), ask.person.encode()) if ask.person else None
        with self._database.transaction() as connection:
            now = self._clock.now()
            acting = self._reach.account(connection, administrator, ADMINISTRATOR, at=now)
            account = self._operators.find(connection, ask.operator_id)
            if (account is None) is not (ask.kind is EnrolmentKind.ENROL):
                raise EnrolmentInvalidError("operator")
            grants = check_grants(connection, ask.scope) if ask.scope else ()
            content = {
                "name": ask.name.strip(),
                "roles": sorted(set(ask.roles)),
                "valid_until": ask.valid_until.isoformat() if ask.valid_until else None,
                "scope": [asdict(grant) for grant in grants],
                "certificate_pem": ask.certificate_pem,
            }
            twin = _find_twin(connection, ask, acting.id, json.dumps(content, ensure_ascii=False))
            if twin is not None:
                return twin
            connection.execute(
                insert(enrolments).values(
                    id=request_id,
                    kind=ask.kind.value,
                    operator_id=ask.operator_id,
                    content=json.dumps(content, ensure_ascii=False),
                    person_sealed=sealed,
                    state="waiting",
                    asked_by=acting.id,
                    asked_certificate=certificate_of(acting),
                    asked_at=now,
                )
            )
            made = load_enrolment(connection, request_id)
            self._record(connection, acting, "asked", made)
            return made

    def agree(self, administrator: Operator, request_id: str) -> Enrolment:
        """The second person's yes; the request is carried out in the same transaction.

        Raises:
            SamePersonError: this person asked for it, under whatever account, or it is their own account.
            EnrolmentClosedError: it was already decided.
        """
        check_role(administrator, ADMINISTRATOR)
        with self._database.reading() as connection:
            row = connection.execute(
                select(enrolments.c.person_sealed).where(enrolments.c.id == request_id)
            ).one_or_none()
        sealed = row.person_sealed if row is not None else None
        person = self._vault.unseal(_place(request_id), sealed).decode() if sealed is not None else ""
        with self._database.transaction() as connection:
            acting, found = self._decide(connection, administrator, request_id, "done", None)
            self._carry_out(connection, acting, found, person)
            return found

    def refuse(self, administrator: Operator, request_id: str, *, reason: str) -> Enrolment:
        """A no, by anybody of the administrators, also by the one who asked."""
        if not 2 <= len(reason.strip()) <= 500:
            raise ReasonMissingError
        check_role(administrator, ADMINISTRATOR)
        with self._database.transaction() as connection:
            return self._decide(connection, administrator, request_id, "refused", reason.strip())[1]

    def suspend(self, administrator: Operator, operator_id: str, *, reason: str) -> Operator:
        """Stop an account at once, with its sessions."""
        if not 2 <= len(reason.strip()) <= 500:
            raise ReasonMissingError
        with self._database.transaction() as connection:
            acting = self._reach.account(connection, administrator, ADMINISTRATOR)
            suspended = self._operators.suspend(connection, operator_id, actor=acting.actor)
            self._audit.record(
                connection,
                event="enrolment.suspended",
                actor=acting.actor,
                subject=f"operator:{operator_id}",
                details={"reason": reason.strip(), **with_certificate(acting)},
            )
            return suspended

    def _decide(
        self, connection: Connection, administrator: Operator, request_id: str, state: str, reason: str | None
    ) -> tuple[ActingOperator, Enrolment]:
        now = self._clock.now()
        acting = self._reach.account(connection, administrator, ADMINISTRATOR, at=now)
        found = load_enrolment(connection, request_id)
        if found.state != "waiting":
            raise EnrolmentClosedError(found.state)
        if state == "done":
            check_different_people(acting, self._operators.load(connection, found.asked_by))
            subject = self._operators.find(connection, found.operator_id)
            if subject is not None:
                check_different_people(acting, subject)
        changed = connection.execute(
            update(enrolments)
            .where(enrolments.c.id == request_id, enrolments.c.state == "waiting")
            .values(
                state=state,
                person_sealed=None,
                decided_by=acting.id,
                decided_certificate=certificate_of(acting),
                decided_at=now,
                reason=reason,
            )
        )
        if changed.rowcount != 1:
            raise EnrolmentClosedError("decided")
        decided = load_enrolment(connection, request_id)
        self._record(connection, acting, "agreed" if state == "done" else "refused", decided)
        return acting, decided

    def _carry_out(
        self, connection: Connection, acting: ActingOperator, found: Enrolment, person: str
    ) -> None:
        content, account = found.content, found.operator_id
        pem = str(content["certificate_pem"])
        certificate = x509.load_pem_x509_certificate(pem.encode()) if pem else None
        if found.kind is EnrolmentKind.ENROL:
            self._operators.add(
                connection,
                account,
                str(content["name"]),
                content["roles"],
                person,
                datetime.fromisoformat(str(content["valid_until"])),
                certificate,
                actor=acting.actor,
            )
            # A new account of this kind may administrate: whoever agreed is not the new person themselves.
            check_different_people(acting, self._operators.load(connection, account))
            asked = self._operators.load(connection, found.asked_by)
            check_different_people(asked, self._operators.load(connection, account))
        elif found.kind is EnrolmentKind.CERTIFICATE and certificate is not None:
            self._operators.bind_certificate(connection, account, certificate, actor=acting.actor)
        elif found.kind is EnrolmentKind.ROLES:
            self._operators.set_roles(connection, account, content["roles"], actor=acting.actor)
        elif found.kind is EnrolmentKind.RESUME:
            self._operators.resume(connection, account, actor=acting.actor)
        if content["scope"]:
            write_scope(connection, account, [Grant(**line) for line in content["scope"]])

    def _record(self, connection: Connection, acting: ActingOperator, event: str, found: Enrolment) -> None:
        content = found.content
        scope = [f"{line['point']}/{line['authority']}/{line['profile']}" for line in content["scope"]]
        self._audit.record(
            connection,
            event=f"enrolment.{event}",
            actor=acting.actor,
            subject=f"operator:{found.operator_id}",
            details={
                "request": found.id,
                "kind": found.kind.value,
                "roles": content["roles"],
                "scope": scope,
                **({"reason": found.reason} if found.reason else {}),
                **with_certificate(acting),
            },
        )


def _find_twin(connection: Connection, ask: Ask, asked_by: str, content: str) -> Enrolment | None:
    """The same request of the same administrator that still waits: a double click, not a second wish."""
    row = connection.execute(
        select(enrolments).where(
            enrolments.c.state == "waiting",
            enrolments.c.kind == ask.kind.value,
            enrolments.c.operator_id == ask.operator_id,
            enrolments.c.asked_by == asked_by,
            enrolments.c.content == content,
        )
    ).first()
    return None if row is None else _enrolment(row._mapping)


def load_enrolment(connection: Connection, request_id: str) -> Enrolment:
    """Raises `NotFoundError` when there is none."""
    row = connection.execute(select(enrolments).where(enrolments.c.id == request_id)).one_or_none()
    if row is None:
        raise NotFoundError(request_id)
    return _enrolment(row._mapping)


def list_enrolments(connection: Connection, *, state: str | None = None, limit: int = 200) -> list[Enrolment]:
    """Newest first."""
    query = select(enrolments).order_by(enrolments.c.seq.desc()).limit(limit)
    if state is not None:
        query = query.where(enrolments.c.state == state)
    return [_enrolment(row._mapping) for row in connection.execute(query)]


def count_waiting(connection: Connection) -> int:
    """How many requests wait for a second person."""
    return connection.scalar(select(func.count()).where(enrolments.c.state == "waiting")) or 0


def _enrolment(row: RowMapping) -> Enrolment:
    names = ("id", "operator_id", "state", "asked_by", "asked_at", "decided_by", "decided_at", "reason")
    return Enrolment(
        kind=EnrolmentKind(row["kind"]),
        content=json.loads(row["content"]),
        **{name: row[name] for name in names},
    )


def _check_ask(ask: Ask, roles: Mapping[str, str], now: datetime) -> None:
    """Each kind has what it needs and nothing that it would not use."""
    enrols = ask.kind is EnrolmentKind.ENROL
    needs: Sequence[tuple[str, bool, bool]] = (
        ("name", bool(ask.name.strip()), enrols),
        ("person", bool(ask.person), enrols),
        ("roles", bool(ask.roles), enrols or ask.kind is EnrolmentKind.ROLES),
        ("valid_until", ask.valid_until is not None, enrols),
        ("scope", bool(ask.scope), enrols or ask.kind is EnrolmentKind.SCOPE),
        ("certificate_pem", bool(ask.certificate_pem), ask.kind is EnrolmentKind.CERTIFICATE),
    )
    for name, given, needed in needs:
        if needed and not given:
            raise EnrolmentInvalidError(name)
        if given and not needed and not (enrols and name == "certificate_pem"):
            raise EnrolmentInvalidError(name)
    # What the account's own rules refuse for good is refused before a second person is asked.
    if not _ID.fullmatch(ask.operator_id):
        raise EnrolmentInvalidError("operator")
    if len(ask.name.strip()) > 80 or not ask.name.isprintable():
        raise EnrolmentInvalidError("name")
    if not set(ask.roles) <= set(roles):
        raise EnrolmentInvalidError("roles")
    if ask.valid_until is not None and (ask.valid_until.tzinfo is None or ask.valid_until <= now):
        raise EnrolmentInvalidError("valid_until")
    if ask.certificate_pem:
        try:
            x509.load_pem_x509_certificate(ask.certificate_pem.encode())
        except ValueError:
            raise EnrolmentInvalidError("certificate_pem") from None


def _place(request_id: str) -> str:
    """The name that the sealed number is bound to."""
    return f"enrolment:{request_id}"
