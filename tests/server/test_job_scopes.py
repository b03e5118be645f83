"""Jobs that are not for one of all processes: for each folder, for each process, for whoever works."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from onecert.server.clock import FixedClock
from onecert.server.database import Database, migrate
from onecert.server.jobs import Job, JobRunner, Scope

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'test.db'}")
    migrate(made, "onecert.server.migrations")
    yield made
    made.close()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(T)


def test_every_process_has_its_own_slots(database: Database, clock: FixedClock) -> None:
    """What is for each process does not take turns; what is for one of them does."""
    ran: list[str] = []

    def note(what: str, _at: datetime) -> None:
        ran.append(what)

    runners = [
        JobRunner(
            database,
            clock,
            [
                Job("reload", MINUTE, partial(note, f"reload {name}"), Scope.PROCESS),
                Job("crl", MINUTE, lambda _at: ran.append("crl")),
            ],
        )
        for name in ("one", "two")
    ]
    assert [runner.run_due() for runner in runners] == [2, 1]
    assert [runner.run_due() for runner in runners] == [0, 0]
    clock.advance(MINUTE)
    assert [runner.run_due() for runner in runners] == [2, 1]
    assert sorted(ran) == sorted(["reload one", "reload two", "crl"] * 2)


def test_work_for_a_folder_is_done_by_one_at_a_time(
    database: Database, clock: FixedClock, tmp_path: Path
) -> None:
    """While one process fills a folder, another one that shares it passes on."""
    ran: list[str] = []
    job = Job("files", MINUTE, lambda _at: ran.append("second"), Scope.FOLDER)
    other = JobRunner(database, clock, [job], folder=tmp_path)

    def first(_at: datetime) -> None:
        ran.append("first")
        other.run_due()

    JobRunner(database, clock, [Job("files", MINUTE, first, Scope.FOLDER)], folder=tmp_path).run_due()
    assert ran == ["first"]
    clock.advance(MINUTE)
    other.run_due()
    assert ran == ["first", "second"]


def test_own_job_that_fails_is_tried_again_soon(database: Database, clock: FixedClock) -> None:
    ran: list[datetime] = []

    def fail_once(at: datetime) -> None:
        ran.append(at)
        if len(ran) == 1:
            raise ValueError("not yet")

    runner = JobRunner(database, clock, [Job("reload", MINUTE, fail_once, Scope.WORKERS)])
    runner.run_due()
    clock.advance(timedelta(seconds=5))
    assert runner.run_due() == 1
    clock.advance(timedelta(seconds=5))
    assert runner.run_due() == 0


def test_clock_that_was_set_back_does_not_stop_own_jobs(database: Database, clock: FixedClock) -> None:
    runner = JobRunner(database, clock, [Job("reload", MINUTE, lambda _at: None, Scope.PROCESS)])
    assert runner.run_due() == 1
    clock.set(T - timedelta(hours=1))
    assert runner.run_due() == 1


def test_process_without_jobs_does_only_what_it_needs_itself(database: Database, clock: FixedClock) -> None:
    """`onecert up --no-jobs`, and `onecert worker --only crl`."""

    def runner(*only: str) -> JobRunner:
        scopes = {"reload": Scope.PROCESS, "files": Scope.FOLDER, "batches": Scope.WORKERS, "crl": Scope.ONE}
        made = JobRunner(
            database, clock, [Job(name, MINUTE, lambda _at: None, scope) for name, scope in scopes.items()]
        )
        made.choose(only)
        return made

    assert runner().names == ["reload", "files"]
    assert runner("crl").names == ["reload", "files", "crl"]
    assert runner("cr", "crl.new").names == ["reload", "files"]


def test_a_worker_takes_jobs_by_what_their_names_begin_with(database: Database, clock: FixedClock) -> None:
    names = ["ca.ocsp", "ca.ocsp.new", "ca.ocsps", "ca.crl"]
    runner = JobRunner(database, clock, [Job(name, MINUTE, lambda _at: None) for name in names])
    runner.choose(["ca.ocsp"])
    assert runner.names == ["ca.ocsp", "ca.ocsp.new"]


def test_leased_job_is_there_from_the_start(database: Database, clock: FixedClock) -> None:
    with pytest.raises(ValueError, match="its row"):
        JobRunner(database, clock, []).add(Job("crl", MINUTE, lambda _at: None))
