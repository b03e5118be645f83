"""What a service's record tells about its keeping: backups, drills, audit heads, processes, periodic work."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import select

from onecert.server.audit.heads import oldest_unsigned
from onecert.server.backup.ages import backup_ages
from onecert.server.config import ServerConfig
from onecert.server.doctor.finding import Finding, sound
from onecert.server.languages import format_date, gettext
from onecert.server.members import Context
from onecert.server.models import jobs
from onecert.server.processes import Processes

__all__ = ["look_at_record"]

# A head comes every `audit_head_every`; a restart or a busy token may cost a few of them.
HEADS_MISSED = 10
FAILURES_IN_A_ROW = 3


def look_at_record(
    context: Context, processes: Processes, server: ServerConfig, at: datetime
) -> Iterator[Finding]:
    """Read what the service has on record; its tables are those of this program."""
    yield from _backups(context, server, at)
    yield _audit_head(context, server, at)
    yield from _processes(context.name, processes)
    yield from _jobs(context)


def _backups(context: Context, server: ServerConfig, at: datetime) -> Iterator[Finding]:
    ages = backup_ages(context.database)
    if _is_old(ages.made_at, server.backup_max_age, at):
        yield Finding(
            place=context.name,
            subject="backup",
            code="BACKUP_OLD",
            text=gettext("the newest backup is of %(date)s", date=_date(ages.made_at)),
            hint=gettext("onecert backup create --to DIR, and look why the timer did not"),
        )
    else:
        yield sound(context.name, "backup", _date(ages.made_at))
    failed, drilled = ages.drill_failed_at, ages.drilled_at
    if failed is not None and (drilled is None or failed > drilled):
        yield Finding(
            place=context.name,
            subject="backup-drill",
            code="BACKUP_DRILL_FAILED",
            text=gettext("in the drill of %(date)s the backup did not come back", date=_date(failed)),
            hint=gettext("onecert backup drill FILE says what was wrong; make another backup"),
        )
    elif _is_old(drilled, server.backup_drill_max_age, at):
        yield Finding(
            place=context.name,
            subject="backup-drill",
            code="BACKUP_DRILL_OLD",
            text=gettext("the newest drill in which a backup came back is of %(date)s", date=_date(drilled)),
            hint=gettext("onecert backup drill FILE, with the newest backup"),
        )
    else:
        yield sound(context.name, "backup-drill", _date(drilled))


def _is_old(moment: datetime | None, allowed: timedelta, at: datetime) -> bool:
    return bool(allowed) and (moment is None or moment < at - allowed)


def _date(moment: datetime | None) -> str:
    return gettext("never") if moment is None else format_date(moment)


def _audit_head(context: Context, server: ServerConfig, at: datetime) -> Finding:
    with context.database.reading() as connection:
        since = oldest_unsigned(connection)
    if since is None or since >= at - server.audit_head_every * HEADS_MISSED:
        return sound(context.name, "audit-head")
    return Finding(
        place=context.name,
        subject="audit-head",
        code="AUDIT_HEAD_OLD",
        text=gettext("audit entries since %(moment)s are under no signed head", moment=since.isoformat()),
        hint=gettext("bring the token of the audit key back and let the service run: it signs by itself"),
    )


def _processes(service: str, processes: Processes) -> Iterator[Finding]:
    gone = [each for each in processes.everyone() if each.state == "gone"]
    for each in gone:
        yield Finding(
            place=service,
            subject="processes",
            code="PROCESS_GONE",
            text=gettext(
                "process %(pid)s on %(host)s ended without a word; it was last seen at %(moment)s",
                pid=each.pid,
                host=each.host,
                moment=each.last_seen.isoformat(),
            ),
            hint=gettext("read its log and start it again; a day later nobody is reminded of it any more"),
        )
    if not gone:
        yield sound(service, "processes")


def _jobs(context: Context) -> Iterator[Finding]:
    failing = select(jobs.c.name, jobs.c.failures, jobs.c.last_error).where(
        jobs.c.failures >= FAILURES_IN_A_ROW
    )
    with context.database.reading() as connection:
        rows = connection.execute(failing.order_by(jobs.c.name)).all()
    for row in rows:
        yield Finding(
            place=context.name,
            subject="jobs",
            code="JOB_FAILS",
            text=gettext(
                "the job %(job)s has failed %(failures)s times in a row: %(reason)s",
                job=row.name,
                failures=row.failures,
                reason=row.last_error or "",
            ),
            hint=gettext("mend that; the job is tried again by itself"),
        )
    if not rows:
        yield sound(context.name, "jobs")
