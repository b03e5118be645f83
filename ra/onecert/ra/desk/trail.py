"""The audit trail as one reader may see it: searched by who, what, about what and on which day.

Whoever reads everywhere reads all of it. A reader with a scope sees the entries about records within it: the
place of an entry is the place of what it is about. Entries about operators are seen where the operator's own
scope is, and those about an emergency by whoever reaches all of its certificates. What has no place (the
service itself, sign-in from an address, a kind that this module does not know) is left to whoever reads
everywhere, as is everyone at the main point while there is no other.

Places are looked up for the entries that are read, a few hundred at a time: the trail itself has no places,
because its entries are hashed as they are.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from sqlalchemy import Connection, Select, Table, select

from onecert.ra.batches.tables import batches
from onecert.ra.certificates.records import are_at
from onecert.ra.emergency.tables import emergencies
from onecert.ra.media.tables import media
from onecert.ra.models import applications, cases, certificates, operator_scopes, points, projects
from onecert.ra.operators.scopes import ANY, MAIN_POINT, Grant, Scope
from onecert.server.models import audit_entries

__all__ = ["Asked", "TrailPage", "is_everywhere", "list_trail"]

CHINA = timezone(timedelta(hours=8))
WINDOW = 400  # entries read at once by a reader with a scope
WINDOWS = 15  # and so often before the page says how far it looked
_PLACED: Mapping[str, tuple[Table, str]] = {
    "application": (applications, "id"),
    "case": (cases, "id"),
    "batch": (batches, "id"),
}
# Two processes write with their own clocks: entries of a day may stand a little outside of its numbers.
_BETWEEN = 1000
_NEWEST = 2**53


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a reader looks for; empty texts ask nothing. `actor` and `subject` as the trail writes them."""

    actor: str = ""
    event: str = ""
    subject: str = ""
    day: date | None = None


@dataclass(frozen=True)
class TrailPage:
    """Entries, newest first; `next` is where the following page begins (a number), None at the end.

    A page may have few entries or none and still a `next`: it was looked through so far.
    """

    entries: Sequence[Mapping[str, Any]]
    next: int | None


def is_everywhere(scope: Scope) -> bool:
    """Whether this scope leaves nothing out."""
    return Grant() in scope.grants


def list_trail(
    connection: Connection, scope: Scope, asked: Asked, *, before: int | None = None, limit: int = 100
) -> TrailPage:
    """One page of the trail."""
    if is_everywhere(scope) or _is_the_only_point(connection, scope):
        rows = _rows(connection, asked, before, limit + 1)
        return TrailPage(rows[:limit], rows[limit - 1]["seq"] if len(rows) > limit else None)
    found: list[Mapping[str, Any]] = []
    for _window in range(WINDOWS):
        rows = _rows(connection, asked, before, WINDOW)
        visible = _visible(connection, scope, [row["subject"] for row in rows])
        for row in rows:
            if row["subject"] in visible:
                found.append(row)
                if len(found) == limit:
                    return TrailPage(found, row["seq"])
        if len(rows) < WINDOW:
            return TrailPage(found, None)
        before = rows[-1]["seq"]
    return TrailPage(found, before)


def _is_the_only_point(connection: Connection, scope: Scope) -> bool:
    if Grant(MAIN_POINT) not in scope.grants:
        return False
    return connection.scalar(select(points.c.id).where(points.c.id != MAIN_POINT).limit(1)) is None


def _rows(connection: Connection, asked: Asked, before: int | None, limit: int) -> list[Mapping[str, Any]]:
    entries = audit_entries.c
    query: Select[Any] = select(audit_entries).order_by(entries.seq.desc()).limit(limit)
    for column, value in (
        (entries.actor, asked.actor),
        (entries.event, asked.event),
        (entries.subject, asked.subject),
    ):
        if value:
            query = query.where(column == value)
    # From the newest on is a range, too: none of this is read without one.
    query = query.where(entries.seq < (_NEWEST if before is None else before))
    if asked.day is not None:
        begins = datetime.combine(asked.day, time(), CHINA)
        ends = begins + timedelta(days=1)
        # Numbers first: they are the order that is asked for, so old days cost as little as today.
        last = connection.scalar(
            select(entries.seq).where(entries.at < ends).order_by(entries.at.desc()).limit(1)
        )
        first = connection.scalar(
            select(entries.seq).where(entries.at >= begins).order_by(entries.at).limit(1)
        )
        if last is None or first is None:
            return []
        query = query.where(entries.seq.between(first - _BETWEEN, last + _BETWEEN))
        query = query.where(entries.at >= begins, entries.at < ends)
    return [dict(row) for row in connection.execute(query).mappings()]


def _visible(connection: Connection, scope: Scope, subjects: Iterable[str]) -> set[str]:
    by_kind: dict[str, list[str]] = {}
    for subject in set(subjects):
        kind, _colon, name = subject.partition(":")
        by_kind.setdefault(kind, []).append(name)
    visible: set[str] = set()
    for kind, names in by_kind.items():
        visible |= {f"{kind}:{name}" for name in _visible_names(connection, scope, kind, names)}
    return visible


def _visible_names(connection: Connection, scope: Scope, kind: str, names: list[str]) -> Iterable[str]:
    if kind in _PLACED:
        table, column = _PLACED[kind]
        query = select(table.c[column]).where(table.c[column].in_(names), scope.condition(table.c))
        return connection.scalars(query).all()
    if kind == "certificate":
        places = [(name.partition("/")[0], name.partition("/")[2]) for name in names if "/" in name]
        query = select(certificates.c.authority, certificates.c.serial_hex).where(
            are_at(certificates.c, places), scope.condition(certificates.c)
        )
        return [f"{row.authority}/{row.serial_hex}" for row in connection.execute(query)]
    if kind == "operator":
        return _operators(connection, scope, names)
    if kind == "medium":
        rows = connection.execute(
            select(media.c.token_number, media.c.point).where(media.c.token_number.in_(names))
        )
        return [row.token_number for row in rows if scope.covers(row.point)]
    if kind == "point":
        return [name for name in names if scope.covers(name)]
    if kind == "project":
        rows = connection.execute(select(projects.c.id, projects.c.point).where(projects.c.id.in_(names)))
        return [row.id for row in rows if row.point == ANY or scope.covers(row.point)]
    if kind == "emergency":
        rows = connection.execute(
            select(emergencies.c.id, emergencies.c.selection).where(emergencies.c.id.in_(names))
        )
        return [row.id for row in rows if _covers_all(scope, json.loads(row.selection)["places"])]
    return []


def _covers_all(scope: Scope, places: Sequence[Sequence[str]]) -> bool:
    return bool(places) and all(scope.covers(*place) for place in places)


def _operators(connection: Connection, scope: Scope, names: list[str]) -> Iterable[str]:
    where: dict[str, set[str]] = {name: set() for name in names}
    rows = select(operator_scopes.c.operator_id, operator_scopes.c.point).where(
        operator_scopes.c.operator_id.in_(names)
    )
    for row in connection.execute(rows):
        where[row.operator_id].add(row.point)
    return [
        name
        for name, own in where.items()
        if any(point == ANY or scope.covers(point) for point in own or {MAIN_POINT})
    ]
