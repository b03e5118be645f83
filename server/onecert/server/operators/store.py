"""Operators' accounts and certificates of one service; every change is in the audit trail.

Every method takes the connection of the caller's transaction, so that an act and its audit entry stand or
fall together. Who acts is ``actor``, as the audit trail writes it ("command:root", "operator:admin1").
"""

from __future__ import annotations

import getpass
import json
import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import Connection, Row, delete, insert, select, text, update

from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.languages import _
from onecert.server.operators import links
from onecert.server.operators.config import SignInConfig
from onecert.server.operators.errors import (
    InvalidOperatorError,
    OperatorExistsError,
    OperatorUnknownError,
    PersonHasAccountError,
    UnknownRoleError,
)
from onecert.server.operators.models import operator_certificates, operators, sessions, sign_in_links
from onecert.server.operators.people import People
from onecert.server.operators.roles import Operator
from onecert.server.operators.sign_in_errors import CertificateBoundError

__all__ = ["Operators", "command_actor"]

_ID = re.compile(r"[a-z][a-z0-9.-]{0,63}", re.ASCII)
PERSON_SECRET = "person.secret"  # noqa: S105 -- the name of a file, not a secret


def command_actor() -> str:
    """The audit trail's name for whoever runs a command: "command:<user of the operating system>"."""
    try:
        return f"command:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's numeric user without a name
        return f"command:{os.getuid()}"


