"""The database on both engines: what is kept, what is refused, and what an outage looks like."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

import onecert.server.operators.models  # noqa: F401 - registers its tables
from onecert.server.database import Database, UtcDateTime, migrate
from onecert.server.errors import DatabaseDamagedError, DatabaseNewerError, DatabaseUnavailableError
from onecert.server.migrations.run import current_revisions, head_revision
from onecert.server.models import metadata as server_metadata

SERVER = "onecert.server.migrations"
T = datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC)

metadata = MetaData()
moments = Table("moments", metadata, Column("id", Integer, primary_key=True), Column("at", UtcDateTime))
notes = Table("notes", metadata, Column("id", Integer, primary_key=True), Column("text", String))


@pytest.fixture
def database(database_url: str):
    database = Database(database_url, lock_timeout=timedelta(seconds=1))
    with database.transaction() as connection:
        metadata.create_all(connection)
    yield database
    database.close()


def outage(database: Database, act: Callable[[Connection], None]) -> DatabaseUnavailableError:
    """Do this in a transaction and return the outage that it met."""
    with pytest.raises(DatabaseUnavailableError) as caught, database.transaction() as connection:
        act(connection)
    return caught.value


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as opened:
        while True:
            opened.write(b"x" * 4096)


@pytest.fixture
def sqlite(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path / 'one.db'}", lock_timeout=timedelta(seconds=0.3))
    with database.transaction() as connection:
        metadata.create_all(connection)
    yield database
    database.close()


def test_transaction_is_kept(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(insert(notes).values(id=1, text="kept"))
    with database.reading() as connection:
        assert connection.scalars(select(notes.c.text)).all() == ["kept"]


def test_transaction_that_raises_leaves_nothing(database: Database) -> None:
    def act() -> None:
        with database.transaction() as connection:
            connection.execute(insert(notes).values(id=1, text="lost"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        act()
    with database.reading() as connection:
        assert connection.scalars(select(notes.c.text)).all() == []


def test_constraint_is_the_callers_business(database: Database) -> None:
    """A broken constraint is not an outage: it stays SQLAlchemy's error."""
    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(insert(notes), [{"id": 1}, {"id": 1}])


def test_reading_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseUnavailableError) as caught, database.reading() as connection:
        connection.execute(insert(notes).values(id=1))
    assert caught.value.kind == "read-only"


def test_reading_sees_one_state(database: Database) -> None:
    """What is committed meanwhile does not appear in the middle of a reading."""
    with database.reading() as reader:
        assert reader.scalar(select(notes.c.id)) is None
        with database.transaction() as writer:
            writer.execute(insert(notes).values(id=1))
        assert reader.scalar(select(notes.c.id)) is None


def test_time_keeps_microseconds_and_comes_back_in_utc(database: Database) -> None:
    in_china = T.astimezone(timezone(timedelta(hours=8)))
    with database.transaction() as connection:
        connection.execute(insert(moments), [{"id": 1, "at": in_china}, {"id": 2, "at": None}])
    with database.reading() as connection:
        first, second = connection.scalars(select(moments.c.at).order_by(moments.c.id))
    assert first == T
    assert first.utcoffset() == timedelta(0)
    assert second is None


def test_time_sorts_and_compares_as_time(database: Database) -> None:
    times = [T + timedelta(seconds=step) for step in (5, -3600, 0, 0.000001, 86400 * 400)]
    with database.transaction() as connection:
        connection.execute(insert(moments), [{"id": i, "at": at} for i, at in enumerate(times)])
    with database.reading() as connection:
        assert connection.scalars(select(moments.c.at).order_by(moments.c.at)).all() == sorted(times)
        assert len(connection.scalars(select(moments.c.id).where(moments.c.at > T)).all()) == 3


def test_time_without_zone_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="without a zone"), database.transaction() as connection:
        connection.execute(insert(moments).values(at=datetime(2026, 11, 21)))


def test_writers_in_threads_wait_for_each_other(database_url: str) -> None:
    """8 threads add to one counter 20 times each: nothing is lost and nobody is told that it is locked."""
    database = Database(database_url)
    with database.transaction() as connection:
        metadata.create_all(connection)
        connection.execute(insert(notes).values(id=1, text="0"))
    failures = []

    def count() -> None:
        try:
            for _ in range(20):
                with database.transaction() as connection:
                    value = connection.scalar(select(notes.c.text).where(notes.c.id == 1).with_for_update())
                    connection.execute(notes.update().values(text=str(int(value) + 1)))
        except Exception as exc:
            failures.append(exc)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as connection:
        total = connection.scalar(select(notes.c.text))
    database.close()
    assert failures == []
    assert total == "160"


def test_second_transaction_in_the_same_thread_is_a_mistake(sqlite: Database) -> None:
    with sqlite.transaction(), pytest.raises(RuntimeError, match="already open"), sqlite.transaction():
        pass


# --- outages ---


