"""A real PostgreSQL server whose roles follow attribute certificates: granted, revoked, no more than ours."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from onecert.verifier import RefusedError
from onecert.verifier.enforce.cli import main
from onecert.verifier.enforce.department import Department
from onecert.verifier.enforce.postgresql import MARK, DatabaseConfig, RoleMap, session_role
from onecert.verifier.enforce.postgresql.plan import DatabaseRolesError, quoted
from onecert.verifier.enforce.postgresql.server import Server
from onecert.verifier.errors import CouldNotCheckError

APPROVER, READER = "urn:onecert:role:tax.approver", "urn:onecert:role:tax.reader"
pytestmark = pytest.mark.postgres


class Database:
    """Roles with unusual names on a server that other tests use too, and an account that synchronises."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        end = secrets.token_hex(4)
        self.admin = self.connect("tester")
        # Quotes, blanks, semicolons, upper case and Chinese stand in names, as they may.
        self.approvers, self.readers = f'批准"; DROP ROLE x; --{end}', f"Readers {end}"
        self.login, self.pool, self.sync = f"zhang' {end}", f"pool_{end}", f"sync_{end}"
        self.run(f"CREATE ROLE {quoted(self.sync)} LOGIN CREATEROLE")
        self.run(f"GRANT pg_signal_backend TO {quoted(self.sync)}")
        if not self.admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [MARK]).fetchone():
            self.run(f"CREATE ROLE {MARK} NOLOGIN")
        for name in (self.approvers, self.readers):
            self.run(f"CREATE ROLE {quoted(name)} NOLOGIN")
            self.run(f"GRANT {MARK} TO {quoted(name)}")

    def connect(self, user: str) -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self.socket), user=user, dbname="postgres", autocommit=True)

    def run(self, statement: str) -> None:
        self.admin.execute(statement.encode())

    def roles_of(self, login: str) -> set[str]:
        rows = self.admin.execute(
            "SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid "
            "JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = %s",
            [login],
        )
        return {name for (name,) in rows}

    def clean(self) -> None:
        for name in (self.login, self.pool, self.sync, self.approvers, self.readers):
            self.run(f"DROP ROLE IF EXISTS {quoted(name)}")
        self.run(f"COMMENT ON ROLE {MARK} IS NULL")
        self.admin.close()


@pytest.fixture
def database(postgresql_server: Path) -> Iterator[Database]:
    made = Database(postgresql_server)
    yield made
    made.clean()


@pytest.fixture
def town(make_city: Callable[..., Any], database: Database, tmp_path: Path) -> tuple[Any, Path]:
    """A city at this moment, as commands see it, and the configuration for its database."""
    city = make_city(at=datetime.now(UTC).replace(microsecond=0))
    city.zhang = city.person("zhang")
    path = tmp_path / "postgresql.toml"
    people = config_with(city, path, database, "person:unknown").people(city.at)
    config_with(city, path, database, str(people[0].identity))
    return city, path


def config_with(city: Any, path: Path, database: Database, identity: str) -> Department:
    more = f"""
[postgresql]
connection = "host={database.socket} dbname=postgres user={database.sync}"

[[database_roles]]
role = "{APPROVER}"
grants = [{json.dumps(database.approvers)}, {json.dumps(database.readers)}]

[[database_roles]]
role = "{READER}"
grants = [{json.dumps(database.readers)}]

[[logins]]
login = {json.dumps(database.login)}
identity = "{identity}"
create = true
"""
    path.write_text(city.config(more))
    return Department(DatabaseConfig.load(path, trusted_owner=False).department)


def sync(path: Path, act: str = "sync") -> tuple[int, Any]:
    return main(["postgresql", act, "--config", str(path), "--json"]), None


