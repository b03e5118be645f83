"""Leased jobs: each slot runs once among many instances, also when one dies in the middle."""

import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from onecert.server import metrics
from onecert.server.clock import FixedClock, SystemClock
from onecert.server.database import Database, migrate
from onecert.server.errors import DatabaseUnavailableError, ServiceError
from onecert.server.jobs import Job, JobRunner
from onecert.server.models import jobs as jobs_table

T = datetime(2026, 11, 21, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def database(database_url: str):
    database = Database(database_url)
    migrate(database, "onecert.server.migrations")
    yield database
    database.close()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(T)


def row(database: Database):
    with database.reading() as connection:
        return connection.execute(select(jobs_table)).one()


def test_slots_follow_each_other(database: Database, clock: FixedClock) -> None:
    slots: list[datetime] = []
    runner = JobRunner(database, clock, [Job("crl", MINUTE, slots.append)])
    assert [runner.run_due(), runner.run_due()] == [1, 0]
    clock.advance(timedelta(seconds=59))
    assert runner.run_due() == 0
    clock.advance(timedelta(seconds=1))
    assert runner.run_due() == 1
    assert slots == [T, T + MINUTE]
    assert (row(database).runs, row(database).last_success) == (2, T + MINUTE)


def test_newest_of_the_missed_slots_runs(database: Database, clock: FixedClock) -> None:
    """Everything was down for 10 minutes and 30 seconds: one run, for the slot of minute 10."""
    slots: list[datetime] = []
    runner = JobRunner(database, clock, [Job("crl", MINUTE, slots.append)])
    runner.run_due()
    clock.advance(timedelta(minutes=10, seconds=30))
    assert [runner.run_due(), runner.run_due()] == [1, 0]
    assert slots == [T, T + 10 * MINUTE]
    clock.advance(timedelta(seconds=30))
    runner.run_due()
    assert slots[-1] == T + 11 * MINUTE


def test_two_instances_share_the_slots(database: Database, clock: FixedClock) -> None:
    slots: list[datetime] = []
    runners = [JobRunner(database, clock, [Job("crl", MINUTE, slots.append)]) for _ in range(2)]
    for _ in range(5):
        assert sum(runner.run_due() for runner in runners) == 1
        clock.advance(MINUTE)
    assert slots == [T + n * MINUTE for n in range(5)]


def test_failed_job_is_tried_again_soon_then_slower(database: Database, clock: FixedClock) -> None:
    """It fails three times: again after 5, 10 and 20 s, with the same slot, and never stops the others."""
    slots: list[datetime] = []

    def work(at: datetime) -> None:
        slots.append(at)
        if len(slots) <= 3:
            raise ServiceError("TOKEN_GONE", status=503, text="the token is gone")

    other: list[datetime] = []
    runner = JobRunner(
        database,
        clock,
        [Job("crl", timedelta(hours=1), work), Job("other", MINUTE, other.append)],
        service="demo",
    )
    before = metrics.job_runs.labels("demo", "crl", "failed")._value.get()
    assert runner.run_due() == 2
    assert len(other) == 1
    for wait_s in (5, 10, 20):
        clock.advance(timedelta(seconds=wait_s - 1))
        assert runner.run_due() == 0
        clock.advance(timedelta(seconds=1))
        assert runner.run_due() == 1
    assert slots == [T] * 4
    assert metrics.job_runs.labels("demo", "crl", "failed")._value.get() - before == 3
    with database.reading() as connection:
        found = connection.execute(select(jobs_table).where(jobs_table.c.name == "crl")).one()
    assert (found.failures, found.last_error, found.due) == (0, None, T + timedelta(hours=1))


def test_failure_is_noted_by_its_code(database: Database, clock: FixedClock) -> None:
    def work(at: datetime) -> None:
        raise KeyError("not for the log: 440300190001010015")

    JobRunner(database, clock, [Job("crl", MINUTE, work)]).run_due()
    assert (row(database).failures, row(database).last_error) == (1, "KeyError")


def test_lease_of_a_dead_owner_runs_out(database: Database, clock: FixedClock) -> None:
    """The first instance claims the slot and dies; the second runs the same slot after the lease."""
    slots: list[datetime] = []
    job = Job("crl", MINUTE, slots.append)
    dead, alive = JobRunner(database, clock, [job]), JobRunner(database, clock, [job])
    assert dead._leases.claim(job.name, job.every) is not None
    assert alive.run_due() == 0
    clock.advance(timedelta(seconds=29))
    assert alive.run_due() == 0
    clock.advance(timedelta(seconds=1))
    assert alive.run_due() == 1
    assert slots == [T]


def test_lease_is_renewed_while_the_work_lasts(database: Database) -> None:
    """Work of 2.5 s under a lease of 1.5 s: nobody else gets the slot meanwhile."""
    running, runs = threading.Event(), []

    def work(at: datetime) -> None:
        runs.append(at)
        running.set()
        time.sleep(2.5)

    lease = timedelta(seconds=1.5)  # renewed in time even where a thread waits long for a processor
    job = Job("crl", timedelta(hours=1), work)
    one = JobRunner(database, SystemClock(), [job], lease=lease)
    two = JobRunner(database, SystemClock(), [job], lease=lease)
    thread = threading.Thread(target=one.run_due)
    thread.start()
    running.wait(5)
    while thread.is_alive():
        assert two.run_due() == 0
        time.sleep(0.05)
    thread.join()
    assert len(runs) == 1
    assert row(database).runs == 1


def test_work_that_outlived_its_lease_does_not_end_the_slot_of_another(
    database: Database, clock: FixedClock
) -> None:
    """The row was taken over by another owner; our late result must not touch it."""
    job = Job("crl", MINUTE, lambda at: None)
    runner = JobRunner(database, clock, [job])
    slot = runner._leases.claim(job.name, job.every)
    assert slot is not None
    with database.transaction() as connection:
        connection.execute(jobs_table.update().values(owner="another"))
    runner._run(job, slot)
    assert (row(database).owner, row(database).due, row(database).runs) == ("another", T, 0)


def test_database_that_is_gone_stops_nothing(tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    """The thread goes on and works again when the database is back."""
    file = tmp_path / "one.db"
    database = Database(f"sqlite:///{file}")
    migrate(database, "onecert.server.migrations")
    ran = threading.Event()
    runner = JobRunner(database, SystemClock(), [Job("crl", timedelta(seconds=1), lambda at: ran.set())])
    file.rename(tmp_path / "away.db")
    with pytest.raises(DatabaseUnavailableError):
        runner.run_due()
    runner.start()
    with pytest.raises(RuntimeError):
        runner.start()
    time.sleep(0.2)
    assert not ran.is_set()
    (tmp_path / "away.db").rename(file)
    assert ran.wait(10)
    runner.stop()
    database.close()
    assert "jobs cannot be claimed" in caplog.text


def test_stop_waits_for_what_runs(database: Database) -> None:
    begun, ended = threading.Event(), threading.Event()

    def work(at: datetime) -> None:
        begun.set()
        time.sleep(0.3)
        ended.set()

    runner = JobRunner(database, SystemClock(), [Job("crl", timedelta(hours=1), work)])
    runner.start()
    assert begun.wait(5)
    runner.stop()
    assert ended.is_set()
    assert row(database).runs == 1


def test_jobs_are_named_once_and_not_too_often(database: Database, clock: FixedClock) -> None:
    job = Job("crl", MINUTE, lambda at: None)
    with pytest.raises(ValueError, match="same name"):
        JobRunner(database, clock, [job, job])
    with pytest.raises(ValueError, match="one second"):
        Job("crl", timedelta(0), lambda at: None)


INSTANCE = """
import sys, time
from datetime import timedelta
from sqlalchemy import text
from onecert.server.clock import SystemClock
from onecert.server.database import Database
from onecert.server.jobs import Job, JobRunner

url, name = sys.argv[1:]
database = Database(url)

def work(job):
    def run(at):
        time.sleep(0.05)
        with database.transaction() as connection:
            connection.execute(
                text("INSERT INTO done (job, slot, owner) VALUES (:job, :slot, :owner)"),
                {"job": job, "slot": at.isoformat(), "owner": name},
            )
    return run

jobs = [Job(f"job-{n}", timedelta(seconds=1), work(f"job-{n}")) for n in range(5)]
runner = JobRunner(database, SystemClock(), jobs, lease=timedelta(seconds=2.5))
print("ready", flush=True)
while True:
    runner.run_due()
    time.sleep(0.02)
"""


def test_four_processes_and_one_killed(database: Database, database_url: str) -> None:
    """4 processes, 5 jobs a second; one is killed while it works. No slot twice, every job goes on."""
    with database.transaction() as connection:
        connection.execute(
            text("CREATE TABLE done (job TEXT, slot TEXT, owner TEXT, PRIMARY KEY (job, slot))")
        )
    processes = [
        subprocess.Popen([sys.executable, "-c", INSTANCE, database_url, str(n)], stdout=subprocess.PIPE)
        for n in range(4)
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == b"ready\n"
        time.sleep(2)
        with database.reading() as connection:
            owner = connection.scalar(text("SELECT owner FROM done ORDER BY slot DESC"))
        victim = processes[int(owner)]
        victim.send_signal(signal.SIGKILL)
        killed = datetime.now(UTC)
        time.sleep(5)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    with database.reading() as connection:
        done = connection.execute(text("SELECT job, slot FROM done")).all()
        failures = connection.execute(text("SELECT sum(failures) FROM jobs")).scalar_one()
    # The primary key would have made a second run of a slot fail, and a failure is counted.
    assert failures == 0
    for number in range(5):
        slots = sorted(datetime.fromisoformat(slot) for job, slot in done if job == f"job-{number}")
        assert len(slots) >= 4
        assert slots[-1] > killed + timedelta(seconds=1), "a job of the killed process never ran again"


def test_one_look_serves_all_jobs(
    database: Database, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance with dozens of jobs asks the database once a round, and runs what is due."""
    ran: list[str] = []
    jobs = [Job(f"job-{n}", n * MINUTE, lambda _at, n=n: ran.append(str(n))) for n in range(1, 25)]
    runner = JobRunner(database, clock, jobs)
    assert runner.run_due() == 24
    clock.advance(2 * MINUTE)
    ran.clear()
    looks: list[None] = []
    reading = Database.reading

    def counted(self: Database):
        looks.append(None)
        return reading(self)

    monkeypatch.setattr(Database, "reading", counted)
    assert runner.run_due() == 2
    assert (ran, len(looks)) == (["1", "2"], 1)
