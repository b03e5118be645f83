"""One service: its database as it lies there, and what the running service says about itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import inspect

from onecert.server.clock import Clock
from onecert.server.config import DatabaseConfig, ServerConfig, Settings
from onecert.server.contexts import SERVER_MIGRATIONS, context_of, open_database
from onecert.server.database import Database
from onecert.server.doctor.finding import Finding, fault_of, sound
from onecert.server.doctor.record import look_at_record
from onecert.server.errors import ServiceError
from onecert.server.languages import current_language, gettext
from onecert.server.local_client import Peers
from onecert.server.members import Member
from onecert.server.migrations.run import current_revisions, head_revision, is_usable
from onecert.server.processes import Processes

__all__ = ["look_at_database", "look_at_running", "look_at_stored"]

# A check of a larger file takes minutes and holds writers up.
CHECKED_WHOLE_MAX_BYTES = 1 << 30
LAG_MAX_S = 60


def look_at_stored(
    member: Member, data: Path, settings: Settings, *, peers: Peers, clock: Clock, deep: bool = False
) -> Iterator[Finding]:
    """What can be known without the service: its database, its record, what the member looks at."""
    config = settings.section(f"database.{member.name}", DatabaseConfig)
    try:
        database = open_database(member.name, data / member.name, config)
    except ServiceError as exc:
        yield fault_of(member.name, "database", exc)
        return
    subject = "database"
    try:
        found = look_at_database(member, database, deep=deep)
        yield found
        if found.is_fault:
            return
        processes = Processes(database, clock, data / member.name)
        context = context_of(
            member, data, settings, peers=peers, clock=clock, database=database, processes=processes
        )
        yield from look_at_record(context, processes, settings.section("server", ServerConfig), clock.now())
        subject = member.name
        if member.examine is not None:
            yield from member.examine(settings[member.name], context)
    except ServiceError as exc:
        yield fault_of(member.name, subject, exc)
    finally:
        database.close()


def look_at_database(member: Member, database: Database, *, deep: bool = False) -> Finding:
    """It can be read, has tables that this program can work with, and is whole.

    A SQLite file is read whole up to 1 GiB, a larger one and the head of each PostgreSQL table when `deep`.

    Raises:
        ServiceError: what is wrong with it.
    """
    if database.path is not None and not database.path.exists():
        return Finding(
            place=member.name,
            subject="database",
            code="DATABASE_MISSING",
            text=gettext("there is no database %(path)s", path=database.path),
            hint=gettext("start the service to make it; if there was one, restore the backup first"),
        )
    database.check()
    packages = [SERVER_MIGRATIONS, member.migrations]
    if not is_usable(database, packages):
        return Finding(
            place=member.name,
            subject="database",
            code="DATABASE_OTHER_VERSION",
            text=gettext("the tables are of another version than this program"),
            hint=gettext("make a backup, then: onecert database migrate %(service)s", service=member.name),
        )
    revisions = current_revisions(database, packages)
    megabytes = (_size(database) + (1 << 20) - 1) >> 20
    standing = f"{revisions[member.migrations]}, {megabytes} MB"
    if revisions[member.migrations] != head_revision(member.migrations):
        standing += gettext("; migrated by a newer program, with which this one gets along")
    return (
        _lag(member, database) or _damage(member, database, deep) or sound(member.name, "database", standing)
    )


def _size(database: Database) -> int:
    if database.path is not None:
        return database.path.stat().st_size
    with database.reading() as connection:
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())


def _lag(member: Member, database: Database) -> Finding | None:
    """PostgreSQL: a standby that is far behind would lose acts when it takes over."""
    if database.path is not None:
        return None
    with database.reading() as connection:
        # Null for whoever may not see it (role pg_monitor).
        lag = connection.exec_driver_sql(
            "SELECT coalesce(extract(epoch FROM max(replay_lag)), 0) FROM pg_stat_replication"
        ).scalar_one()
    if lag <= LAG_MAX_S:
        return None
    return Finding(
        place=member.name,
        subject="database",
        code="DATABASE_STANDBY_BEHIND",
        text=gettext("a standby of the database is %(seconds)s s behind", seconds=int(lag)),
        hint=gettext("look at its network and disk; do not let it take over before it has caught up"),
    )


def _damage(member: Member, database: Database, deep: bool) -> Finding | None:
    if database.path is None:
        if deep:
            with database.reading() as connection:
                quote = connection.dialect.identifier_preparer.quote
                for table in inspect(connection).get_table_names(schema=database.schema):
                    name = f"{quote(database.schema or 'public')}.{quote(table)}"
                    connection.exec_driver_sql(f"SELECT * FROM {name} LIMIT 1").all()  # noqa: S608 - quoted
        return None
    if not deep and database.path.stat().st_size > CHECKED_WHOLE_MAX_BYTES:
        return None
    with database.reading() as connection:
        answer = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if answer == "ok":
        return None
    return Finding(
        place=member.name,
        subject="database",
        code="DATABASE_DAMAGED",
        text=gettext("the database is damaged: %(reason)s", reason=answer),
        hint=gettext("stop the service, keep a copy of the file, and restore the backup"),
    )


def look_at_running(member: Member, client: httpx.Client) -> Iterator[Finding]:
    """Ask the service what it lacks; token, lists and clock are known to it alone.

    Args:
        client: its relative paths begin at the service.
    """
    place = member.name
    try:
        answer = client.get("readyz", headers={"Accept-Language": current_language()}, timeout=20)
        if answer.status_code == httpx.codes.FORBIDDEN:
            yield Finding(
                place=place,
                subject="running",
                code="NOT_TOLD",
                text=gettext("the service runs, but does not tell this machine how it is"),
                hint=gettext('name this machine, or "unix", in [server] monitors'),
            )
            return
        body: Any = answer.json()
        problems = {each["check"]: each for each in body.get("problems", [])}
        checks = dict(body["checks"])
    except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError, OSError) as exc:
        reason = str(exc)[:200] or type(exc).__name__
        yield Finding(
            place=place,
            subject="running",
            code="NOT_RUNNING",
            text=gettext("the service does not answer (%(reason)s)", reason=reason),
            hint=gettext("start it: onecert up; its own log says why if it does not stay"),
        )
        return
    for name, code in checks.items():
        told = problems.get(name, {})
        text, hint = str(told.get("text", "")), str(told.get("hint", ""))
        yield Finding(place=place, subject=name, code=str(code), text=text, hint=hint)
