"""Programs of two versions on one database: which of them may go on after the newer one has migrated it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from onecert.server.database import Database, migrate
from onecert.server.errors import DatabaseNewerError
from onecert.server.migrations.run import current_revisions, oldest_code

SERVER = "onecert.server.migrations"
HEAD = "import sqlalchemy as sa\nfrom alembic import op\nrevision = {!r}\ndown_revision = {!r}\n"
MAKE = 'def upgrade():\n    op.create_table("things", sa.Column("id", sa.Integer))\n'
ADD = 'def upgrade():\n    op.add_column("things", sa.Column("{}", sa.Integer, nullable=True))\n'


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``program("old", "")`` is the package of a program whose migrations each say the given lines more."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, *said: str) -> str:
        # The second part of the name is the member's, and names its version table.
        versions = tmp_path / f"program_{name}" / "shop" / "migrations" / "versions"
        versions.mkdir(parents=True)
        (versions.parent / "__init__.py").touch()
        before = None
        for number, lines in enumerate(said, 1):
            revision = f"{number:04d}"
            act = MAKE if number == 1 else ADD.format(f"column_{number}")
            (versions / f"{revision}.py").write_text(HEAD.format(revision, before) + lines + "\n" + act)
            before = revision
        return f"program_{name}.shop.migrations"

    return make


def test_older_program_goes_on_when_the_newer_says_so(database_url: str, program: Callable[..., str]) -> None:
    old, new = program("old", ""), program("new", "", 'compatible_with = "0001"')
    database = Database(database_url)
    migrate(database, SERVER, old)
    migrate(database, SERVER, new)
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO things (id) VALUES (1)"))
    migrate(database, SERVER, old)
    assert current_revisions(database, [new]) == {new: "0002"}
    database.close()


def test_older_program_is_stopped_when_the_newer_says_nothing(
    database_url: str, program: Callable[..., str]
) -> None:
    old, new = program("old", ""), program("new", "", "")
    database = Database(database_url)
    migrate(database, SERVER, new)
    with pytest.raises(DatabaseNewerError) as caught:
        migrate(database, SERVER, old)
    assert caught.value.facts["revision"] == "0002"
    database.close()


def test_what_any_migration_needs_all_later_ones_need(database_url: str, program: Callable[..., str]) -> None:
    """The third is compatible with the first by its own words, but the second was not."""
    oldest, middle = program("oldest", ""), program("middle", "", "")
    new = program("new", "", "", 'compatible_with = "0001"')
    assert oldest_code(new) == "0002"
    database = Database(database_url)
    migrate(database, SERVER, new)
    migrate(database, SERVER, middle)
    with pytest.raises(DatabaseNewerError):
        migrate(database, SERVER, oldest)
    database.close()


@pytest.mark.postgres
def test_migration_gives_way_to_those_who_work(
    postgresql_url: str, program: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody holds the table: the migration lets everybody else pass and tries again."""
    old, new = program("old", ""), program("new", "", 'compatible_with = "0001"')
    monkeypatch.setattr("onecert.server.migrations.run._TABLE_LOCK_TIMEOUT_MS", 20)
    database = Database(postgresql_url)
    migrate(database, SERVER, old)
    holding = database.own_connection()
    holding.exec_driver_sql("BEGIN")
    holding.exec_driver_sql("SELECT * FROM things")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        with database.transaction() as connection:
            connection.execute(text("INSERT INTO things (id) VALUES (1)"))  # nobody waits in the meantime
        if len(pauses) == 2:
            holding.exec_driver_sql("COMMIT")
        pauses.append(seconds)

    monkeypatch.setattr("onecert.server.migrations.run.time.sleep", pause)
    migrate(database, SERVER, new)
    assert len(pauses) == 3
    assert current_revisions(database, [new]) == {new: "0002"}
    holding.close()
    database.close()
