"""The audit trail as a page: who did what, newest first, searched; scoped like everything else."""

import json
from datetime import date
from typing import Any

from flask import Blueprint, render_template, request

from onecert.ra.desk.trail import Asked, is_everywhere, list_trail
from onecert.ra.operators.roles import ADMINISTRATOR, AUDITOR
from onecert.ra.pages.common import the_operator, the_ra
from onecert.ra.pages.labels import AUDIT_EVENTS
from onecert.ra.points.points import list_points
from onecert.server.languages import _, gettext
from onecert.server.web import requires_role

__all__ = ["blueprint"]

PAGE = 100
# What people type for an actor: an account's id alone.
_ACTORS = ("operator:", "command:", "service", "anonymous", "job:")


def blueprint() -> Blueprint:
    """For auditors and administrators."""
    pages = Blueprint("audit", __name__)
    pages.add_url_rule("/audit", "index", _list)
    return pages


@requires_role(AUDITOR, ADMINISTRATOR)
def _list() -> str:
    ra, operator = the_ra(), the_operator()
    form = {name: request.args.get(name, "").strip()[:200] for name in ("actor", "event", "subject", "day")}
    day, is_day_wrong = _day(form["day"])
    asked = Asked(actor=_actor(form["actor"]), event=form["event"], subject=form["subject"], day=day)
    before = request.args.get("before", "")
    number = int(before) if before.isascii() and before.isdigit() and len(before) < 18 else None
    with ra.database.reading() as connection:
        scope = ra.reach.scope(connection, operator)
        page = list_trail(connection, scope, asked, before=number, limit=PAGE)
        has_points = len(list_points(connection)) > 1
        names = {account.actor: account.name for account in ra.operators.all(connection)}
    events = sorted(
        ((name, gettext(text)) for name, text in AUDIT_EVENTS.items()), key=lambda event: event[1]
    )
    return render_template(
        "ra/audit.html",
        entries=[{**row, "details": _details(row["details"])} for row in page.entries],
        next=page.next,
        form=form,
        is_filtered=any(form.values()),
        is_day_wrong=is_day_wrong,
        is_scoped=has_points and not is_everywhere(scope),
        events=events,
        names=AUDIT_EVENTS,
        people=names,
        caption=form["subject"] or gettext(_("All entries")),
    )


def _actor(typed: str) -> str:
    return typed if not typed or typed.startswith(_ACTORS) else f"operator:{typed}"


def _day(text: str) -> tuple[date | None, bool]:
    """The day, and whether what was typed is none."""
    try:
        return (date.fromisoformat(text) if text else None), False
    except ValueError:
        return None, True


def _details(text: str) -> list[tuple[str, str]]:
    details: dict[str, Any] = json.loads(text)
    return [(name, _shown(value)) for name, value in sorted(details.items()) if value is not None]


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
