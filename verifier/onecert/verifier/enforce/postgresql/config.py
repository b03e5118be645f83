"""Which proved role is which role of the database, and who logs in by which name.

[postgresql]
connection = "host=/run/postgresql dbname=tax user=onecert_enforce"
end_sessions = true             # of who lost a membership; true by default
lock_seconds = 10               # as long one waits for another that synchronises

[[database_roles]]
role = "urn:onecert:role:tax.approver"
grants = ["tax_approver"]

[[logins]]
login = "zhang"
identity = "uscc:91440300MA5DEM004J"
create = true                   # make the login role when it is not there; false by default
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from onecert.verifier.attribute_certificate.roles import is_role_name
from onecert.verifier.enforce.config import Table, read_config
from onecert.verifier.enforce.department import ROLE_PATTERN, DepartmentConfig, Person
from onecert.verifier.enforce.postgresql.plan import MARK

__all__ = ["DatabaseConfig", "Login", "RoleMap"]

# NAMEDATALEN - 1 octets; whatever the characters are, the name is quoted.
_NAME = r"[^\x00-\x1f\x7f]{1,63}"
_IDENTITY = r"[a-z]{2,16}:[\x21-\x7e]{1,200}"
_RESERVED = ("pg_", MARK)


@dataclass(frozen=True, kw_only=True)
class RoleMap:
    """Proved role (URI) -> roles of the database."""

    rows: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def database_roles(self) -> frozenset[str]:
        """Every role of the database that can be given."""
        return frozenset(name for _, names in self.rows for name in names)

    def granted(self, roles: Iterable[str]) -> frozenset[str]:
        """The roles of the database that these proved roles give."""
        held = frozenset(roles)
        return frozenset(name for role, names in self.rows if role in held for name in names)

    @classmethod
    def read(cls, top: Table) -> RoleMap:
        """Read ``[[database_roles]]``; faults are noted in the table."""
        rows: list[tuple[str, tuple[str, ...]]] = []
        for table in top.tables("database_roles"):
            role = table.text("role", pattern=ROLE_PATTERN)
            if role and not is_role_name(role):
                table.fault("role", "is not the URI of a role")
            if role in {known for known, _ in rows}:
                table.fault("role", f"{role} stands there twice")
            rows.append((role, table.texts("grants", pattern=_NAME, check=is_database_name)))
            table.finish()
        if not rows:
            top.fault("database_roles", "must name at least one: [[database_roles]]")
        return cls(rows=tuple(rows))


@dataclass(frozen=True, kw_only=True)
class Login:
    """A login role and the only person who uses it."""

    login: str
    identity: str
    create: bool


@dataclass(frozen=True, kw_only=True)
class DatabaseConfig:
    """The whole file; see the module's text."""

    department: DepartmentConfig
    connection: str
    end_sessions: bool
    lock_seconds: float
    roles: RoleMap
    logins: tuple[Login, ...]

    @classmethod
    def load(cls, path: Path, *, trusted_owner: bool = True) -> DatabaseConfig:
        """Read the file.

        Raises:
            ConfigError: with all faults and their lines.
        """
        top = read_config(path, trusted_owner=trusted_owner)
        own = top.table("postgresql")
        made = cls(
            department=DepartmentConfig.read(top),
            connection=own.text("connection"),
            end_sessions=own.flag("end_sessions", True),
            lock_seconds=own.number("lock_seconds", 10, least=0.1, most=600),
            roles=RoleMap.read(top),
            logins=tuple(_logins(top)),
        )
        own.finish()
        top.finish()
        top.raise_faults()
        return made

    def wanted(self, people: Iterable[Person]) -> dict[str, frozenset[str]]:
        """Login role -> roles of the database that it must have, by what people can prove now."""
        roles: dict[str, frozenset[str]] = {}
        for person in people:
            if person.identity is not None:
                roles[person.identity] = roles.get(person.identity, frozenset()) | person.roles
        return {each.login: self.roles.granted(roles.get(each.identity, frozenset())) for each in self.logins}


def _logins(top: Table) -> list[Login]:
    found: list[Login] = []
    for table in top.tables("logins"):
        made = Login(
            login=table.text("login", pattern=_NAME),
            identity=table.text("identity", pattern=_IDENTITY),
            create=table.flag("create", False),
        )
        if made.login and not is_database_name(made.login):
            table.fault("login", "cannot be the name of a role that we manage")
        if made.login in {known.login for known in found}:
            table.fault("login", f"{made.login} stands there twice")
        found.append(made)
        table.finish()
    if not found:
        top.fault("logins", "must name at least one: [[logins]]")
    return found


def is_database_name(name: str) -> bool:
    """Tell whether a role of this name can be managed: short enough, and not one of the server's own."""
    return len(name.encode()) <= 63 and not name.startswith(_RESERVED) and name.isprintable()
