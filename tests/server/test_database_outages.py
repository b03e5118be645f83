"""PostgreSQL in trouble: a clear 503 each time, and work again by itself when the trouble is over."""

import os
import shutil
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from onecert.server.database import Database, migrate, wait_until_ready
from onecert.server.errors import DatabaseUnavailableError

pytestmark = pytest.mark.postgres


@pytest.fixture
def admin(postgresql_server: Path) -> Iterator[psycopg.Connection]:
    where = {"host": str(postgresql_server), "user": "tester", "dbname": "postgres"}
    with psycopg.connect(**where, autocommit=True) as connection:
        yield connection


@pytest.fixture
def own(admin: psycopg.Connection, postgresql_server: Path) -> Iterator[tuple[str, Database]]:
    """A PostgreSQL database of one's own, by name and opened."""
    name = f"outage_{uuid.uuid4().hex[:8]}"
    admin.execute(f"CREATE DATABASE {name}")
    url = f"postgresql+psycopg://tester@/{name}?host={postgresql_server}"
    database = Database(url, lock_timeout=timedelta(milliseconds=200))
    migrate(database, "onecert.server.migrations")
    yield name, database
    database.close()
    admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def write(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("UPDATE audit_chain SET seq = seq + 1"))


def seq(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(text("SELECT seq FROM audit_chain")).scalar_one())


def test_server_that_is_restarted(own: tuple[str, Database], admin: psycopg.Connection) -> None:
    """All connections end, for a while there are no new ones, then there are."""
    name, database = own
    admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,))
    for act in (lambda: write(database), lambda: seq(database), lambda: database.lookup("SELECT 1", [])):
        with pytest.raises(DatabaseUnavailableError) as caught:
            act()
        assert (caught.value.code, caught.value.status) == ("DATABASE_UNAVAILABLE", 503)
    admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    write(database)
    assert seq(database) == 1
    assert database.lookup("SELECT 1", []) == (1,)


def test_server_that_ends_in_the_middle_of_a_transaction(
    own: tuple[str, Database], admin: psycopg.Connection
) -> None:
    """What was not committed is not there; the next one works."""
    name, database = own
    with pytest.raises(DatabaseUnavailableError), database.transaction() as connection:  # noqa: PT012
        connection.execute(text("UPDATE audit_chain SET seq = 99"))
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        connection.execute(text("UPDATE audit_chain SET seq = 100"))
    assert seq(database) == 0
    write(database)
    assert seq(database) == 1


def test_all_connections_of_the_process_are_in_use(own: tuple[str, Database]) -> None:
    """More threads than connections, and those that have one do not let it go: busy, not a hang."""
    _name, database = own
    held, may_go = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        with database.reading():
            held.release()
            may_go.wait(30)

    threads = [threading.Thread(target=hold) for _ in range(30)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert held.acquire(timeout=30)
    with pytest.raises(DatabaseUnavailableError) as caught:
        write(database)
    assert caught.value.kind == "locked"
    may_go.set()
    for thread in threads:
        thread.join()
    write(database)
    assert seq(database) == 1


def test_no_connection_is_left_at_the_server(
    own: tuple[str, Database], admin: psycopg.Connection, postgresql_server: Path
) -> None:
    """max_connections of the server, or of the role, are taken by others."""
    name, _database = own
    role = f"few_{uuid.uuid4().hex[:8]}"
    admin.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    where = {"host": str(postgresql_server), "user": role, "dbname": name}
    database = Database(f"postgresql+psycopg://{role}@/{name}?host={postgresql_server}")
    try:
        with psycopg.connect(**where), pytest.raises(DatabaseUnavailableError):
            database.check()
        database.check()
    finally:
        database.close()
        admin.execute(f"DROP ROLE {role}")


@pytest.fixture
def standby(
    own: tuple[str, Database], postgresql_server: Path, as_postgresql_user: Callable[[list[str]], list[str]]
) -> Iterator[Path]:
    """The socket folder of a hot standby of the tests' server."""
    programs = next(Path("/usr/lib/postgresql").glob("*/bin"))
    # Beside the first one's data, in a folder of the same user.
    folder = postgresql_server / f"standby-{uuid.uuid4().hex[:6]}"
    copy = [str(programs / "pg_basebackup"), "-h", str(postgresql_server), "-U", "tester", "-D", str(folder)]
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(postgresql_server)}
    quick = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
    subprocess.run(as_postgresql_user([*copy, *quick]), check=True, env=environ, cwd=postgresql_server)
    options = [
        "--max_connections=200",
        "--listen_addresses=",
        f"--unix_socket_directories={folder}",
        "--fsync=off",
    ]
    with (postgresql_server / "standby.log").open("wb") as log:
        server = subprocess.Popen(
            as_postgresql_user([str(programs / "postgres"), "-D", str(folder), *options]),
            env=environ, cwd=postgresql_server, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        database = Database(f"postgresql+psycopg://tester@/{own[0]}?host={folder}")
        wait_until_ready(database, patience=timedelta(seconds=30))
        database.close()
        yield folder
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def test_standby_that_takes_no_writes(own: tuple[str, Database], standby: Path) -> None:
    """After a switch-over to a server that is not yet the first: reading goes on, writing says why not."""
    database = Database(f"postgresql+psycopg://tester@/{own[0]}?host={standby}")
    for _again in range(2):
        assert seq(database) == 0
        assert database.lookup("SELECT 1", []) == (1,)
        with pytest.raises(DatabaseUnavailableError) as caught:
            write(database)
        assert caught.value.kind == "read-only"
    database.close()


def test_row_that_another_process_holds(own: tuple[str, Database], postgresql_server: Path) -> None:
    """lock_timeout: busy after a while, and work again once it is let go."""
    name, database = own
    with psycopg.connect(host=str(postgresql_server), user="tester", dbname=name) as other:
        other.execute("UPDATE audit_chain SET seq = 0")
        with pytest.raises(DatabaseUnavailableError) as caught:
            write(database)
        assert caught.value.kind == "locked"
        other.rollback()
    write(database)
    assert seq(database) == 1
