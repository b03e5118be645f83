"""What must happen so that memberships are what attribute certificates say. Pure.

A role is ours when it is a member of ``onecert_managed``; an administrator marks it (``GRANT onecert_managed
TO tax_approver``), or we do, when we have made it. Nothing else is touched, and nothing is ever dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from onecert.verifier.errors import RefusedError

__all__ = ["MARK", "DatabaseRole", "DatabaseRolesError", "Plan", "Step", "StepKind", "make_plan", "quoted"]

MARK = "onecert_managed"
# Who has one of these is as good as the server's own account.
_POWERFUL = frozenset({"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"})


class DatabaseRolesError(RefusedError):
    """Roles of the database are not as they must be; nothing was changed. ``faults`` names all of them."""

    def __init__(self, faults: tuple[tuple[str, str], ...]) -> None:
        super().__init__("DATABASE_ROLES", faults="; ".join(f"{role}: {fault}" for role, fault in faults))
        self.faults = faults


@dataclass(frozen=True, kw_only=True)
class DatabaseRole:
    """One role of the server.

    Args:
        powers: what makes it more than an ordinary one: ``superuser``, ``replication``, ``bypassrls``,
            ``createrole``.
        member_of: name of a role -> who granted the membership.
    """

    name: str
    powers: frozenset[str] = frozenset()
    member_of: Mapping[str, frozenset[str]]

    @property
    def is_managed(self) -> bool:
        """Whether it is ours to change."""
        return MARK in self.member_of


class StepKind(StrEnum):
    """What a step does."""

    MAKE_MARK = "make the mark"
    CREATE = "create"
    GRANT = "grant"
    REVOKE = "revoke"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change. ``role`` is what is granted or revoked; ``grantor`` is who granted what is revoked."""

    kind: StepKind
    login: str = ""
    role: str = ""
    grantor: str = ""

    def statements(self, *, with_grantor: bool) -> tuple[str, ...]:
        """The SQL of this step; names are quoted."""
        if self.kind is StepKind.MAKE_MARK:
            return (f"CREATE ROLE {quoted(MARK)} NOLOGIN",)
        if self.kind is StepKind.CREATE:
            return (
                f"CREATE ROLE {quoted(self.login)} LOGIN",
                f"GRANT {quoted(MARK)} TO {quoted(self.login)}",
            )
        if self.kind is StepKind.GRANT:
            return (f"GRANT {quoted(self.role)} TO {quoted(self.login)}",)
        by = f" GRANTED BY {quoted(self.grantor)}" if with_grantor and self.grantor else ""
        return (f"REVOKE {quoted(self.role)} FROM {quoted(self.login)}{by}",)

    def __str__(self) -> str:
        if self.kind is StepKind.MAKE_MARK:
            return f"create role {MARK}, the mark of what is managed"
        if self.kind is StepKind.CREATE:
            return f"create login role {self.login}"
        word = "to" if self.kind is StepKind.GRANT else "from"
        return f"{self.kind} {self.role} {word} {self.login}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps in their order, and what is only said."""

    steps: tuple[Step, ...]
    not_ours: tuple[tuple[str, str], ...]
    """Memberships (role, member) of managed roles that somebody gave to roles that are not managed."""

    @property
    def losers(self) -> tuple[str, ...]:
        """The login roles that lose a membership: their sessions have it until they end."""
        return tuple(sorted({step.login for step in self.steps if step.kind is StepKind.REVOKE}))


def make_plan(
    found: Mapping[str, DatabaseRole],
    wanted: Mapping[str, frozenset[str]],
    *,
    grantable: frozenset[str],
    create: frozenset[str],
) -> Plan:
    """Compare what is there with what should be.

    Args:
        found: every role of the server, by name.
        wanted: login role -> the roles it must have.
        grantable: every role that the configuration can give.
        create: login roles that may be made.

    Raises:
        DatabaseRolesError: a role is missing, not managed, or too powerful to be given.
    """
    faults = [fault for role in sorted(grantable) for fault in _faults_of_group(found, role)]
    for login in sorted(wanted):
        faults += _faults_of_login(found, login, login in create)
    if MARK in found and (found[MARK].powers or found[MARK].member_of):
        faults.append((MARK, "the mark must have no powers and be a member of nothing"))
    if faults:
        raise DatabaseRolesError(tuple(faults))
    steps = [] if MARK in found else [Step(kind=StepKind.MAKE_MARK)]
    steps += [Step(kind=StepKind.CREATE, login=login) for login in sorted(wanted) if login not in found]
    ours = {name for name, role in found.items() if role.is_managed} | wanted.keys()
    groups = grantable | {name for name in found if found[name].is_managed}
    # What is taken away comes first: should something else fail in between, nobody has kept anything.
    revoked: list[Step] = []
    granted: list[Step] = []
    for login in sorted(ours - grantable):
        has = found[login].member_of if login in found else {}
        needs = wanted.get(login, frozenset())
        # Login by login: what one has is short, and all that is managed may be long.
        for role in sorted(each for each in has if each in groups and each not in needs):
            revoked += [
                Step(kind=StepKind.REVOKE, login=login, role=role, grantor=by) for by in sorted(has[role])
            ]
        granted += [Step(kind=StepKind.GRANT, login=login, role=role) for role in sorted(needs - has.keys())]
    strangers = [
        (role, name)
        for name, one in sorted(found.items())
        if name not in ours
        for role in sorted(one.member_of.keys() & grantable)
    ]
    return Plan(steps=(*revoked, *steps, *granted), not_ours=tuple(strangers))


def quoted(name: str) -> str:
    """An identifier for SQL (PostgreSQL manual, section 4.1.1).

    Raises:
        ValueError: it has a NUL, which no identifier has.
    """
    if not name or "\0" in name:
        raise ValueError("not an identifier")
    return '"' + name.replace('"', '""') + '"'


def powers_of(found: Mapping[str, DatabaseRole], name: str) -> frozenset[str]:
    """What a role can do beyond its own rights, by itself or through what it is a member of."""
    seen: set[str] = set()
    waiting = [name]
    powers: set[str] = set()
    while waiting:
        each = waiting.pop()
        if each in seen or each not in found:
            continue
        seen.add(each)
        powers |= found[each].powers | (_POWERFUL & {each})
        waiting.extend(found[each].member_of)
    return frozenset(powers)


def _faults_of_group(found: Mapping[str, DatabaseRole], name: str) -> list[tuple[str, str]]:
    if name not in found:
        return [(name, "is not there")]
    if not found[name].is_managed:
        return [(name, f"is not managed: GRANT {MARK} TO {quoted(name)}")]
    powers = powers_of(found, name)
    return [(name, f"is too powerful to be given: {', '.join(sorted(powers))}")] if powers else []


def _faults_of_login(found: Mapping[str, DatabaseRole], name: str, create: bool) -> list[tuple[str, str]]:
    if name not in found:
        return [] if create else [(name, "is not there, and create is not set")]
    if not found[name].is_managed:
        return [(name, f"is not managed: GRANT {MARK} TO {quoted(name)}")]
    if found[name].powers:
        return [(name, f"is no ordinary login role: {', '.join(sorted(found[name].powers))}")]
    return []
