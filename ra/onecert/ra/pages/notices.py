"""Pages of renewals due and of notices: what ends soon, what was told, what could not be sent."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, render_template, request, url_for

from onecert.ra.notices.due import STEPS
from onecert.ra.notices.facts import days_left
from onecert.ra.notices.records import STATES, list_ending, list_notices
from onecert.ra.notices.texts import NOTICE_NAMES, NoticeKind
from onecert.ra.operators.roles import ENTRY
from onecert.ra.pages.common import the_operator, the_ra
from onecert.ra.points.points import list_points
from onecert.server.languages import _, gettext, ngettext

__all__ = ["NOTICE_STATES", "blueprint"]

NOTICE_STATES: Mapping[str, tuple[str, str]] = {
    "waiting": (_("Waiting to be sent"), "info"),
    "sent": (_("Sent"), "success"),
    "failed": (_("Could not be sent"), "danger"),
    "no_address": (_("No e-mail address"), "warning"),
    "needless": (_("Not needed any more"), "neutral"),
}


def blueprint() -> Blueprint:
    """Everybody who is signed in sees those of their own places."""
    pages = Blueprint("notices", __name__)
    pages.add_url_rule("/renewals", "index", _renewals)
    pages.add_url_rule("/notices", "sent", _notices)
    return pages


def _renewals() -> str:
    ra, operator = the_ra(), the_operator()
    days = int(request.args.get("days", "60")) if request.args.get("days") in {"7", "30", "60"} else 60
    point, now = request.args.get("point", "")[:32], ra.clock.now()
    with ra.database.reading() as connection:
        scope = ra.reach.scope(connection, operator)
        points = {each.id: each.name for each in list_points(connection) if scope.covers(each.id)}
        point = point if point in points else ""
        page = list_ending(
            connection,
            scope,
            at=now,
            within=timedelta(days=days),
            point=point,
            cursor=request.args.get("cursor"),
        )
    return render_template(
        "ra/renewals.html",
        page=page,
        days=days,
        point=point,
        points=points,
        steps=STEPS,
        windows=[
            {
                "label": ngettext("within %(count)s day", "within %(count)s days", step),
                "url": url_for("notices.index", days=step, point=point or None),
                "is_on": step == days,
            }
            for step in reversed(STEPS)
        ],
        left=lambda moment: days_left(moment, now),
        states=NOTICE_STATES,
        tabs_of=_tabs("index"),
        may_enter=operator.has_role(ENTRY),
    )


def _notices() -> str:
    ra, operator = the_ra(), the_operator()
    state = request.args.get("state", "")
    with ra.database.reading() as connection:
        page = list_notices(
            connection,
            ra.reach.scope(connection, operator),
            state=state if state in STATES else None,
            cursor=request.args.get("cursor"),
        )
    return render_template(
        "ra/notices.html",
        page=page,
        states=NOTICE_STATES,
        filters=[
            {"label": gettext(_("All")), "url": url_for("notices.sent"), "is_on": state not in STATES},
            *(
                {
                    "label": gettext(NOTICE_STATES[name][0]),
                    "url": url_for("notices.sent", state=name),
                    "is_on": state == name,
                }
                for name in STATES
            ),
        ],
        tabs_of=_tabs("sent"),
        names={kind.value: NOTICE_NAMES[kind] for kind in NoticeKind},
        address=_address,
    )


def _tabs(here: str) -> list[dict[str, Any]]:
    labels = {"index": _("Renewals due"), "sent": _("Notices")}
    return [
        {"label": gettext(label), "url": url_for(f"notices.{name}"), "is_here": name == here}
        for name, label in labels.items()
    ]


def _address(about: str) -> str:
    """The page of what a notice is about; empty when there is none."""
    kind, _colon, rest = about.partition(":")
    if kind == "certificate" and "/" in rest:
        authority, _slash, serial = rest.partition("/")
        return url_for("certificates.show", authority=authority, serial=serial)
    if kind == "application" and len(rest) == 36:
        return url_for("applications.show", application_id=rest)
    return ""
