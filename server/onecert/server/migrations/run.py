"""Runs migrations of several packages in one database, one transaction for all, one process at a time.

Each package has its own chain of revisions and its own version table (``alembic_version_ca``). All of them
run in one transaction on both engines, so a process killed in the middle leaves the old tables.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from onecert.server.errors import DatabaseNewerError

if TYPE_CHECKING:
    from onecert.server.database import Database

__all__ = ["current_revisions", "head_revision", "upgrade"]

# Alembic keeps the running migration in module globals, so threads take turns.
_one_at_a_time = threading.Lock()
# Any number will do, as long as nobody else locks the same one in this PostgreSQL database.
_ADVISORY_LOCK = 0x0CE7_0001


def upgrade(database: Database, packages: Sequence[str]) -> None:
    """Bring every package's tables to its newest revision."""
    scripts = {package: _script_directory(package) for package in packages}
    # Almost every start finds nothing to do; that needs no lock.
    with database.reading() as connection:
        if not _is_schema_missing(database, connection) and all(
            _current(connection, package) == script.get_current_head() for package, script in scripts.items()
        ):
            return
    with _one_at_a_time, database.transaction() as connection:
        # On SQLite the transaction itself (BEGIN IMMEDIATE) is the lock between processes.
        if database.dialect == "postgresql":
            connection.exec_driver_sql("SET LOCAL lock_timeout = '120s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            # IF NOT EXISTS alone would refuse a role that may make no schemas, although its schema is there.
            if _is_schema_missing(database, connection):
                connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{database.schema}"')
        for package, script in scripts.items():
            _upgrade_package(connection, package, script)


def current_revisions(database: Database, packages: Sequence[str]) -> dict[str, str | None]:
    """Return the revision that each package's tables are at; None when they do not exist yet."""
    with database.reading() as connection:
        return {package: _current(connection, package) for package in packages}


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


def _upgrade_package(connection: Connection, package: str, script: ScriptDirectory) -> None:
    current = _current(connection, package)
    if current is not None:
        try:
            script.get_revision(current)
        except CommandError as exc:
            raise DatabaseNewerError(package, current) from exc

    def steps(revision: object, context: MigrationContext) -> object:
        return script._upgrade_revs("head", revision)  # type: ignore[arg-type]  # as alembic.command does

    environment = EnvironmentContext(Config(), script, fn=steps, destination_rev="head")
    with environment:
        environment.configure(
            connection=connection, version_table=version_table(package), transactional_ddl=True
        )
        with environment.begin_transaction():
            environment.run_migrations()
