"""Reading for pages: certificates that end soon with what was told about them, and notices as such."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, select, true

from onecert.ra.applications.walk import NEWEST, Columns, Order, lanes_of, walk
from onecert.ra.certificates.records import are_at
from onecert.ra.models import applications, certificates
from onecert.ra.notices.facts import ENDED
from onecert.ra.notices.tables import notices
from onecert.ra.operators.scopes import Scope

__all__ = ["STATES", "EndingPage", "Notice", "NoticePage", "list_ending", "list_notices"]

STATES = ("waiting", "sent", "failed", "no_address", "needless")
PAGE = 50
_NEWEST_FIRST = Order((notices.c.seq,), ("state", "point", "authority", "kind"), descending=True)
_BY_END = Order(
    (certificates.c.not_after, certificates.c.authority, certificates.c.serial_hex),
    ("status", "point", "kind"),
)
_AFTER_ALL = "\U0010ffff"  # what ends at this very moment has ended


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
    is_cut: bool = False  # so much was looked at that the page is not full; more may follow


@dataclass(frozen=True)
class EndingPage:
    """Certificates by their end, soonest first, each with what was told: {step: state}."""

    items: Sequence[Mapping[str, Any]]
    next: str | None
    is_cut: bool = False  # so much was looked at that the page is not full; more may follow


def list_notices(
    connection: Connection, scope: Scope, *, state: str | None = None, cursor: str | None = None
) -> NoticePage:
    """Those in reach; a cursor that we did not write counts as none."""
    after = int(cursor) if cursor and cursor.isascii() and cursor.isdigit() and len(cursor) < 18 else None
    walked = walk(
        connection,
        _NEWEST_FIRST,
        [notices.c.state == state] if state else lanes_of(scope, notices.c.point),
        scope.condition,
        after=NEWEST if after is None else (after,),
        limit=PAGE,
    )
    columns = [notices.c[name] for name in Notice.__dataclass_fields__]
    numbers = [seq for (seq,) in walked.found]
    rows = connection.execute(select(*columns).where(notices.c.seq.in_(numbers))) if numbers else ()
    found = {row.seq: Notice(**row._mapping) for row in rows}
    items = [found[number] for number in numbers if number in found]
    return NoticePage(items, str(walked.next[0]) if walked.next else None, walked.is_cut)


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
    a = applications.c

    def fits(columns: Columns) -> ColumnElement[bool]:
        renewed = exists().where(
            and_(
                a.follows_authority == columns["authority"],
                a.follows_serial == columns["serial_hex"],
                a.follows_serial.is_not(None),
                a.state.not_in(ENDED),
            )
        )
        of_point = columns["point"] == point if point else true()
        return and_(columns["status"] == "good", scope.condition(columns), of_point, ~renewed)

    c = certificates.c
    walked = walk(
        connection,
        _BY_END,
        lanes_of(scope, c.point, point=point, each=[c.not_after <= at + within]),
        fits,
        after=max(_read_cursor(cursor) or (at, _AFTER_ALL, ""), (at, _AFTER_ALL, "")),
        limit=PAGE,
    )
    places = [(authority, serial) for _end, authority, serial in walked.found]
    columns = (c.authority, c.serial_hex, c.kind, c.name, c.point, c.not_after, c.application_id)
    loaded = connection.execute(select(*columns).where(are_at(c, places))).mappings() if places else ()
    by_place = {(row["authority"], row["serial_hex"]): row for row in loaded}
    rows = [by_place[place] for place in places if place in by_place]
    told: dict[str, dict[int, str]] = defaultdict(dict)
    subjects = [f"certificate:{row['authority']}/{row['serial_hex']}" for row in rows]
    for notice in connection.execute(
        select(notices.c.about, notices.c.step, notices.c.state).where(
            notices.c.about.in_(subjects), notices.c.step.is_not(None)
        )
    ):
        told[notice.about][notice.step] = notice.state
    items = [{**row, "told": told[subject]} for row, subject in zip(rows, subjects, strict=True)]
    last = walked.next
    return EndingPage(items, f"{last[0].isoformat()}~{last[1]}~{last[2]}" if last else None, walked.is_cut)


def _read_cursor(cursor: str | None) -> tuple[datetime, str, str] | None:
    parts = (cursor or "").split("~")
    try:
        at = datetime.fromisoformat(parts[0])
    except ValueError:
        return None
    if at.tzinfo is None or len(parts) != 3 or "\0" in "".join(parts):
        return None
    return at, parts[1], parts[2]
