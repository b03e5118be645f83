"""Counts the figures of a stretch of time from the event tables. The one place where figures are defined.

    new, renewed, changed, replaced         certificates issued; operator: who entered them
    submitted, approved, returned, rejected,
    refused, withdrawn, delivered, filed    steps of applications; the second reviewer's approval counts
    in_time, late                           reviews against the service level of their state; none without one
    return_reason                           each reason of a return, by its code; a return may have several
    revoked (by reason), held, released     changes of status that the CA has carried out; operator: who asked
    unlocked, recovered                     cases carried out
    fees                                    of what was issued, in fen: certificate and seal, by payment
    media                                   tokens, by what was done with them
    to_review, to_issue, to_deliver         from the last submission, in whole minutes (`value`)

What the CA revokes by itself because it was renewed or replaced is not counted as revoked.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Any

from sqlalchemy import Connection, ScalarSelect, and_, func, select

from onecert.ra.life.machine import Business, State
from onecert.ra.media.tables import media_events
from onecert.ra.models import application_events, applications, cases, certificates, revocations
from onecert.ra.review.service_level import ServiceLevels
from onecert.ra.review.tables import remarks
from onecert.ra.revocation.reasons import HOLD, RELEASE

__all__ = ["COUNTS", "DURATIONS", "ISSUED", "Key", "count", "count_sources"]

ISSUED = {
    Business.NEW.value: "new",
    Business.RENEW.value: "renewed",
    Business.CHANGE.value: "changed",
    Business.REPLACE.value: "replaced",
}
_STEPS = {
    "submitted": "submitted",
    "approved": "approved",
    "confirmed": "approved",
    "returned": "returned",
    "rejected": "rejected",
    "refused_by_ca": "refused",
    "withdrawn": "withdrawn",
    "delivered": "delivered",
    "archived": "filed",
}
_CASES = {Business.UNLOCK.value: "unlocked", Business.RECOVERY.value: "recovered"}
DURATIONS = {
    "to_review": ("approved", "confirmed", "returned", "rejected"),
    "to_issue": ("issued",),
    "to_deliver": ("delivered",),
}
COUNTS = (
    *ISSUED.values(),
    *dict.fromkeys(_STEPS.values()),
    *("in_time", "late"),
    *("revoked", "held", "released"),
    *_CASES.values(),
)
_REVIEWS = ("approved", "passed_on", "confirmed", "returned", "rejected")
_SINCE_SUBMITTED = frozenset(event for events in DURATIONS.values() for event in events)


@dataclass(frozen=True, order=True)
class Key:
    """What an amount is of; the columns of the table besides the day."""

    figure: str
    point: str
    authority: str
    kind: str
    project: str = ""
    operator: str = ""
    reason: str = ""
    value: int = 0


def count(connection: Connection, start: datetime, end: datetime, levels: ServiceLevels) -> Counter[Key]:
    """All figures of what happened from `start` up to, not including, `end`; `levels` as they are now."""
    found: Counter[Key] = Counter()
    parts = (part(connection, start, end) for part in (_remarks, _cases, _changes, _media))
    for key, amount in chain(_applications(connection, start, end, levels), *parts):
        found[key] += amount
    return found


def count_sources(connection: Connection, start: datetime, end: datetime) -> int:
    """How many rows `count` would look at: tells cheaply that something came late."""
    total = 0
    for column in (application_events.c.at, revocations.c.answered_at, media_events.c.at):
        total += connection.scalar(select(func.count()).where(column >= start, column < end)) or 0
    return total


def _last(event: str) -> ScalarSelect[datetime | None]:
    """When this event was last, before the one that is looked at."""
    e, before = application_events.c, application_events.alias()
    return (
        select(func.max(before.c.at))
        .where(before.c.application_id == e.application_id, before.c.event == event, before.c.seq < e.seq)
        .scalar_subquery()
    )


def _applications(
    connection: Connection, start: datetime, end: datetime, levels: ServiceLevels
) -> Iterable[tuple[Key, int]]:
    e, a = application_events.c, applications.c
    rows = connection.execute(
        select(e.event, e.at, e.actor, a.business, a.point, a.authority, a.kind, a.project, a.submitted_by)
        .add_columns(a.fields, _last("submitted").label("since"), _last("passed_on").label("passed"))
        .join_from(application_events, applications, e.application_id == a.id)
        .where(e.at >= start, e.at < end, e.event.in_([*_STEPS, "passed_on", "issued"]))
    )
    for row in rows:
        place = (row.point, row.authority, row.kind, row.project or "")
        if row.event == "issued":
            yield Key(ISSUED[row.business], *place, operator=row.submitted_by or ""), 1
            yield from _fees(row, place)
        elif row.event in _STEPS:
            yield Key(_STEPS[row.event], *place, operator=row.actor), 1
        if row.event in _REVIEWS and (standing := _standing(row, levels)):
            yield Key(standing, *place, operator=row.actor), 1
        if row.event in _SINCE_SUBMITTED and row.since is not None:
            minutes = max(0, (row.at - row.since) // timedelta(minutes=1))
            for figure, events in DURATIONS.items():
                if row.event in events:
                    yield Key(figure, *place, value=int(minutes)), 1


def _standing(row: Any, levels: ServiceLevels) -> str:
    """`in_time` or `late`; empty when no level holds for it."""
    if row.since is None:
        return ""
    is_second = row.passed is not None and row.passed >= row.since and row.event != "passed_on"
    facts = {
        "authority": row.authority,
        "business": row.business,
        "point": row.point,
        "state": (State.SECOND_REVIEW if is_second else State.SUBMITTED).value,
        "type": row.kind,
    }
    due = levels.due(facts, row.passed if is_second else row.since, row.at)
    if due is None:
        return ""
    return "late" if due.standing == "overdue" else "in_time"


def _remarks(connection: Connection, start: datetime, end: datetime) -> Iterable[tuple[Key, int]]:
    r, a = remarks.c, applications.c
    columns = (r.code, a.point, a.authority, a.kind, a.project)
    rows = connection.execute(
        select(*columns, func.count().label("amount"))
        .join_from(
            application_events,
            remarks,
            and_(application_events.c.application_id == r.application_id, application_events.c.at == r.at),
        )
        .join(applications, a.id == r.application_id)
        .where(
            application_events.c.at >= start,
            application_events.c.at < end,
            application_events.c.event == "returned",
        )
        .group_by(*columns)
    )
    for row in rows:
        place = (row.point, row.authority, row.kind, row.project or "")
        yield Key("return_reason", *place, reason=row.code), row.amount


def _fees(row: Any, place: tuple[str, str, str, str]) -> Iterable[tuple[Key, int]]:
    fields = json.loads(row.fields)
    for name in ("certificate_fee", "seal_fee"):
        fen = _fen(str(fields.get(name, "")))
        if fen:
            yield Key("fees", *place, reason=f"{name}:{fields.get('fee_method', '')}"[:64]), fen


def _fen(text: str) -> int:
    """An amount in yuan as fen; 0 for what is none."""
    try:
        return int(Decimal(text) * 100) if text else 0
    except (InvalidOperation, ValueError, OverflowError):
        return 0


def _cases(connection: Connection, start: datetime, end: datetime) -> Iterable[tuple[Key, int]]:
    e, c = application_events.c, cases.c
    rows = connection.execute(
        select(c.business, c.point, c.authority, c.kind, e.actor, func.count().label("amount"))
        .join_from(application_events, cases, e.application_id == c.id)
        .where(e.at >= start, e.at < end, e.event == "completed")
        .group_by(c.business, c.point, c.authority, c.kind, e.actor)
    )
    for row in rows:
        if row.business in _CASES:
            yield (
                Key(_CASES[row.business], row.point, row.authority, row.kind, operator=row.actor),
                row.amount,
            )


def _changes(connection: Connection, start: datetime, end: datetime) -> Iterable[tuple[Key, int]]:
    r, c, a = revocations.c, certificates.c, applications.c
    same = and_(r.authority == c.authority, r.serial_hex == c.serial_hex)
    columns = (r.reason, r.requested_by, c.point, c.authority, c.kind, a.project)
    rows = connection.execute(
        select(*columns, func.count().label("amount"))
        .join_from(revocations, certificates, same)
        .join(applications, a.id == c.application_id)
        .where(r.answered_at >= start, r.answered_at < end, r.state == "done")
        .group_by(*columns)
    )
    figures = {HOLD: "held", RELEASE: "released"}
    for row in rows:
        figure = figures.get(row.reason, "revoked")
        yield (
            Key(
                figure,
                row.point,
                row.authority,
                row.kind,
                row.project or "",
                operator=row.requested_by,
                reason=row.reason if figure == "revoked" else "",
            ),
            row.amount,
        )


def _media(connection: Connection, start: datetime, end: datetime) -> Iterable[tuple[Key, int]]:
    m = media_events.c
    rows = connection.execute(
        select(m.point, m.event, func.count().label("amount"))
        .where(m.at >= start, m.at < end)
        .group_by(m.point, m.event)
    )
    for row in rows:
        yield Key("media", row.point, "", "", reason=row.event), row.amount
