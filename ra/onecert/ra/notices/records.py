"""Reading for pages: certificates that end soon with what was told about them, and notices as such."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, exists, select, tuple_

from onecert.ra.models import applications, certificates
from onecert.ra.notices.facts import ENDED
from onecert.ra.notices.tables import notices
from onecert.ra.operators.scopes import Scope

__all__ = ["STATES", "EndingPage", "Notice", "NoticePage", "list_ending", "list_notices"]

STATES = ("waiting", "sent", "failed", "no_address", "needless")
PAGE = 50


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One notice without its address and content."""

    seq: int
    notice: str
    step: int | None
    about: str
    name: str
    state: str
    created_at: datetime
    attempts: int
    next_attempt_at: datetime
    answered_at: datetime | None
    last_error: str | None


@dataclass(frozen=True)
class NoticePage:
    """Newest first; `next` is the cursor of the following page."""

    items: Sequence[Notice]
    next: str | None


@dataclass(frozen=True)
class EndingPage:
    """Certificates by their end, soonest first, each with what was told: {step: state}."""

    items: Sequence[Mapping[str, Any]]
    next: str | None


def list_notices(
    connection: Connection, scope: Scope, *, state: str | None = None, cursor: str | None = None
) -> NoticePage:
    """Those in reach; a cursor that we did not write counts as none."""
    columns = [notices.c[name] for name in Notice.__dataclass_fields__]
    query = select(*columns).where(scope.condition(notices.c))
    if state:
        query = query.where(notices.c.state == state)
    if cursor and cursor.isascii() and cursor.isdigit() and len(cursor) < 18:
        query = query.where(notices.c.seq < int(cursor))
    rows = connection.execute(query.order_by(notices.c.seq.desc()).limit(PAGE + 1)).all()
    items = [Notice(**row._mapping) for row in rows[:PAGE]]
    return NoticePage(items, str(items[-1].seq) if len(rows) > PAGE else None)


def list_ending(
    connection: Connection,
    scope: Scope,
    *,
    at: datetime,
    within: timedelta,
    point: str = "",
    cursor: str | None = None,
) -> EndingPage:
    """Valid certificates that end within this time and that no submitted application follows yet."""
    c, a = certificates.c, applications.c
    renewed = exists().where(
        and_(
            a.follows_authority == c.authority,
            a.follows_serial == c.serial_hex,
            a.follows_serial.is_not(None),
            a.state.not_in(ENDED),
        )
    )
    query = (
        select(c.authority, c.serial_hex, c.kind, c.name, c.point, c.not_after, c.application_id)
        .where(c.not_after > at, c.not_after <= at + within, c.status == "good", scope.condition(c), ~renewed)
        .order_by(c.not_after, c.authority, c.serial_hex)
        .limit(PAGE + 1)
    )
    if point:
        query = query.where(c.point == point)
    if (after := _read_cursor(cursor)) is not None:
        query = query.where(
            c.not_after >= after[0], tuple_(c.not_after, c.authority, c.serial_hex) > tuple_(*after)
        )
    rows = connection.execute(query).mappings().all()
    told: dict[str, dict[int, str]] = defaultdict(dict)
    subjects = [f"certificate:{row['authority']}/{row['serial_hex']}" for row in rows[:PAGE]]
    for notice in connection.execute(
        select(notices.c.about, notices.c.step, notices.c.state).where(
            notices.c.about.in_(subjects), notices.c.step.is_not(None)
        )
    ):
        told[notice.about][notice.step] = notice.state
    items = [{**row, "told": told[subject]} for row, subject in zip(rows, subjects, strict=False)]
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    return EndingPage(
        items,
        f"{last['not_after'].isoformat()}~{last['authority']}~{last['serial_hex']}" if last else None,
    )


def _read_cursor(cursor: str | None) -> tuple[datetime, str, str] | None:
    parts = (cursor or "").split("~")
    try:
        at = datetime.fromisoformat(parts[0])
    except ValueError:
        return None
    if at.tzinfo is None or len(parts) != 3 or "\0" in "".join(parts):
        return None
    return at, parts[1], parts[2]
