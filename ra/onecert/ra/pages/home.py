"""The home page: what waits for me, and what I did last."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from flask import Blueprint, current_app, render_template, url_for

from onecert.ra.desk.ending import count_ending
from onecert.ra.desk.recent import Recent, list_recent
from onecert.ra.desk.waiting import COUNT_LIMIT, list_waiting
from onecert.ra.notices.due import STEPS
from onecert.ra.operators.roles import ENTRY, REVIEW
from onecert.ra.pages.common import the_operator, the_ra
from onecert.ra.pages.labels import AUDIT_EVENTS

__all__ = ["blueprint"]

# Where each counter leads: the endpoint and what it is asked. A page that is not there yet has no link.
LINKS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "batches": ("batches.index", {}),
        "cases": ("cases.index", {}),
        "revocations": ("certificates.index", {}),
        "enrolments": ("organisation.enrolments", {}),
        "expiring": ("organisation.accounts", {"state": "ending"}),
    }
)
# What is late enough to stand out; queues have their own service levels on their pages.
LONG = timedelta(days=3)
URGENT = frozenset({"revocations"})
ACCOUNT_ENDS_SOON = timedelta(days=30)


def blueprint() -> Blueprint:
    """The home page."""
    pages = Blueprint("home", __name__)
    pages.add_url_rule("/", "index", _home)
    return pages


def _home() -> str:
    ra, operator = the_ra(), the_operator()
    now = ra.clock.now()
    with ra.database.reading() as connection:
        scope = ra.reach.scope(connection, operator)
        waiting = list(list_waiting(connection, scope, operator, at=now))
        recent = list_recent(connection, operator.actor)
        is_entering = operator.has_role(ENTRY)
        renewals = count_ending(connection, scope, at=now, days=STEPS[::-1]) if is_entering else {}
    tiles = [
        {
            "waiting": each,
            "url": _link(each.name),
            "kind": "danger" if each.count and each.name in URGENT else _kind(each.oldest, now),
        }
        for each in waiting
    ]
    return render_template(
        "ra/home.html",
        tiles=tiles,
        at_most=COUNT_LIMIT,
        is_all_done=not any(each.count for each in waiting),
        recent=[(each, _subject_url(each)) for each in recent],
        event_names=AUDIT_EVENTS,
        renewals=renewals,
        listing=ra.directory.listing(),
        may_enter=operator.has_role(ENTRY),
        may_review=operator.has_role(REVIEW),
        ends_soon=operator.valid_until - now < ACCOUNT_ENDS_SOON,
        operator=operator,
    )


def _kind(oldest: datetime | None, now: datetime) -> str:
    return "warning" if oldest is not None and now - oldest > LONG else ""


def _link(name: str) -> str:
    endpoint, query = LINKS.get(name, ("applications.index", {"queue": name}))
    return url_for(endpoint, **query) if endpoint in current_app.view_functions else ""


def _subject_url(act: Recent) -> str:
    if act.record == "application" and act.name:
        return url_for("applications.show", application_id=act.record_id)
    if act.record == "certificate" and act.name:
        authority, _slash, serial = act.record_id.partition("/")
        return url_for("certificates.show", authority=authority, serial=serial)
    if act.record == "case" and act.name and "cases.show" in current_app.view_functions:
        return url_for("cases.show", case_id=act.record_id)
    return ""
