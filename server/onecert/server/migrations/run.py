"""Runs migrations of several packages in one database, one transaction for all, one process at a time.

Each package has its own chain of revisions and its own version table (``alembic_version_ca``). All of them
run in one transaction on both engines, so a process killed in the middle leaves the old tables.

A rolling restart has programs of two versions on one database. A migration says which older programs may go
on after it: ``compatible_with = "0009"`` in its module names the oldest revision whose program may; one that
says nothing needs its own program. So tables are changed in two releases: the first adds (a column with a
default, a table, an index) and is compatible, the next takes away what no program in use reads any more.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import ColumnElement, Connection, delete, insert, inspect, select

from onecert.server.errors import DatabaseNewerError, DatabaseUnavailableError
from onecert.server.models import schema_compatibility

if TYPE_CHECKING:
    from onecert.server.database import Database

__all__ = ["current_revisions", "head_revision", "is_usable", "make_tables", "oldest_code", "upgrade"]

log = logging.getLogger(__name__)

# Alembic keeps the running migration in module globals, so threads take turns.
_one_at_a_time = threading.Lock()
# Any number will do, as long as nobody else locks the same one in this PostgreSQL database.
_ADVISORY_LOCK = 0x0CE7_0001
# Whoever waits for a table makes everybody behind him wait, so a migration gives way, and tries again.
_TABLE_LOCK_TIMEOUT_MS = 2000
_ATTEMPTS, _PAUSE_S = 30, 1.0


def upgrade(database: Database, packages: Sequence[str]) -> None:
    """Bring every package's tables to its newest revision."""
    scripts = {package: _script_directory(package) for package in packages}
    # Almost every start finds nothing to do; that needs no lock.
    with database.reading() as connection:
        if not _is_schema_missing(database, connection) and all(
            _is_done(connection, package, script) for package, script in scripts.items()
        ):
            return
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _upgrade(database, scripts)
        except DatabaseUnavailableError as exc:
            is_passing = exc.kind in {"locked", "deadlock"} and database.dialect == "postgresql"
            if not is_passing or attempt == _ATTEMPTS:
                raise
            log.warning("a migration gives way and is tried again", extra={"attempt": attempt})
            time.sleep(_PAUSE_S)
        else:
            return


def _upgrade(database: Database, scripts: Mapping[str, ScriptDirectory]) -> None:
    with _one_at_a_time, database.transaction() as connection:
        # On SQLite the transaction itself (BEGIN IMMEDIATE) is the lock between processes.
        if database.dialect == "postgresql":
            connection.exec_driver_sql("SET LOCAL lock_timeout = '120s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_TABLE_LOCK_TIMEOUT_MS}")
            # IF NOT EXISTS alone would refuse a role that may make no schemas, although its schema is there.
            if _is_schema_missing(database, connection):
                connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{database.schema}"')
        for package, script in scripts.items():
            if not _is_done(connection, package, script):
                _upgrade_package(connection, package, script)


def make_tables(database: Database, revisions: Mapping[str, str | None]) -> None:
    """Make the tables of each package as they were at a revision: for rows that were copied then.

    Args:
        revisions: package -> revision; the tables are not there yet.

    Raises:
        DatabaseNewerError: this program does not know such a revision.
    """
    scripts = {package: _script_directory(package) for package in revisions}
    for package, script in scripts.items():
        known = {each.revision for each in script.walk_revisions()}
        if revisions[package] not in known:
            raise DatabaseNewerError(package, str(revisions[package]))
    with _one_at_a_time, database.transaction() as connection:
        if _is_schema_missing(database, connection):
            connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{database.schema}"')
        for package, script in scripts.items():
            _upgrade_package(connection, package, script, to=str(revisions[package]))


def current_revisions(database: Database, packages: Sequence[str]) -> dict[str, str | None]:
    """Return the revision that each package's tables are at; None when they do not exist yet."""
    with database.reading() as connection:
        return {package: _current(connection, package) for package in packages}


