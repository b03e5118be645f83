"""Looking one row up: the same answers and outages as a transaction, on both engines."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from onecert.server.database import Database
from onecert.server.errors import DatabaseUnavailableError


@pytest.fixture
def database(database_url: str):
    database = Database(database_url)
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY, text VARCHAR)"))
        connection.execute(text("INSERT INTO notes VALUES (1, 'one')"))
    yield database
    database.close()


def test_row_is_found_or_not(database: Database) -> None:
    assert database.lookup("SELECT text FROM notes WHERE id = 1", ()) == ("one",)
    assert database.lookup("SELECT text FROM notes WHERE id = 2", ()) is None


def test_what_was_committed_is_seen_at_once(database: Database) -> None:
    """The connection that looked before the commit sees what it brought."""
    assert database.lookup("SELECT text FROM notes WHERE id = 2", ()) is None
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO notes VALUES (2, 'two')"))
        assert database.lookup("SELECT text FROM notes WHERE id = 2", ()) is None
    assert database.lookup("SELECT text FROM notes WHERE id = 2", ()) == ("two",)


def test_many_threads_look_at_once(database: Database) -> None:
    found = []

    def look() -> None:
        found.extend(database.lookup("SELECT id FROM notes", ()) for _ in range(50))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(1,)] * 400


def test_closed_database_opens_again(database: Database) -> None:
    database.lookup("SELECT id FROM notes", ())
    database.close()
    assert database.lookup("SELECT id FROM notes", ()) == (1,)


def test_sqlite_cannot_be_written_by_it(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'one.db'}")
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY)"))
    with pytest.raises(DatabaseUnavailableError) as caught:
        database.lookup("INSERT INTO notes VALUES (1)", ())
    assert caught.value.kind == "read-only"
    database.close()


def test_file_that_is_gone_is_an_outage(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'one.db'}")
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY)"))
    assert database.path is not None
    database.path.rename(tmp_path / "away.db")
    with pytest.raises(DatabaseUnavailableError):
        database.lookup("SELECT id FROM notes", ())
    database.close()
