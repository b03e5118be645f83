"""A service's database in a backup: SQLite as a file, PostgreSQL as rows that any later version takes back.

SQLite's online backup copies one consistent state while others write. Of PostgreSQL, one REPEATABLE READ
transaction writes each table with COPY; the tables themselves are made anew by our own migrations, at the
revision that is noted, so that a dump needs no program of PostgreSQL's, no particular version of the server
and no rights beyond the service's own.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, select, text

from onecert.server.audit.heads import find_newest_head
from onecert.server.backup.errors import BackupMalformedError, RestoreTargetError
from onecert.server.database import Database
from onecert.server.migrations.run import current_revisions, make_tables, version_table
from onecert.server.models import audit_chain, audit_heads, jobs, processes

__all__ = ["DatabaseCopy", "copy_database", "drop_schema", "load_rows", "settle", "standing"]

_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname
"""
_PARTITIONS = """
SELECT c.relname, p.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_inherits i ON i.inhrelid = c.oid
JOIN pg_class p ON p.oid = i.inhparent
WHERE n.nspname = current_schema() AND c.relispartition ORDER BY c.oid
"""
_COLUMNS = """
SELECT a.attname FROM pg_attribute a WHERE a.attrelid = %s::regclass
AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum
"""
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class DatabaseCopy:
    """What was copied: files by the name of their part, and what the manifest says about them."""

    files: Mapping[str, Path]
    facts: Mapping[str, Any]


def standing(database: Database) -> dict[str, Any]:
    """Where the audit trail of a database ends, and how far it is signed."""
    with database.reading() as connection:
        return _audit(connection)


def copy_database(database: Database, packages: Sequence[str], folder: Path) -> DatabaseCopy:
    """Copy one consistent state of a database into a folder.

    Raises:
        DatabaseUnavailableError
    """
    if database.path is not None:
        target = folder / "database.sqlite"
        with database.reading():
            pass  # the file is there, is ours, and can be read
        with database.translated():
            _copy_sqlite(database.path, target)
        copied = Database(f"sqlite:///{target}")
        try:
            facts = _facts(copied, packages)
        finally:
            copied.close()
            _leave_wal_mode(target)
        return DatabaseCopy(files={"database.sqlite": target}, facts=facts)
    files: dict[str, Path] = {}
    with database.reading() as connection:
        rows = connection.exec_driver_sql(_TABLES).scalars().all()
        versions = {version_table(package) for package in packages}
        tables = {
            name: list(connection.exec_driver_sql(_COLUMNS, (_quoted(name),)).scalars())
            for name in rows
            if name not in versions
        }
        for name, columns in tables.items():
            files[f"tables/{name}"] = folder / name
            query = f"SELECT {', '.join(map(_quoted, columns))} FROM {_quoted(name)}"  # noqa: S608 - our names
            with (
                _cursor(connection).copy(f"COPY ({query}) TO STDOUT") as rows_out,
                (folder / name).open("wb") as file,
            ):
                for block in rows_out:
                    file.write(block)
        partitions = [list(row) for row in connection.exec_driver_sql(_PARTITIONS)]
        facts = {
            "engine": "postgresql",
            "tables": tables,
            "partitions": partitions,
            "audit": _audit(connection),
        }
    return DatabaseCopy(files=files, facts=facts | {"revisions": current_revisions(database, packages)})


def load_rows(
    database: Database, facts: Mapping[str, Any], file_of: Callable[[str], Path], *, place: str
) -> None:
    """Make the tables in an empty schema and fill them: all of it or nothing but empty tables.

    Raises:
        RestoreTargetError: there are tables.
        DatabaseNewerError: a newer program has made the backup.
        DatabaseUnavailableError
    """
    with database.reading() as connection:
        there = connection.exec_driver_sql(_TABLES).scalars().first()
    if there is not None:
        raise RestoreTargetError(place, str(there))
    make_tables(database, facts["revisions"])
    with database.transaction() as connection:
        for name, parent, bound in facts["partitions"]:
            connection.exec_driver_sql(
                f"CREATE TABLE IF NOT EXISTS {_quoted(name)} PARTITION OF {_quoted(parent)} {bound}"
            )
        for name, columns in facts["tables"].items():
            # Rows that a migration has made are in the copy, too.
            connection.exec_driver_sql(f"DELETE FROM {_quoted(name)}")  # noqa: S608 - the manifest is signed
            into = f"COPY {_quoted(name)} ({', '.join(map(_quoted, columns))}) FROM STDIN"
            with _cursor(connection).copy(into) as rows_in, file_of(f"tables/{name}").open("rb") as file:
                while block := file.read(_CHUNK):
                    rows_in.write(block)


def settle(database: Database) -> None:
    """After a restore: nobody holds a lease, and no process of before is alive."""
    with database.transaction() as connection:
        tables = inspect(connection).get_table_names(schema=database.schema)
        if processes.name in tables:
            connection.execute(text("DELETE FROM processes"))
        if jobs.name in tables:
            connection.execute(text("UPDATE jobs SET owner = NULL, lease_until = NULL"))


def drop_schema(database: Database) -> None:
    """Remove a schema that was made for a drill, with everything in it."""
    if database.schema is None or not database.schema.startswith("drill_"):
        raise ValueError("only the schemas of drills are removed")
    with database.transaction() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {_quoted(database.schema)} CASCADE")


def _facts(database: Database, packages: Sequence[str]) -> dict[str, Any]:
    revisions = current_revisions(database, packages)
    return {"engine": "sqlite", "revisions": revisions, "audit": standing(database)}


def _audit(connection: Connection) -> dict[str, Any]:
    chain = connection.execute(select(audit_chain.c.seq, audit_chain.c.hash)).one_or_none()
    if chain is None:
        raise BackupMalformedError("audit_chain")
    newest = select(audit_heads.c.seq, audit_heads.c.hash).order_by(audit_heads.c.seq.desc()).limit(1)
    head = connection.execute(newest).one_or_none()
    document = find_newest_head(connection)
    return {
        "seq": chain.seq,
        "hash": chain.hash,
        "head_seq": head.seq if head is not None else 0,
        "head": document.decode() if document is not None else "",
    }


def _copy_sqlite(source: Path, target: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as reading,
        contextlib.closing(sqlite3.connect(target)) as writing,
    ):
        reading.backup(writing)
    target.chmod(0o600)


def _leave_wal_mode(target: Path) -> None:
    """One file without a log beside it."""
    with contextlib.closing(sqlite3.connect(target)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _cursor(connection: Connection) -> Any:
    return connection.connection.cursor()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
