"""One service: its database as it lies there, and what the running service says about itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from onecert.server.config import DatabaseConfig, Settings
from onecert.server.contexts import SERVER_MIGRATIONS, open_database
from onecert.server.database import Database
from onecert.server.doctor.finding import Finding, fault_of, sound
from onecert.server.errors import ServiceError
from onecert.server.languages import current_language, gettext
from onecert.server.members import Member
from onecert.server.migrations.run import current_revisions, head_revision

__all__ = ["look_at_database", "look_at_running"]

# A check of a larger file takes minutes and holds writers up.
CHECKED_WHOLE_MAX_BYTES = 1 << 30


def look_at_database(member: Member, folder: Path, settings: Settings) -> Finding:
    """It can be read, has the tables of this version, and (SQLite, up to 1 GiB) is whole."""
    try:
        database = open_database(
            member.name, folder, settings.section(f"database.{member.name}", DatabaseConfig)
        )
    except ServiceError as exc:
        return fault_of(member.name, "database", exc)
    try:
        return _look(member, database)
    except ServiceError as exc:
        return fault_of(member.name, "database", exc)
    finally:
        database.close()


def _look(member: Member, database: Database) -> Finding:
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
    revisions = current_revisions(database, packages)
    behind = [package for package in packages if revisions[package] != head_revision(package)]
    if behind:
        return Finding(
            place=member.name,
            subject="database",
            code="DATABASE_OTHER_VERSION",
            text=gettext("the tables are of another version than this program"),
            hint=gettext("make a backup, then: onecert database migrate %(service)s", service=member.name),
        )
    if database.path is not None and database.path.stat().st_size <= CHECKED_WHOLE_MAX_BYTES:
        with database.reading() as connection:
            answer = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if answer != "ok":
            return Finding(
                place=member.name,
                subject="database",
                code="DATABASE_DAMAGED",
                text=gettext("the database is damaged: %(reason)s", reason=answer),
                hint=gettext("stop the service, keep a copy of the file, and restore the backup"),
            )
    return sound(member.name, "database")


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