def test_memberships_follow_certificates(
    town: tuple[Any, Path], database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """Planned, granted, nothing the second time, revoked: the membership and the open session are gone."""
    city, path = town
    serial = city.grant(city.zhang, APPROVER)
    assert main(["postgresql", "plan", "--config", str(path)]) == 0
    assert f"create login role {database.login}" in capsys.readouterr().out
    assert database.roles_of(database.login) == set()
    began = time.monotonic()
    assert main(["postgresql", "sync", "--config", str(path)]) == 0
    granted = time.monotonic() - began
    assert database.roles_of(database.login) == {database.approvers, database.readers, MARK}
    capsys.readouterr()
    assert main(["postgresql", "sync", "--config", str(path)]) == 0
    assert capsys.readouterr().out == "nothing to do\n"
    with database.connect(database.login) as session:
        session.execute(f"SET ROLE {quoted(database.approvers)}".encode())
        city.revoke(serial)
        began = time.monotonic()
        assert main(["postgresql", "sync", "--config", str(path)]) == 0
        revoked = time.monotonic() - began
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    said = capsys.readouterr().out
    assert "sessions ended: 1" in said
    assert database.roles_of(database.login) == {MARK}
    assert main(["postgresql", "status", "--config", str(path)]) == 0
    assert "REVOKED" in capsys.readouterr().out
    with capsys.disabled():
        print(f" postgresql: granted to can {granted:.3f} s, revoked to refused {revoked:.3f} s", end="")


def test_what_is_not_ours_stays(town: tuple[Any, Path], database: Database) -> None:
    """A membership given by hand to a role that is not managed is told, not taken; a managed one is taken."""
    _, path = town
    config = DatabaseConfig.load(path, trusted_owner=False)
    assert main(["postgresql", "sync", "--config", str(path)]) == 0
    database.run(f"CREATE ROLE {quoted(database.pool)} LOGIN")
    for name in (database.pool, database.login):
        database.run(f"GRANT {quoted(database.readers)} TO {quoted(name)}")
    server = Server(config.connection)
    settings = {"grantable": config.roles.database_roles, "create": frozenset[str]()}
    done = server.synchronise(config.wanted(()), **settings)
    assert (database.readers, database.pool) in done.plan.not_ours
    assert database.roles_of(database.pool) == {database.readers}
    assert database.roles_of(database.login) == {MARK}


def test_faults_are_named_together_and_nothing_is_changed(town: tuple[Any, Path], database: Database) -> None:
    """One group is not marked, the other has become a superuser's: both are said, nobody gets anything."""
    city, path = town
    config = DatabaseConfig.load(path, trusted_owner=False)
    city.grant(city.zhang, APPROVER)
    database.run(f"REVOKE {MARK} FROM {quoted(database.readers)}")
    database.run(f"GRANT pg_execute_server_program TO {quoted(database.approvers)}")
    wanted = config.wanted(Department(config.department).people(city.at))
    settings = {"grantable": config.roles.database_roles, "create": frozenset({database.login})}
    with pytest.raises(DatabaseRolesError) as caught:
        Server(config.connection).synchronise(wanted, **settings)
    assert {role for role, _ in caught.value.faults} == {database.readers, database.approvers}
    assert not database.admin.execute(
        "SELECT 1 FROM pg_roles WHERE rolname = %s", [database.login]
    ).fetchone()
    assert main(["postgresql", "sync", "--config", str(path)]) == 1


def test_only_one_at_a_time_and_all_or_nothing(town: tuple[Any, Path], database: Database) -> None:
    """Somebody holds the lock: could not check. The account may not end sessions: ended next time."""
    _, path = town
    config = DatabaseConfig.load(path, trusted_owner=False)
    settings = {"grantable": config.roles.database_roles, "create": frozenset({database.login})}
    has = {database.login: frozenset({database.readers})}
    server = Server(config.connection, lock_seconds=0.1)
    with database.connect("tester") as other:
        other.execute("SELECT pg_advisory_lock(%s)", [int.from_bytes(b"onecert", "big")])
        with pytest.raises(CouldNotCheckError) as busy:
            server.synchronise(has, **settings)
    assert busy.value.code == "DATABASE_BUSY"
    server.synchronise(has, **settings)
    database.run(f"REVOKE pg_signal_backend FROM {quoted(database.sync)}")
    with database.connect(database.login) as session:
        with pytest.raises(CouldNotCheckError):
            server.synchronise({database.login: frozenset()}, **settings)
        # The membership is gone whatever became of the session, and the next run ends it.
        assert database.roles_of(database.login) == {MARK}
        session.execute("SELECT 1")
        database.run(f"GRANT pg_signal_backend TO {quoted(database.sync)}")
        assert server.synchronise({database.login: frozenset()}, **settings).ended == 1
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")


def test_session_role_for_one_transaction(database: Database) -> None:
    """A pooled login takes a proved role for one transaction, also when that fails; never one that is not
    proved, and never a powerful one."""
    roles = RoleMap(rows=((APPROVER, (database.approvers,)), (READER, (database.readers,))))
    database.run(f"CREATE ROLE {quoted(database.pool)} LOGIN NOINHERIT")
    for name in (database.approvers, database.readers):
        database.run(f"GRANT {quoted(name)} TO {quoted(database.pool)}")
    with database.connect(database.pool) as connection:

        def who() -> str:
            row = connection.execute("SELECT current_user").fetchone()
            assert row is not None
            return str(row[0])

        with session_role(connection, database.approvers, proved={APPROVER}, roles=roles):
            assert who() == database.approvers
        assert who() == database.pool
        with (
            pytest.raises(ZeroDivisionError),
            session_role(connection, database.approvers, proved={APPROVER}, roles=roles),
        ):
            raise ZeroDivisionError
        assert who() == database.pool
        for proved in ({READER}, set[str]()):
            with (
                pytest.raises(RefusedError) as caught,
                session_role(connection, database.approvers, proved=proved, roles=roles),
            ):
                pytest.fail("let in")
            assert caught.value.code == "SESSION_ROLE"
        database.run(f"ALTER ROLE {quoted(database.readers)} REPLICATION")
        with (
            pytest.raises(RefusedError) as caught,
            session_role(connection, database.readers, proved={READER}, roles=roles),
        ):
            pytest.fail("let in")
        assert caught.value.code == "SESSION_ROLE_POWERFUL"


def test_the_example_for_the_administrator_runs(database: Database) -> None:
    """deploy/enforce/postgresql.sql on a server that has nothing yet; taken back at the end."""
    text = (Path(__file__).parents[3] / "deploy" / "enforce" / "postgresql.sql").read_text()
    with database.admin.transaction(force_rollback=True):
        database.run(f"ALTER ROLE {MARK} RENAME TO onecert_elsewhere")
        database.run(text)
        assert database.roles_of("tax_approver") == database.roles_of("tax_reader") == {MARK}
        assert database.roles_of("onecert_enforce") == {"pg_signal_backend"}