class Operators:
    """The accounts of one service. ``folder`` is the service's own and holds its person secret (0600)."""

    def __init__(
        self,
        folder: Path,
        *,
        audit: AuditTrail,
        clock: Clock,
        roles: Mapping[str, str],
        config: SignInConfig | None = None,
    ) -> None:
        self.roles = dict(roles)
        self.config = config or SignInConfig()
        self._folder = folder
        self._audit = audit
        self._clock = clock
        self._people_made: People | None = None

    def add(  # noqa: PLR0917 -- the order of the command line; callers name what they give
        self,
        connection: Connection,
        id: str,  # noqa: A002 -- the word people use for it
        name: str,
        roles: Iterable[str],
        person_id_number: str,
        valid_until: datetime,
        certificate: x509.Certificate | None = None,
        *,
        actor: str | None = None,
    ) -> Operator:
        """Open an account.

        Args:
            person_id_number: number of the person's identity document; only an HMAC of it is kept.
                valid_until: aware; the account stops working at this moment. certificate: bound to the
                account at once when given; not yet verified, that happens at each sign-in.

        Raises:
            InvalidOperatorError, UnknownRoleError, PersonNumberError: a value is wrong.
            OperatorExistsError, PersonHasAccountError, CertificateBoundError: it collides with another
            account.
        """
        now = self._clock.now()
        wanted = frozenset(roles)
        self._check_values(id, name, wanted, valid_until, now)
        person = self._people.person(person_id_number)
        if connection.dialect.name == "postgresql":
            # Two commands at once must not both find that the person has no account. SQLite's transactions
            # exclude each other anyway.
            connection.execute(text("LOCK TABLE operators IN SHARE ROW EXCLUSIVE MODE"))
        if self.find(connection, id) is not None:
            raise OperatorExistsError(id)
        twin = connection.scalar(select(operators.c.id).where(operators.c.person == person).limit(1))
        if twin is not None and not self.config.allow_same_person:
            raise PersonHasAccountError(twin)
        connection.execute(
            insert(operators).values(
                id=id,
                name=name.strip(),
                roles=json.dumps(sorted(wanted)),
                person=person,
                valid_until=valid_until,
                created_at=now,
                suspended_at=None,
            )
        )
        self._audit.record(
            connection,
            event="operator.added",
            actor=actor or command_actor(),
            subject=f"operator:{id}",
            details={"name": name.strip(), "roles": sorted(wanted), "valid_until": valid_until.isoformat()},
        )
        if certificate is not None:
            self.bind_certificate(connection, id, certificate, actor=actor)
        return self.load(connection, id)

    def find(self, connection: Connection, id: str) -> Operator | None:  # noqa: A002 -- as in add
        """The account with this id, usable or not; None when there is none."""
        row = connection.execute(select(operators).where(operators.c.id == id)).one_or_none()
        return None if row is None else _operator(row)

    def load(self, connection: Connection, id: str) -> Operator:  # noqa: A002 -- as in add
        """The account with this id, usable or not. Raises OperatorUnknownError."""
        found = self.find(connection, id)
        if found is None:
            raise OperatorUnknownError(id)
        return found

    def all(self, connection: Connection) -> list[Operator]:
        """Every account, by id."""
        return [_operator(row) for row in connection.execute(select(operators).order_by(operators.c.id))]

    def find_by_certificate(self, connection: Connection, certificate: x509.Certificate) -> Operator | None:
        """The account that this very certificate is bound to. Does not verify the certificate."""
        row = connection.execute(
            select(operators)
            .join(operator_certificates, operator_certificates.c.operator_id == operators.c.id)
            .where(operator_certificates.c.sha256 == certificate.fingerprint(SHA256()).hex())
        ).one_or_none()
        return None if row is None else _operator(row)

    def bind_certificate(
        self,
        connection: Connection,
        id: str,  # noqa: A002 -- as in add
        certificate: x509.Certificate,
        *,
        actor: str | None = None,
    ) -> None:
        """Let this certificate sign in as this operator. A second time for the same account changes nothing.

        Raises: OperatorUnknownError, CertificateBoundError.
        """
        self.load(connection, id)
        owner = self.find_by_certificate(connection, certificate)
        if owner is not None:
            if owner.id != id:
                raise CertificateBoundError(owner.id)
            return
        sha256 = certificate.fingerprint(SHA256()).hex()
        serial_hex = f"{certificate.serial_number:x}"
        subject = certificate.subject.rfc4514_string()[:500]
        connection.execute(
            insert(operator_certificates).values(
                sha256=sha256,
                operator_id=id,
                subject=subject,
                serial_hex=serial_hex,
                not_after=certificate.not_valid_after_utc,
                bound_at=self._clock.now(),
            )
        )
        self._audit.record(
            connection,
            event="operator.certificate_bound",
            actor=actor or command_actor(),
            subject=f"operator:{id}",
            details={"sha256": sha256, "serial": serial_hex},
        )

    def set_roles(
        self,
        connection: Connection,
        id: str,  # noqa: A002 -- as in add
        roles: Iterable[str],
        *,
        actor: str | None = None,
    ) -> Operator:
        """Give an account these roles instead of those it has; they count from its next request.

        Raises: OperatorUnknownError, UnknownRoleError.
        """
        operator, wanted = self.load(connection, id), frozenset(roles)
        self._check_roles(wanted)
        if wanted == operator.roles:
            return operator
        connection.execute(
            update(operators).where(operators.c.id == id).values(roles=json.dumps(sorted(wanted)))
        )
        self._audit.record(
            connection,
            event="operator.roles_changed",
            actor=actor or command_actor(),
            subject=f"operator:{id}",
            details={"before": sorted(operator.roles), "roles": sorted(wanted)},
        )
        return self.load(connection, id)

    def suspend(self, connection: Connection, id: str, *, actor: str | None = None) -> Operator:  # noqa: A002
        """Stop an account at once: its sessions end, its links are void. Suspending twice changes nothing."""
        operator = self.load(connection, id)
        if operator.suspended_at is not None:
            return operator
        connection.execute(
            update(operators).where(operators.c.id == id).values(suspended_at=self._clock.now())
        )
        connection.execute(delete(sessions).where(sessions.c.operator_id == id))
        connection.execute(delete(sign_in_links).where(sign_in_links.c.operator_id == id))
        self._record(connection, "operator.suspended", id, actor)
        return self.load(connection, id)

    def resume(self, connection: Connection, id: str, *, actor: str | None = None) -> Operator:  # noqa: A002
        """Let a suspended account work again. Its old sessions and links stay void."""
        operator = self.load(connection, id)
        if operator.suspended_at is None:
            return operator
        connection.execute(update(operators).where(operators.c.id == id).values(suspended_at=None))
        self._record(connection, "operator.resumed", id, actor)
        return self.load(connection, id)

    def create_link(self, connection: Connection, id: str, *, actor: str | None = None) -> str:  # noqa: A002
        """Make a one-time sign-in link and return its token, which is stored nowhere.

        Raises: OperatorUnknownError, OperatorSuspendedError, OperatorExpiredError.
        """
        operator = self.load(connection, id)
        now = self._clock.now()
        token = links.create(connection, operator, lifetime=self.config.link_lifetime, at=now)
        self._record(connection, "operator.link_created", id, actor)
        return token

    @property
    def _people(self) -> People:
        # Made when first needed: a service that only reads accounts needs no secret.
        if self._people_made is None:
            self._people_made = People(self._folder / PERSON_SECRET)
        return self._people_made

    def _check_values(
        self, operator_id: str, name: str, roles: frozenset[str], valid_until: datetime, now: datetime
    ) -> None:
        if not _ID.fullmatch(operator_id):
            raise InvalidOperatorError(_("Account"), operator_id[:80])
        if not 1 <= len(name.strip()) <= 80 or not name.isprintable():
            raise InvalidOperatorError(_("Name"), name[:80])
        if valid_until.tzinfo is None or valid_until <= now:
            raise InvalidOperatorError(_("Valid until"), valid_until.isoformat())
        self._check_roles(roles)

    def _check_roles(self, roles: frozenset[str]) -> None:
        for role in sorted(roles):
            if role not in self.roles:
                raise UnknownRoleError(role, self.roles)
        if not roles:
            raise UnknownRoleError("", self.roles)

    def _record(self, connection: Connection, event: str, operator_id: str, actor: str | None) -> None:
        self._audit.record(
            connection,
            event=event,
            actor=actor or command_actor(),
            subject=f"operator:{operator_id}",
            details={},
        )


def _operator(row: Row[Any]) -> Operator:
    return Operator(
        id=row.id,
        name=row.name,
        roles=frozenset(json.loads(row.roles)),
        person=row.person,
        valid_until=row.valid_until,
        suspended_at=row.suspended_at,
    )
