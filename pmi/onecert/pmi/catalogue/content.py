"""The catalogue of roles: what each is called, who may give it, and whether a second person must agree.

Data, versioned, published as a whole; a version is never changed. In a file it is TOML:

    [[roles]]
    uri = "urn:onecert:role:tax.approver"
    zh = "税务审批人"
    en = "Tax approver"
    authorities = ["tax-office"]
    second_person = true
    max_days = 366
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from onecert.pmi.errors import CatalogueWrongError, NoCatalogueError, RoleNotAssignableError, RoleUnknownError
from onecert.pmi.models import catalogues
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.statements import Statement
from onecert.verifier.attribute_certificate.roles import is_role_name

__all__ = ["Catalogue", "CatalogueRole", "Catalogues", "read_catalogue"]

MAX_BYTES = 1024 * 1024
MAX_DAYS = 3660
_KEYS = {"uri", "zh", "en", "authorities", "second_person", "max_days", "description_zh", "description_en"}


_NEWEST = Statement(select(catalogues.c.version).order_by(catalogues.c.version.desc()).limit(1))
_CONTENT = Statement(select(catalogues.c.content).where(catalogues.c.version == bindparam("wanted")))


@dataclass(frozen=True, kw_only=True)
class CatalogueRole:
    """One role. ``authorities`` are the names of those who may give it."""

    uri: str
    zh: str
    en: str
    authorities: tuple[str, ...]
    second_person: bool = False
    max_days: int = 366
    description_zh: str = ""
    description_en: str = ""

    def title(self, language: str) -> str:
        """Return what the role is called in ``zh`` or ``en``."""
        return self.en if language == "en" else self.zh


@dataclass(frozen=True)
class Catalogue:
    """One version of the catalogue."""

    roles: Mapping[str, CatalogueRole] = field(default_factory=dict)
    version: int = 0

    def role(self, uri: str) -> CatalogueRole:
        """Return a role. Raises RoleUnknownError."""
        found = self.roles.get(uri)
        if found is None:
            raise RoleUnknownError(uri)
        return found

    def assignable_by(self, authority: str) -> list[CatalogueRole]:
        """Return the roles that this authority may give, in the order of their URIs."""
        return [role for _, role in sorted(self.roles.items()) if authority in role.authorities]

    def check_assignable(self, authority: str, roles: Sequence[str]) -> list[CatalogueRole]:
        """Return these roles, if this authority may give every one of them.

        Raises:
            RoleUnknownError, RoleNotAssignableError: one of them is not there, or not this authority's.
        """
        found = [self.role(uri) for uri in roles]
        for role in found:
            if authority not in role.authorities:
                raise RoleNotAssignableError(role.uri, authority)
        return found

    def to_json(self) -> str:
        """Return the canonical JSON of the roles; its SHA-256 names this content."""
        rows = [
            {name: getattr(role, name) for name in sorted(_KEYS)} for _, role in sorted(self.roles.items())
        ]
        return json.dumps({"roles": rows}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue from a TOML file.

    Raises:
        CatalogueWrongError: with every fault.
    """
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise CatalogueWrongError(["the file is larger than 1 MiB"])
    try:
        content = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise CatalogueWrongError([str(exc)]) from exc
    return _check(content)


def _check(content: Mapping[str, Any], *, version: int = 0) -> Catalogue:
    faults = [f"unknown key {key}" for key in content.keys() - {"roles"}]
    rows = content.get("roles", [])
    if not isinstance(rows, list) or not rows:
        raise CatalogueWrongError([*faults, "there is no [[roles]]"])
    roles: dict[str, CatalogueRole] = {}
    for number, row in enumerate(rows, start=1):
        found = _check_row(row)
        if found:
            faults += [f"role {number}: {fault}" for fault in found]
            continue
        role = CatalogueRole(**{**row, "authorities": tuple(row["authorities"])})
        if role.uri in roles:
            faults.append(f"role {number}: {role.uri} occurs twice")
        roles[role.uri] = role
    if faults:
        raise CatalogueWrongError(faults)
    return Catalogue(roles, version)


def _check_row(row: object) -> list[str]:
    if not isinstance(row, dict):
        return ["not a table"]
    faults = [f"unknown key {key}" for key in sorted(row.keys() - _KEYS)]
    uri = row.get("uri")
    if not isinstance(uri, str) or not is_role_name(uri) or uri.endswith("*"):
        faults.append("uri is not the URI of a role")
    faults += [
        f"{name} is not a name of 1 to 80 characters"
        for name in ("zh", "en")
        if not isinstance(row.get(name), str) or not 1 <= len(row[name].strip()) <= 80
    ]
    faults += [
        f"{name} is not a text of at most 500 characters"
        for name in ("description_zh", "description_en")
        if not isinstance(row.get(name, ""), str) or len(row.get(name, "")) > 500
    ]
    authorities = row.get("authorities")
    if (
        not isinstance(authorities, list)
        or not authorities
        or not all(isinstance(a, str) for a in authorities)
    ):
        faults.append("authorities names nobody who may give the role")
    if not isinstance(row.get("second_person", False), bool):
        faults.append("second_person is true or false")
    days = row.get("max_days", 366)
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MAX_DAYS:
        faults.append(f"max_days is between 1 and {MAX_DAYS}")
    return faults


class Catalogues:
    """Published catalogues of one service."""

    def __init__(self, *, audit: AuditTrail, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._kept: Catalogue | None = None

    def publish(self, connection: Connection, catalogue: Catalogue, *, actor: str) -> Catalogue:
        """Put a catalogue in force as the next version. The same content again changes nothing."""
        newest = self.find(connection)
        if newest is not None and newest.sha256 == catalogue.sha256:
            return newest
        version = 1 if newest is None else newest.version + 1
        connection.execute(
            insert(catalogues).values(
                version=version,
                content=catalogue.to_json(),
                sha256=catalogue.sha256,
                published_at=self._clock.now(),
                published_by=actor,
            )
        )
        self._audit.record(
            connection,
            event="catalogue.published",
            actor=actor,
            subject=f"catalogue:{version}",
            details={"sha256": catalogue.sha256, "roles": len(catalogue.roles)},
        )
        return Catalogue(catalogue.roles, version)

    def find(self, connection: Connection) -> Catalogue | None:
        """Return the catalogue in force, or None."""
        row = _NEWEST.first(connection, {})
        if row is None:
            return None
        kept = self._kept
        if kept is None or kept.version != row["version"]:
            # Its text is read once; a version is never changed.
            found = _CONTENT.first(connection, {"wanted": row["version"]}) or {}
            self._kept = kept = _check(json.loads(found.get("content", "{}")), version=row["version"])
        return kept

    def load(self, connection: Connection) -> Catalogue:
        """Return the catalogue in force. Raises NoCatalogueError."""
        found = self.find(connection)
        if found is None:
            raise NoCatalogueError
        return found
