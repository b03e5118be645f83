"""The processes on one database: who lives, who is gone, and how soon the others know."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from onecert.server.clock import FixedClock
from onecert.server.database import Database, migrate
from onecert.server.errors import DatabaseUnavailableError
from onecert.server.processes import Alone, Processes

T = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(T)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    migrate(made, "onecert.server.migrations")
    yield made
    made.close()


@pytest.fixture
def make(database: Database, clock: FixedClock, tmp_path: Path) -> Iterator[Callable[[], Processes]]:
    """A process that shows its sign of life, as far as the others can tell."""
    made: list[Processes] = []

    def begin() -> Processes:
        made.append(Processes(database, clock, tmp_path, version="1.2"))
        made[-1].begin()
        return made[-1]

    yield begin
    for each in made:
        each.close()


def test_each_sees_the_others(make: Callable[[], Processes], clock: FixedClock) -> None:
    one, two = make(), make()
    one.register("service")
    clock.advance(SECOND)
    two.register("worker")
    found = two.everyone()
    assert [(each.id, each.role, each.state, each.version) for each in found] == [
        (one.own, "service", "running", "1.2"),
        (two.own, "worker", "running", "1.2"),
    ]
    assert found[0].started_at == T
    one.stopping()
    assert [each.state for each in two.everyone()] == ["stopping", "running"]
    one.close()
    assert [each.id for each in two.everyone()] == [two.own]


def test_who_left_is_not_living(make: Callable[[], Processes]) -> None:
    """A command stands in no table; its lock alone says that it lives."""
    one, two = make(), make()
    assert two.is_living(one.own)
    one.close()
    assert not two.is_living(one.own)
    assert not two.is_living("0" * 16)
    assert not two.is_living("../../etc/passwd")


def test_who_was_not_seen_for_long_is_not_living(make: Callable[[], Processes], clock: FixedClock) -> None:
    """A machine without power: its lock stands until the database notices, which may take hours."""
    one, two = make(), make()
    one.register("service")
    clock.advance(31 * SECOND)
    assert not two.is_living(one.own)
    one.beat()
    assert two.is_living(one.own)


def test_gone_is_told_for_a_day(make: Callable[[], Processes], clock: FixedClock) -> None:
    one, two = make(), make()
    one.register("service")
    clock.advance(60 * SECOND)
    two.register("service")
    assert [each.state for each in two.everyone()] == ["gone", "running"]
    clock.advance(timedelta(days=1, seconds=1))
    make().register("worker")
    assert [each.role for each in two.everyone()] == ["worker"]
    two.beat()
    assert len(two.everyone()) == 2


CHILD = """
import sys
from pathlib import Path
from onecert.server.clock import SystemClock
from onecert.server.database import Database
from onecert.server.processes import Processes

url, folder, register = sys.argv[1:]
mine = Processes(Database(url), SystemClock(), Path(folder))
mine.begin()
if register == "yes":
    mine.register("service")
print(mine.own, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("register", ["yes", "no"])
def test_killed_process_is_gone(
    make: Callable[[], Processes],
    clock: FixedClock,
    database_url: str,
    tmp_path: Path,
    register: str,
    eventually: Callable[..., Any],
) -> None:
    """kill -9: nobody says anything, and its lock is free at once."""
    clock.set(datetime.now(UTC))
    mine = make()
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, database_url, str(tmp_path), register],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        other = child.stdout.readline().strip()
        assert mine.is_living(other)
        child.kill()
        child.wait()
    # After what the child noted by the real clock, however long it took to start.
    clock.set(datetime.now(UTC) + 6 * SECOND)
    # The server lets go the lock when it has seen the end of the connection.
    eventually(lambda: not mine.is_living(other))


@pytest.mark.postgres
def test_living_after_a_restart_of_the_database(
    postgresql_url: str, postgresql_server: Path, clock: FixedClock, tmp_path: Path
) -> None:
    """The server ends all connections, and with them the locks: who was just seen still counts as living."""
    database = Database(postgresql_url)
    migrate(database, "onecert.server.migrations")
    one, two = (Processes(database, clock, tmp_path) for _ in range(2))
    one.register("service")
    where = {"host": str(postgresql_server), "user": "tester", "dbname": "postgres"}
    with psycopg.connect(**where, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
            " AND pid <> pg_backend_pid()"
        )
    assert two.is_living(one.own)
    clock.advance(4 * SECOND)
    one.beat()
    clock.advance(8 * SECOND)
    assert two.is_living(one.own)  # by its lock, taken again
    for each in (one, two):
        each.close()
    database.close()


def test_database_that_is_away(tmp_path: Path) -> None:
    away = Database(f"postgresql+psycopg://nobody@/nothing?host={tmp_path}")
    with pytest.raises(DatabaseUnavailableError):
        Processes(away, FixedClock(T), tmp_path).begin()
    away.close()


def test_alone_there_is_nobody_else() -> None:
    assert not Alone().is_living("0" * 16)
