"""One step of an application or a case: the row, its life line and its audit entry, in one transaction.

`OperatorSteps` are what people do, with the checks that every act begins with; `ServiceSteps` are what the
service does by itself with the CA's answers. Neither writes personal numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection, Table, insert, select, update

from onecert.ra.content.fields import Kind
from onecert.ra.life.duties import Duties
from onecert.ra.life.machine import Act, Business, State, check_move, roles_of
from onecert.ra.models import application_events
from onecert.ra.operators.acting import ActingOperator, certificate_of, with_certificate
from onecert.ra.operators.reach import Reach
from onecert.server.audit import AuditEntry, AuditTrail
from onecert.server.clock import Clock
from onecert.server.operators import Operator, check_role

__all__ = ["OperatorSteps", "Record", "ServiceSteps", "Step", "Store"]


class Record(Protocol):
    """What steps need of a piece of business."""

    @property
    def id(self) -> str: ...
    @property
    def number(self) -> str: ...
    @property
    def business(self) -> Business: ...
    @property
    def state(self) -> State: ...
    @property
    def revision(self) -> int: ...
    @property
    def point(self) -> str: ...
    @property
    def authority(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def content_sha256(self) -> str | None: ...
    @property
    def details(self) -> dict[str, Any]: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Store(Generic[R]):
    """Where pieces of business of one form are kept; `name` is what life line and audit trail call them."""

    name: str
    table: Table
    load: Callable[..., R]


@dataclass(frozen=True)
class Step(Generic[R]):
    """One step of an operator, as it is written down."""

    record: R  # as it is afterwards
    event: str
    operator: Operator
    note: str | None = None


class OperatorSteps(Generic[R]):
    """Steps that an operator takes. `load_operator` finds an account by id, for the rule of two people."""

    def __init__(
        self,
        store: Store[R],
        audit: AuditTrail,
        clock: Clock,
        *,
        reach: Reach,
        load_operator: Callable[[Connection, str], Operator],
        duties: Duties,
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._reach = reach
        self._load_operator = load_operator
        self._duties = duties

    def begin(
        self, connection: Connection, operator: Operator, record_id: str, act: Act
    ) -> tuple[R, ActingOperator, datetime]:
        """The checks that every act begins with: account, role, certificate, scope, state, two people."""
        now = self._clock.now()
        current = self._store.load(connection, record_id, lock=True)
        operator = self._reach.account(connection, operator, *roles_of(current.business, act), at=now)
        self._reach.check(connection, operator, current)
        check_role(operator, *check_move(current.business, current.state, act).roles)
        self._duties.check(connection, operator, record_id, act, self._load_operator)
        return current, operator, now

    def move(
        self,
        connection: Connection,
        current: R,
        *,
        operator: Operator,
        act: Act,
        event: str,
        at: datetime,
        changes: Mapping[str, Any],
        note: str | None = None,
        is_one_step: bool = False,
    ) -> R:
        """Do the act: change the row, and write it into the life line and the audit trail.

        Args:
            is_one_step: nothing is written when the same person did the same just before, such as saving
                while typing; the revision grows all the same.
        """
        move = check_move(current.business, current.state, act)
        values = {**changes, "state": move.after.value, "revision": current.revision + 1}
        if move.after is not move.before:
            values["state_since"] = at
        table = self._store.table
        connection.execute(update(table).where(table.c.id == current.id).values(**values))
        after = self._store.load(connection, current.id)
        if not (is_one_step and self._last_step(connection, current.id) == (event, operator.id)):
            self.write(connection, after, event=event, operator=operator, at=at, note=note)
        return after

    def _last_step(self, connection: Connection, record_id: str) -> tuple[str, str] | None:
        events = application_events.c
        query = select(events.event, events.actor).where(events.application_id == record_id)
        row = connection.execute(query.order_by(events.seq.desc()).limit(1)).one_or_none()
        return None if row is None else (row.event, row.actor)

    def write(
        self,
        connection: Connection,
        record: R,
        *,
        event: str,
        operator: Operator,
        at: datetime,
        note: str | None = None,
    ) -> None:
        """One step of the life line and its audit entry. Neither holds personal numbers."""
        self.write_many(connection, [Step(record, event, operator, note)], at=at)

    def write_many(self, connection: Connection, steps: Sequence["Step[R]"], *, at: datetime) -> None:
        """Many steps in order, each as `write` does; the records as they are after their steps."""
        connection.execute(
            insert(application_events),
            [
                {
                    "application_id": step.record.id,
                    "at": at,
                    "actor": step.operator.id,
                    "event": step.event,
                    "state": step.record.state.value,
                    "note": step.note,
                    "certificate_sha256": certificate_of(step.operator),
                }
                for step in steps
            ],
        )
        self._audit.record_many(connection, [self._entry(step) for step in steps])

    def _entry(self, step: "Step[R]") -> AuditEntry:
        record = step.record
        details: dict[str, Any] = {
            **with_certificate(step.operator),
            "number": record.number,
            "authority": record.authority,
            "type": record.kind.value,
            "revision": record.revision,
            "point": record.point,
            "business": record.business.value,
            "content_sha256": record.content_sha256,
            **record.details,
        }
        return AuditEntry(
            event=f"{self._store.name}.{step.event}",
            actor=f"operator:{step.operator.id}",
            subject=f"{self._store.name}:{record.id}",
            details={name: value for name, value in details.items() if value is not None},
        )


class ServiceSteps(Generic[R]):
    """Steps that the service takes by itself, under the name of the registration authority."""

    def __init__(self, store: Store[R], audit: AuditTrail, registration_authority: str) -> None:
        self._store = store
        self._audit = audit
        self._name = registration_authority

    def move(
        self,
        connection: Connection,
        current: R,
        *,
        act: Act,
        event: str,
        at: datetime,
        changes: Mapping[str, Any] | None = None,
        note: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """A step of the service itself, with life line and audit entry."""
        move = check_move(current.business, current.state, act)
        table = self._store.table
        connection.execute(
            update(table)
            .where(table.c.id == current.id)
            .values(
                state=move.after.value,
                state_since=at,
                revision=current.revision + 1,
                **(changes or {}),
            )
        )
        connection.execute(
            insert(application_events).values(
                application_id=current.id,
                at=at,
                actor="service",
                event=event,
                state=move.after.value,
                note=note,
            )
        )
        self._audit.record(
            connection,
            event=f"{self._store.name}.{event}",
            actor="ra:" + self._name,
            subject=f"{self._store.name}:{current.id}",
            details={"number": current.number, **current.details, **(details or {})},
        )
