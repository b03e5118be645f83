"""Registered registration authorities: whose orders count, and for which authorities and profiles."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from sqlalchemy import bindparam, delete, insert, select, update

from onecert.ca.errors import CeremonyFileError, RegistrationAuthorityError, UnsupportedKeyError
from onecert.ca.models import registration_authorities
from onecert.ca.signatures.algorithms import algorithm_of
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.statements import Statement
from onecert.verifier.jws import key_id
from onecert.verifier.signatures import PublicKey

__all__ = ["EARLY", "RegistrationAuthorities", "RegistrationAuthority", "Scope"]

# A scope that ends so says that what it names may be renewed before the profile's window.
EARLY = "+early"

_COLUMNS = [registration_authorities.c[name] for name in ("name", "key_id", "key_pem", "scopes")]
_BY_KEY = Statement(select(*_COLUMNS).where(registration_authorities.c.key_id == bindparam("k")))


def _itself(authority: str) -> str:
    return authority


@dataclass(frozen=True, kw_only=True)
class Scope:
    """A registration authority by its name, and what it may order.

    Who may order by the name of a line may do so with each authority that joined it; see `authority_lines`.
    """

    name: str
    scopes: frozenset[str]
    line_of: Callable[[str], str] = _itself

    def may_order(self, authority: str, profile: str) -> bool:
        names = {authority, self.line_of(authority)}
        return any(f"{name}:{each}" in self.scopes for name in names for each in (profile, "*"))

    def may_renew_early(self, authority: str, profile: str) -> bool:
        """Tell whether it may renew before the window of the profile."""
        names = {authority, self.line_of(authority)}
        return any(f"{name}:{each}{EARLY}" in self.scopes for name in names for each in (profile, "*"))

    def may_revoke(self, authority: str) -> bool:
        """Tell whether it orders anything at all from this authority."""
        names = {authority, self.line_of(authority)}
        return any(scope.split(":")[0] in names for scope in self.scopes if not scope.endswith(EARLY))


@dataclass(frozen=True, kw_only=True)
class RegistrationAuthority(Scope):
    """One registration authority with the key that signs its orders and what it may order."""

    key_id: str
    public_key: PublicKey


class RegistrationAuthorities:
    """Reads and writes the register. Every order reads it anew, so that a removal counts at once.

    Args:
        line_of: names the line of an authority.
    """

    def __init__(
        self, database: Database, audit: AuditTrail, clock: Clock, line_of: Callable[[str], str] = _itself
    ) -> None:
        self._line_of = line_of
        self._database = database
        self._audit = audit
        self._clock = clock
        self._entries: dict[str, tuple[tuple[str, ...], RegistrationAuthority]] = {}

    def find_by_key(self, wanted: str) -> RegistrationAuthority | None:
        row = _BY_KEY.look_up(self._database, {"k": wanted})
        return None if row is None else self._entry(*row.values())

    def entries(self) -> list[RegistrationAuthority]:
        with self._database.reading() as connection:
            rows = connection.execute(select(*_COLUMNS).order_by(registration_authorities.c.name))
            return [self._entry(*row) for row in rows]

    def add(self, name: str, key_pem: str, scopes: list[str], *, actor: str) -> RegistrationAuthority:
        """Register a key, or set the scope anew when name and key are registered already.

        Raises:
            UnsupportedKeyError: not a public key in PEM form that we can check signatures with.
            CeremonyFileError: a scope without the form AUTHORITY:PROFILE.
            RegistrationAuthorityError: the name has another key, or the key another name.
        """
        faults = [scope for scope in scopes if scope.count(":") != 1 or not all(scope.split(":"))]
        if faults or not scopes:
            raise CeremonyFileError(
                [f"a scope is AUTHORITY:PROFILE, not “{scope}”" for scope in faults or [""]]
            )
        public_key = _load(key_pem)
        entry = {
            "key_id": key_id(public_key),
            "key_pem": _pem(public_key),
            "scopes": json.dumps(sorted(set(scopes))),
        }
        table = registration_authorities
        with self._database.transaction() as connection:
            rows = connection.execute(
                select(table).where((table.c.name == name) | (table.c.key_id == entry["key_id"]))
            ).mappings()
            known = [(row["name"], row["key_id"]) for row in rows]
            if known and known != [(name, entry["key_id"])]:
                raise RegistrationAuthorityError(name)
            if known:
                connection.execute(update(table).where(table.c.name == name).values(scopes=entry["scopes"]))
            else:
                connection.execute(insert(table).values(name=name, added_at=self._clock.now(), **entry))
            self._audit.record(
                connection,
                event="registration-authority.added",
                actor=actor,
                subject=name,
                details={"kid": entry["key_id"], "scopes": sorted(set(scopes))},
            )
        return self._entry(name, entry["key_id"], entry["key_pem"], entry["scopes"])

    def remove(self, name: str, *, actor: str) -> bool:
        """Remove an entry; its orders are refused from now on. Tell whether there was one."""
        with self._database.transaction() as connection:
            statement = delete(registration_authorities).where(registration_authorities.c.name == name)
            if connection.execute(statement).rowcount == 0:
                return False
            self._audit.record(connection, event="registration-authority.removed", actor=actor, subject=name)
        return True

    def _entry(self, name: str, kid: str, key_pem: str, scopes: str) -> RegistrationAuthority:
        row = (name, kid, key_pem, scopes)
        known, entry = self._entries.get(kid, (None, None))
        # What was parsed is used again while its row says the same.
        if entry is None or known != row:
            entry = RegistrationAuthority(
                name=name,
                key_id=kid,
                public_key=_load(key_pem),
                scopes=frozenset(json.loads(scopes)),
                line_of=self._line_of,
            )
            self._entries[kid] = (row, entry)
        return entry


def _load(key_pem: str) -> PublicKey:
    try:
        public_key = serialization.load_pem_public_key(key_pem.encode("ascii"))
        algorithm_of(public_key)
    except ValueError as exc:
        raise UnsupportedKeyError("?") from exc
    return public_key  # type: ignore[return-value]  # algorithm_of refuses all others


def _pem(public_key: PublicKey) -> str:
    return public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