def test_busy_database_is_unavailable(sqlite: Database, tmp_path: Path) -> None:
    """Another process holds the write lock for longer than we wait."""
    other = sqlite3.connect(tmp_path / "one.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailableError) as caught, sqlite.transaction() as connection:
        connection.execute(insert(notes).values(id=1))
    assert (caught.value.kind, caught.value.status) == ("locked", 503)
    other.execute("ROLLBACK")
    other.close()
    with sqlite.transaction() as connection:
        connection.execute(insert(notes).values(id=1))


def test_busy_thread_is_unavailable(sqlite: Database) -> None:
    """Another thread of this process holds the lock for longer than we wait."""
    begun, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with sqlite.transaction():
            begun.set()
            ended.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait(10)
    with pytest.raises(DatabaseUnavailableError) as caught, sqlite.transaction():
        pass
    ended.set()
    thread.join()
    assert caught.value.kind == "locked"


def test_lock_of_another_connection_on_postgresql(postgresql_url: str) -> None:
    database = Database(postgresql_url, lock_timeout=timedelta(seconds=0.2))
    other = Database(postgresql_url)
    with database.transaction() as connection:
        metadata.create_all(connection)
        connection.execute(insert(notes).values(id=1))
    with other.transaction() as holder:
        holder.execute(select(notes).with_for_update())
        with pytest.raises(DatabaseUnavailableError) as caught, database.transaction() as connection:
            connection.execute(notes.update().values(text="x"))
    assert caught.value.kind == "locked"
    other.close()
    database.close()


def test_full_database_leaves_nothing_half_done(sqlite: Database) -> None:
    """A limit on the file's pages is what SQLite meets on a full disk: the whole transaction is gone."""
    with sqlite.transaction() as connection:
        connection.execute(insert(notes).values(id=1, text="before"))
    with sqlite.transaction() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count={pages + 1}"))

    def act(connection: Connection) -> None:
        connection.execute(insert(notes).values(id=2, text="small"))
        connection.execute(insert(notes).values(id=3, text="x" * 100_000))

    error = outage(sqlite, act)
    assert (error.kind, error.code, error.status) == ("full", "DATABASE_UNAVAILABLE", 503)
    with sqlite.reading() as connection:
        assert connection.scalars(select(notes.c.id)).all() == [1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_full_disk_leaves_nothing_half_done(tmp_path: Path) -> None:
    """A real file system of 512 KiB; there is room again after the other file is removed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], check=False, capture_output=True
    ).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    database = Database(f"sqlite:///{disk / 'one.db'}")
    try:
        with database.transaction() as connection:
            metadata.create_all(connection)
            connection.execute(insert(notes).values(id=1, text="before"))
        filler = disk / "filler"
        fill(filler)
        with pytest.raises(DatabaseUnavailableError) as caught, database.transaction() as connection:
            connection.execute(insert(notes).values(id=2, text="y" * 50_000))
        assert caught.value.kind == "full"
        with database.reading() as connection:
            assert connection.scalars(select(notes.c.id)).all() == [1]
        filler.unlink()
        with database.transaction() as connection:
            connection.execute(insert(notes).values(id=2, text="y" * 50_000))
    finally:
        database.close()
        subprocess.run(["umount", disk], check=True)


def test_removed_file_is_noticed(sqlite: Database, tmp_path: Path) -> None:
    """SQLite would go on writing into the removed file and report success."""
    (tmp_path / "one.db").unlink()
    with pytest.raises(DatabaseUnavailableError) as caught, sqlite.transaction() as connection:
        connection.execute(insert(notes).values(id=1))
    assert caught.value.kind == "gone"
    with pytest.raises(DatabaseUnavailableError):
        sqlite.check()
    assert not (tmp_path / "one.db").exists(), "an empty database must not take its place"


def test_replaced_file_is_noticed(sqlite: Database, tmp_path: Path) -> None:
    file = tmp_path / "one.db"
    shutil.copy(file, tmp_path / "copy.db")
    (tmp_path / "copy.db").replace(file)
    with pytest.raises(DatabaseUnavailableError) as caught, sqlite.transaction():
        pass
    assert caught.value.kind == "gone"


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'nowhere' / 'one.db'}")
    with pytest.raises(DatabaseUnavailableError) as caught:
        migrate(database, SERVER)
    assert caught.value.kind == "gone"


def test_read_only_file(sqlite: Database) -> None:
    """Root may write anywhere, so SQLite itself is told that the file can only be read."""
    with sqlite.transaction() as connection:
        connection.execute(text("PRAGMA query_only=ON"))
    with pytest.raises(DatabaseUnavailableError) as caught, sqlite.transaction() as connection:
        connection.execute(insert(notes).values(id=1))
    assert caught.value.kind == "read-only"


def test_read_only_on_postgresql(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    with database.transaction() as connection:
        metadata.create_all(connection)

    def act(connection: Connection) -> None:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        connection.execute(insert(notes).values(id=1))

    assert outage(database, act).kind == "read-only"
    database.close()


def test_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "one.db").write_bytes(b"this is no database, but it is long enough to be read as one" * 100)
    database = Database(f"sqlite:///{tmp_path / 'one.db'}")
    with pytest.raises(DatabaseDamagedError):
        database.check()


def test_server_that_is_away(tmp_path: Path) -> None:
    database = Database(f"postgresql+psycopg://nobody@/nothing?host={tmp_path}")
    with pytest.raises(DatabaseUnavailableError) as caught:
        database.check()
    assert caught.value.kind == "gone"


def test_lost_connection_and_its_return(postgresql_url: str, postgresql_server: Path) -> None:
    """The server cuts the connection in the middle; the transaction is gone and the next one works."""
    database = Database(postgresql_url)
    with database.transaction() as connection:
        metadata.create_all(connection)

    def act(connection: Connection) -> None:
        connection.execute(insert(notes).values(id=1))
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with psycopg.connect(host=str(postgresql_server), user="tester", dbname="postgres") as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        connection.execute(insert(notes).values(id=2))

    assert outage(database, act).kind == "gone"
    with database.transaction() as connection:
        assert connection.scalars(select(notes.c.id)).all() == []
    database.close()


@pytest.mark.parametrize(
    ("url", "schema"),
    [
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("sqlite:///x.db", "ca"),
        ("mysql://localhost/x", None),
        ("postgresql+psycopg://localhost/x", 'ca"; DROP TABLE x; --'),
    ],
)
def test_url_that_we_do_not_serve(url: str, schema: str | None) -> None:
    with pytest.raises(ValueError, match=r"file|schema|sqlite or postgresql"):
        Database(url, schema=schema)


def test_sqlite_is_durable(sqlite: Database) -> None:
    with sqlite.transaction() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL


# --- migrations ---


def test_migrations_make_what_the_models_say(database_url: str) -> None:
    database = Database(database_url)
    migrate(database, SERVER)
    with database.reading() as connection:
        options = {
            "compare_type": False,
            "include_object": lambda *a: not str(a[1]).startswith("alembic_version"),
        }
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), server_metadata)
    database.close()
    assert differences == []


def test_migrate_again_does_nothing(database_url: str) -> None:
    database = Database(database_url)
    migrate(database, SERVER)
    migrate(database, SERVER)
    assert current_revisions(database, [SERVER]) == {SERVER: head_revision(SERVER)}
    database.close()


def test_schema_of_its_own_on_postgresql(postgresql_url: str) -> None:
    """Two services share one PostgreSQL database and see only their own tables."""
    one, two = Database(postgresql_url, schema="test_one"), Database(postgresql_url, schema="test_two")
    migrate(one, SERVER)
    migrate(two, SERVER)
    with one.transaction() as connection:
        connection.execute(text("UPDATE audit_chain SET seq = 7"))
    with two.reading() as connection:
        assert connection.execute(text("SELECT seq FROM audit_chain")).scalar_one() == 0
    for database in (one, two):
        with database.transaction() as connection:
            connection.execute(text(f"DROP SCHEMA {database.schema} CASCADE"))
        database.close()


def test_database_of_a_newer_program_is_left_alone(database_url: str) -> None:
    database = Database(database_url)
    migrate(database, SERVER)
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version_server SET version_num = '9999'"))
    with pytest.raises(DatabaseNewerError) as caught:
        migrate(database, SERVER)
    assert caught.value.facts["revision"] == "9999"
    database.close()


def test_failed_migration_leaves_the_old_tables(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member's second migration breaks after its first statement; neither it nor the first is kept."""
    versions = tmp_path / "broken" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions.parent / "__init__.py").touch()
    head = 'import sqlalchemy as sa\nfrom alembic import op\nrevision = "{}"\ndown_revision = {!r}\n'
    table = 'def upgrade():\n    op.create_table("{}", sa.Column("id", sa.Integer))\n'
    (versions / "0001_a.py").write_text(head.format("0001", None) + table.format("first"))
    (versions / "0002_b.py").write_text(head.format("0002", "0001") + table.format("second") + "    1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    database = Database(database_url)
    with pytest.raises(ZeroDivisionError):
        migrate(database, SERVER, "broken.migrations")
    with database.reading() as connection:
        assert inspect(connection).get_table_names() == []
    database.close()


MIGRATE_IN_PROCESS = """
import sys
from sqlalchemy import text
from onecert.server.database import Database, migrate

url, schema = sys.argv[1:]
database = Database(url, schema=schema or None)
print("loaded", flush=True)
sys.stdin.readline()
migrate(database, "onecert.server.migrations")
with database.transaction() as connection:
    connection.execute(text("UPDATE audit_chain SET seq = seq + 1"))
database.close()
"""


@pytest.mark.parametrize("schema", [None, "made_at_once"])
def test_processes_that_migrate_at_once(database_url: str, schema: str | None) -> None:
    """Four processes start on an empty database; each finds its tables, and they were made once."""
    if schema is not None and database_url.startswith("sqlite"):
        pytest.skip("SQLite has no schemas")
    command = [sys.executable, "-c", MIGRATE_IN_PROCESS, database_url, schema or ""]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "loaded\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    database = Database(database_url, schema=schema)
    with database.transaction() as connection:
        assert connection.execute(text("SELECT seq FROM audit_chain")).scalar_one() == 4
        if schema is not None:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    database.close()
