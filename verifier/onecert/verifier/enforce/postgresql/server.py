"""Reading a PostgreSQL server and applying a plan: one transaction, one at a time, checked before it counts.

Sources: PostgreSQL manual, sections 13.3.5 (advisory locks), 54.6 (pg_auth_members), 9.28.2 (signals).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from onecert.verifier.enforce.postgresql.plan import MARK, DatabaseRole, Plan, Step, make_plan, quoted
from onecert.verifier.errors import CouldNotCheckError

__all__ = ["Server", "Synchronised"]

# "onecert" in ASCII, as a number of 64 bits.
_LOCK = int.from_bytes(b"onecert", "big")
_GRANTED_BY = 160000  # from this version a membership is there once for each grantor
_ROLES = """
SELECT r.rolname, r.rolsuper, r.rolreplication, r.rolbypassrls, r.rolcreaterole,
       coalesce(json_agg(json_build_array(g.rolname, by.rolname)) FILTER (WHERE g.oid IS NOT NULL), '[]')
FROM pg_roles r
LEFT JOIN pg_auth_members m ON m.member = r.oid
LEFT JOIN pg_roles g ON g.oid = m.roleid
LEFT JOIN pg_roles by ON by.oid = m.grantor
GROUP BY 1, 2, 3, 4, 5"""
_PENDING = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s"
_END = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY(%s)"


@dataclass(frozen=True, kw_only=True)
class Synchronised:
    """What was done."""

    plan: Plan
    ended: int
    """Sessions that were ended because their login role lost a membership."""


class Server:
    """One PostgreSQL server.

    Args:
        connection: as libpq writes it; the role needs CREATEROLE, and pg_signal_backend to end sessions. It
            should be no superuser.
        lock_seconds: as long one waits for another that synchronises.
    """

    def __init__(self, connection: str, *, lock_seconds: float = 10) -> None:
        self._connection, self._lock_seconds = connection, lock_seconds

    def plan(
        self, wanted: dict[str, frozenset[str]], *, grantable: frozenset[str], create: frozenset[str]
    ) -> Plan:
        """What would be done.

        Raises:
            DatabaseRolesError: roles are not as they must be.
            CouldNotCheckError: ``DATABASE``.
        """
        with self._connected() as connection:
            return make_plan(_read(connection), wanted, grantable=grantable, create=create)

    def synchronise(
        self,
        wanted: dict[str, frozenset[str]],
        *,
        grantable: frozenset[str],
        create: frozenset[str],
        end_sessions: bool = True,
    ) -> Synchronised:
        """Do it: all of it or nothing, and end the sessions of who lost something.

        Should the sessions not be ended, because the connection broke, the next run ends them: who still has
        to go stands in the comment of the mark.

        Raises:
            DatabaseRolesError: roles are not as they must be; nothing was changed.
            CouldNotCheckError: ``DATABASE`` or ``DATABASE_BUSY``; nothing was changed, or only sessions are
                left over.
        """
        with self._connected() as connection:
            with connection.transaction():
                self._lock(connection)
                plan = make_plan(_read(connection), wanted, grantable=grantable, create=create)
                _apply(connection, plan.steps)
                # 2. Look at it again: what the server did must be what was meant.
                left = make_plan(_read(connection), wanted, grantable=grantable, create=create)
                if left.steps:
                    raise CouldNotCheckError("DATABASE", detail=f"it did not do this: {left.steps[0]}")
                leaving = sorted({*_pending(connection), *plan.losers}) if end_sessions else []
                _note(connection, leaving)
            # 3. Only what is committed is lost; a session that was ended sooner could come back with it.
            ended = self._end(connection, leaving) if leaving else 0
        return Synchronised(plan=plan, ended=ended)

    def _end(self, connection: psycopg.Connection[Any], logins: list[str]) -> int:
        with connection.transaction():
            rows = connection.execute(_END, [logins]).fetchall()
            if not all(done for _, done in rows):
                raise CouldNotCheckError("DATABASE", detail="a session could not be ended")
            _note(connection, [])
        return len(rows)

    def _lock(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(f"SET LOCAL lock_timeout = {int(self._lock_seconds * 1000)}".encode())
        try:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        except psycopg.errors.LockNotAvailable as exc:
            raise CouldNotCheckError("DATABASE_BUSY") from exc

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            # Statements are sent as they stand: what was prepared would outlive the roles it was made for.
            with psycopg.connect(
                self._connection, autocommit=True, connect_timeout=10, prepare_threshold=None
            ) as connection:
                connection.execute("SET search_path = pg_catalog")
                yield connection
        except psycopg.Error as exc:
            raise CouldNotCheckError("DATABASE", detail=str(exc).partition("\n")[0]) from exc


def _read(connection: psycopg.Connection[Any]) -> dict[str, DatabaseRole]:
    found = {}
    for name, *flags, memberships in connection.execute(_ROLES):
        names = ("superuser", "replication", "bypassrls", "createrole")
        member_of: dict[str, frozenset[str]] = {}
        for role, grantor in memberships:
            member_of[role] = member_of.get(role, frozenset()) | {grantor or ""}
        powers = frozenset(power for power, has in zip(names, flags, strict=True) if has)
        found[name] = DatabaseRole(name=name, powers=powers, member_of=member_of)
    return found


def _apply(connection: psycopg.Connection[Any], steps: tuple[Step, ...]) -> None:
    with_grantor = connection.info.server_version >= _GRANTED_BY
    for step in steps:
        for statement in step.statements(with_grantor=with_grantor):
            connection.execute(statement.encode())


def _pending(connection: psycopg.Connection[Any]) -> list[str]:
    row = connection.execute(_PENDING, [MARK]).fetchone()
    try:
        found = json.loads(row[0])["end_sessions"] if row is not None and row[0] else []
    except (ValueError, KeyError, TypeError):
        return []
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _note(connection: psycopg.Connection[Any], leaving: list[str]) -> None:
    if leaving == _pending(connection):
        return
    text = json.dumps({"managed_by": "onecert-enforce", "end_sessions": leaving})
    literal = "'" + text.replace("'", "''") + "'"
    # A backslash stands for itself only while standard_conforming_strings is on.
    connection.execute("SET LOCAL standard_conforming_strings = on")
    connection.execute(f"COMMENT ON ROLE {quoted(MARK)} IS {literal}".encode())
