"""Who may use which account of a machine: accounts, services and the roles that open them. Pure.

[[accounts]]
name = "zhang"                          # a personal account: this person, and nobody else
identity = "uscc:91440300MA5DEM004J"

[[accounts]]
name = "deploy"                         # shared: whoever has the role, told apart by the key

[[rules]]
services = ["sshd"]
accounts = ["zhang", "deploy"]
roles = ["urn:onecert:role:ops.deployer"]

[[exempt]]                              # not our business; use it sparingly
services = ["login"]
accounts = ["root"]
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from onecert.verifier.enforce.config import Table
from onecert.verifier.enforce.department import ROLE_PATTERN, Person, is_role_pattern
from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError

__all__ = ["AccountRules", "Allowed", "Rule", "check_account", "check_service"]

# What useradd of Debian lets stand: no blanks, slashes, colons or signs of a shell.
ACCOUNT = r"[a-z_][a-z0-9_.-]{0,31}"
SERVICE = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}"
_IDENTITY = r"[a-z]{2,16}:[\x21-\x7e]{1,200}"
_SSHD = "sshd"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """These accounts, for these services, to whoever has one of these roles."""

    services: frozenset[str]
    accounts: frozenset[str]
    roles: tuple[str, ...]

    def opened_by(self, roles: Iterable[str]) -> frozenset[str]:
        """Those of somebody's roles that this rule names."""
        return frozenset(role for role in roles if any(_matches(each, role) for each in self.roles))


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """Somebody who may use an account now, and by which roles; nobody in particular if exempt."""

    account: str
    service: str
    person: Person | None
    roles: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class AccountRules:
    """The part of the configuration on accounts.

    Args:
        personal: name of the account -> canonical id of the only person who may use it.
        shared_by_key: sshd takes keys from ``onecert-enforce keys`` and from nowhere else. Then who comes to
            a shared account has just proved a key that opens it, which PAM itself is not told.
    """

    personal: dict[str, str]
    shared: frozenset[str]
    shared_by_key: bool
    rules: tuple[Rule, ...]
    exempt: tuple[Rule, ...]

    @classmethod
    def read(cls, top: Table) -> AccountRules:
        """Read it; faults are noted in the table."""
        personal: dict[str, str] = {}
        shared: set[str] = set()
        for table in top.tables("accounts"):
            name = table.text("name", pattern=ACCOUNT)
            if name in personal or name in shared:
                table.fault("name", f"{name} stands there twice")
            if table.has("identity"):
                personal[name] = table.text("identity", pattern=_IDENTITY)
            else:
                shared.add(name)
            table.finish()
        known = frozenset(personal) | shared
        rules = tuple(_rule(each, known) for each in top.tables("rules"))
        exempt = tuple(_rule(each, None) for each in top.tables("exempt"))
        if not known:
            top.fault("accounts", "must name at least one: [[accounts]]")
        if not rules:
            top.fault("rules", "must name at least one: [[rules]]")
        return cls(
            personal=personal,
            shared=frozenset(shared),
            shared_by_key=top.table("settings").flag("shared_by_key", False),
            rules=rules,
            exempt=exempt,
        )

    def is_exempt(self, account: str, service: str) -> bool:
        """Tell whether the configuration says that this is not our business."""
        return any(service in each.services and account in each.accounts for each in self.exempt)

    def everybody(self, people: Iterable[Person], *, account: str, service: str) -> list[Allowed]:
        """Everybody who may use this account for this service now, in the order of their files.

        Raises:
            MalformedError: ``ACCOUNT_NAME``.
            RefusedError: ``ACCOUNT_UNKNOWN``: the configuration does not name it, or not for this service.
        """
        rules = self._rules_for(account, service)
        found = []
        for person in people:
            if not self._may_be(account, person):
                continue
            roles = frozenset().union(*(rule.opened_by(person.roles) for rule in rules))
            if roles:
                found.append(Allowed(account=account, service=service, person=person, roles=roles))
        return found

    def decide(
        self, people: Iterable[Person], *, account: str, service: str, key_spki_der: bytes | None
    ) -> Allowed:
        """Who uses this account now, and by which role.

        Args:
            key_spki_der: the key that the service has seen proved; ``None`` when it does not say. (sshd tells
                PAM when several methods were needed, and not when one was enough.)

        Raises:
            MalformedError: ``ACCOUNT_NAME``.
            RefusedError: ``ACCOUNT_UNKNOWN``, ``ACCOUNT_KEY``, ``ACCOUNT_SHARED`` or ``ACCOUNT_ROLE``.
            CouldNotCheckError: ``ACCOUNT_NOT_CHECKED``: a role may be there, and nobody can tell.
        """
        check_account(account)
        check_service(service)
        if self.is_exempt(account, service):
            return Allowed(account=account, service=service, person=None, roles=frozenset())
        self._rules_for(account, service)
        everybody = [person for person in people if self._may_be(account, person)]
        if key_spki_der is None:
            # Without a key only the account tells who is there, and a shared one does not.
            if account in self.shared and not (service == _SSHD and self.shared_by_key):
                raise RefusedError("ACCOUNT_SHARED", account=account, service=service)
        else:
            everybody = [each for each in everybody if each.certificate.spki_der == key_spki_der]
            if not everybody:
                raise RefusedError("ACCOUNT_KEY", account=account, service=service)
        found = self.everybody(everybody, account=account, service=service)
        if len(found) > 1 and account in self.shared:
            # One of them: sshd knows which.
            roles = frozenset().union(*(each.roles for each in found))
            return Allowed(account=account, service=service, person=None, roles=roles)
        if found:
            return found[0]
        unknown = [each for each in everybody if each.unknown]
        if unknown:
            raise CouldNotCheckError(
                "ACCOUNT_NOT_CHECKED", account=account, service=service, reason=_reason(unknown[0])
            )
        raise RefusedError("ACCOUNT_ROLE", account=account, service=service)

    def _may_be(self, account: str, person: Person) -> bool:
        if account not in self.personal:
            return True
        # Whose certificate could not be checked has no identity: it stays, to be told as such, without roles.
        return person.identity is None or person.identity == self.personal[account]

    def _rules_for(self, account: str, service: str) -> list[Rule]:
        check_account(account)
        check_service(service)
        rules = [each for each in self.rules if service in each.services and account in each.accounts]
        if not rules:
            raise RefusedError("ACCOUNT_UNKNOWN", account=account, service=service)
        return rules


