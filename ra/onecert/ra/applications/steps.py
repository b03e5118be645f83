"""One step of an application: the row, its life line and its audit entry, in the transaction of the act.

`OperatorSteps` are what people do, with the checks that every act begins with; `ServiceSteps` are what the
service does by itself with the CA's answers. Neither writes personal numbers.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, update

from onecert.ra.applications.records import Application, load_application
from onecert.ra.life.duties import Duties
from onecert.ra.life.machine import Act, check_move, roles_of
from onecert.ra.models import application_events, applications
from onecert.ra.operators.acting import ActingOperator, certificate_of, with_certificate
from onecert.ra.operators.reach import Reach
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.operators import Operator, check_role

__all__ = ["OperatorSteps", "ServiceSteps"]


class OperatorSteps:
    """Steps that an operator takes. `load_operator` finds an account by id, for the rule of two people."""

    def __init__(
        self,
        audit: AuditTrail,
        clock: Clock,
        reach: Reach,
        load_operator: Callable[[Connection, str], Operator],
        duties: Duties,
    ) -> None:
        self._audit = audit
        self._clock = clock
        self._reach = reach
        self._load_operator = load_operator
        self._duties = duties

    def begin(
        self, connection: Connection, operator: Operator, application_id: str, act: Act
    ) -> tuple[Application, ActingOperator, datetime]:
        """The checks that every act begins with: account, role, certificate, scope, state, two people."""
        now = self._clock.now()
        current = load_application(connection, application_id, lock=True)
        operator = self._reach.account(connection, operator, *roles_of(current.business, act), at=now)
        self._reach.check(connection, operator, current)
        check_role(operator, *check_move(current.business, current.state, act).roles)
        self._duties.check(connection, operator, application_id, act, self._load_operator)
        return current, operator, now

    def move(
        self,
        connection: Connection,
        current: Application,
        *,
        operator: Operator,
        act: Act,
        event: str,
        at: datetime,
        changes: Mapping[str, Any],
        note: str | None = None,
    ) -> Application:
        """Do the act: change the row, and write it into the life line and the audit trail."""
        move = check_move(current.business, current.state, act)
        values = {**changes, "state": move.after.value, "revision": current.revision + 1}
        if move.after is not move.before:
            values["state_since"] = at
        connection.execute(update(applications).where(applications.c.id == current.id).values(**values))
        after = load_application(connection, current.id)
        self.write(connection, after, event=event, operator=operator, at=at, note=note)
        return after

    def write(
        self,
        connection: Connection,
        application: Application,
        *,
        event: str,
        operator: Operator,
        at: datetime,
        note: str | None = None,
    ) -> None:
        """One step of the life line and its audit entry. Neither holds personal numbers."""
        connection.execute(
            insert(application_events).values(
                application_id=application.id,
                at=at,
                actor=operator.id,
                event=event,
                state=application.state.value,
                note=note,
                certificate_sha256=certificate_of(operator),
            )
        )
        details: dict[str, Any] = {
            **with_certificate(operator),
            "number": application.number,
            "authority": application.authority,
            "type": application.kind.value,
            "revision": application.revision,
            "point": application.point,
            "business": application.business.value,
        }
        if application.content_sha256:
            details["content_sha256"] = application.content_sha256
        if application.order_id and event == "approved":
            details["order"] = application.order_id
        self._audit.record(
            connection,
            event=f"application.{event}",
            actor=f"operator:{operator.id}",
            subject=f"application:{application.id}",
            details=details,
        )


class ServiceSteps:
    """Steps that the service takes by itself, under the name of the registration authority."""

    def __init__(self, audit: AuditTrail, registration_authority: str) -> None:
        self._audit = audit
        self._name = registration_authority

    def move(
        self,
        connection: Connection,
        current: Application,
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
        connection.execute(
            update(applications)
            .where(applications.c.id == current.id)
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
            event=f"application.{event}",
            actor="ra:" + self._name,
            subject=f"application:{current.id}",
            details={"number": current.number, "order": current.order_id, **(details or {})},
        )