def is_usable(database: Database, packages: Sequence[str]) -> bool:
    """Whether the tables are as this program needs them: its own, or a newer program's that says so.

    False: they are older, and wait for a migration.

    Raises:
        DatabaseNewerError: a newer program's, which this one cannot work with.
    """
    with database.reading() as connection:
        # Each is asked: a table that is too new counts for more than one that is old.
        done = [_is_done(connection, package, _script_directory(package)) for package in packages]
        return all(done)


def head_revision(package: str) -> str | None:
    """Return the newest revision that this program knows for the package."""
    return _script_directory(package).get_current_head()


def version_table(package: str) -> str:
    """Return the table that holds the package's revision: onecert.ca.migrations -> alembic_version_ca."""
    return "alembic_version_" + package.split(".")[-2]


def _script_directory(package: str) -> ScriptDirectory:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"{package} is not a package with migrations")
    folder = Path(next(iter(spec.submodule_search_locations)))
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(folder / "versions").replace("%", "%%"))
    return ScriptDirectory.from_config(config)


def _current(connection: Connection, package: str) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": version_table(package)})
    return context.get_current_revision()


def _is_schema_missing(database: Database, connection: Connection) -> bool:
    if database.schema is None:
        return False
    found = connection.exec_driver_sql("SELECT to_regnamespace(%s)", (database.schema,)).scalar()
    return found is None


def _is_done(connection: Connection, package: str, script: ScriptDirectory) -> bool:
    """Whether the tables are as this program needs them: its own, or a newer program's that says so.

    Raises:
        DatabaseNewerError
    """
    current = _current(connection, package)
    if current == script.get_current_head():
        return True
    known = [revision.revision for revision in script.walk_revisions()]
    if current is None or current in known:
        return False
    if _declared(connection, package, current) not in known:
        raise DatabaseNewerError(package, current)
    log.info(
        "a newer program has migrated the database; this one may go on",
        extra={"package": package, "revision": current},
    )
    return True


def oldest_code(package: str) -> str | None:
    """Return the oldest revision whose program may go on with the tables as this program makes them."""
    return _oldest_code(_script_directory(package))


def _oldest_code(script: ScriptDirectory) -> str | None:
    known = [revision.revision for revision in script.walk_revisions()][::-1]
    oldest = 0
    for name in known:
        module = script.get_revision(name).module
        oldest = max(oldest, known.index(getattr(module, "compatible_with", name)))
    return known[oldest] if known else None


def _declared(connection: Connection, package: str, current: str) -> str | None:
    if not inspect(connection).has_table(schema_compatibility.name):
        return None
    query = select(schema_compatibility.c.oldest_code)
    found: str | None = connection.scalar(
        query.where(_of(package), schema_compatibility.c.revision == current)
    )
    return found


def _declare(connection: Connection, package: str, script: ScriptDirectory) -> None:
    if inspect(connection).has_table(schema_compatibility.name):
        connection.execute(delete(schema_compatibility).where(_of(package)))
        row = {
            "package": version_table(package),
            "revision": script.get_current_head(),
            "oldest_code": _oldest_code(script),
        }
        connection.execute(insert(schema_compatibility).values(row))


def _of(package: str) -> ColumnElement[bool]:
    return schema_compatibility.c.package == version_table(package)


def _upgrade_package(
    connection: Connection, package: str, script: ScriptDirectory, *, to: str = "head"
) -> None:
    def steps(revision: object, context: MigrationContext) -> object:
        return script._upgrade_revs(to, revision)  # type: ignore[arg-type]  # as alembic.command does

    environment = EnvironmentContext(Config(), script, fn=steps, destination_rev=to)
    with environment:
        environment.configure(
            connection=connection, version_table=version_table(package), transactional_ddl=True
        )
        with environment.begin_transaction():
            environment.run_migrations()
    _declare(connection, package, script)