def check_account(name: str) -> None:
    """Check that a name can be that of an account.

    Raises:
        MalformedError: ``ACCOUNT_NAME``.
    """
    if re.fullmatch(ACCOUNT, name) is None:
        raise MalformedError("ACCOUNT_NAME", name=repr(name))


def check_service(name: str) -> None:
    """Check that a name can be that of a PAM service.

    Raises:
        MalformedError: ``ACCOUNT_NAME``.
    """
    if re.fullmatch(SERVICE, name) is None:
        raise MalformedError("ACCOUNT_NAME", name=repr(name))


def _rule(table: Table, known: frozenset[str] | None) -> Rule:
    services = table.texts("services", pattern=SERVICE)
    accounts = table.texts("accounts", pattern=ACCOUNT)
    roles: tuple[str, ...] = ()
    if known is not None:
        roles = table.texts("roles", pattern=ROLE_PATTERN, check=is_role_pattern)
        for account in accounts:
            if account not in known:
                table.fault("accounts", f"{account} is not one of [[accounts]]")
    table.finish()
    return Rule(services=frozenset(services), accounts=frozenset(accounts), roles=roles)


def _matches(pattern: str, role: str) -> bool:
    return role.startswith(pattern[:-1]) if pattern.endswith("*") else role == pattern


def _reason(person: Person) -> str:
    if person.error is not None:
        return person.error.code
    assert person.proved is not None  # noqa: S101  unknown says so
    return person.proved.unknown[0].code
