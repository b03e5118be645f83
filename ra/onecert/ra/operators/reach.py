"""The one door to records on behalf of an operator: account, certificate and scope are asked here.

Pages, REST and acts read applications and certificates through it. What belongs to another acceptance point,
authority or profile is not found, word for word as if it did not exist; the attempt is in the audit trail.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from onecert.ra.applications.records import Application, Frozen, load_application, load_frozen
from onecert.ra.cases.records import Case, load_case
from onecert.ra.certificates.records import Certificate, load_certificate
from onecert.ra.content.fields import Kind
from onecert.ra.errors import NotFoundError, OutOfReachError
from onecert.ra.operators.acting import (
    ActingOperator,
    acting,
    certificate_of,
    check_certificate,
    with_certificate,
)
from onecert.ra.operators.scopes import Scope, load_scope
from onecert.ra.vault.sealed import Vault
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator, check_role, check_usable

__all__ = ["Reach"]


class Placed(Protocol):
    """What a scope looks at."""

    @property
    def point(self) -> str: ...
    @property
    def authority(self) -> str: ...
    @property
    def kind(self) -> Kind: ...


class Reach:
    """Says who acts and what they can reach. `load_operator` finds an account by id."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        vault: Vault,
        load_operator: Callable[[Connection, str], Operator],
        certificate_required: bool = False,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._vault = vault
        self._load_operator = load_operator
        self._certificate_required = certificate_required

    def account(
        self, connection: Connection, operator: Operator, *roles: str, at: datetime | None = None
    ) -> ActingOperator:
        """The account as it is now, not as it was when the page was opened, and fit to act.

        Raises:
            OperatorError: suspended, expired, or without any of these roles.
            CertificateRequiredError: the policy wants a certificate, and the connection proved none.
        """
        known = self._load_operator(connection, operator.id)
        check_usable(known, at=at or self._clock.now())
        if roles:
            check_role(known, *roles)
        check_certificate(operator, required=self._certificate_required)
        return acting(known, certificate_of(operator))

    def scope(self, connection: Connection, operator: Operator) -> Scope:
        """What this operator may see; for lists."""
        return load_scope(connection, operator.id)

    def check(self, connection: Connection, operator: Operator, found: Placed) -> None:
        """Raise `OutOfReachError` when this record is another point's.

        A refusal rolls a transaction back: ask `application`, `case` or `certificate` first, which audit it.
        """
        if not self.scope(connection, operator).covers(found.point, found.authority, found.kind.value):
            raise OutOfReachError(found.authority)

    def application(self, operator: Operator, application_id: str) -> Application:
        """Raises `NotFoundError` when there is none in reach; then also audited if there is one elsewhere."""
        try:
            with self._database.reading() as connection:
                found = load_application(connection, application_id)
                self.check(connection, operator, found)
        except OutOfReachError:
            self._refuse(operator, f"application:{application_id}")
            raise NotFoundError(application_id) from None
        return found

    def frozen(self, operator: Operator, application_id: str) -> Frozen:
        """The same with its personal fields; needs the token."""
        self.application(operator, application_id)
        with self._database.reading() as connection:
            return load_frozen(connection, self._vault, application_id)

    def case(self, operator: Operator, case_id: str) -> Case:
        """Raises `NotFoundError` when there is none in reach; then also audited if there is one elsewhere."""
        try:
            with self._database.reading() as connection:
                found = load_case(connection, case_id)
                self.check(connection, operator, found)
        except OutOfReachError:
            self._refuse(operator, f"case:{case_id}")
            raise NotFoundError(case_id) from None
        return found

    def certificate(self, operator: Operator, authority: str, serial_hex: str) -> Certificate:
        """Raises `NotFoundError` when there is none in reach; then also audited if there is one elsewhere."""
        try:
            with self._database.reading() as connection:
                found = load_certificate(connection, authority, serial_hex)
                self.check(connection, operator, found)
        except OutOfReachError:
            self._refuse(operator, f"certificate:{found.authority}/{found.serial_hex}")
            raise NotFoundError(f"{authority}/{serial_hex[:64]}") from None
        return found

    def _refuse(self, operator: Operator, subject: str) -> None:
        with self._database.transaction() as connection:
            self._audit.record(
                connection,
                event="access.refused",
                actor=operator.actor,
                subject=subject,
                details={"why": "OUT_OF_SCOPE", **with_certificate(operator)},
            )
