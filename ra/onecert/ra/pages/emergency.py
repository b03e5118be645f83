"""Emergencies: many certificates at once, or all of an authority, with two people; and drills of it."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.emergency.parts import CARRIED, OPEN, Part, list_parts
from onecert.ra.emergency.records import Emergency, count_items, list_emergencies, list_items
from onecert.ra.emergency.selection import KINDS, Selection
from onecert.ra.errors import ContentChangedError
from onecert.ra.errors.emergency import EmergencyRefusedError
from onecert.ra.operators.roles import AUDITOR, SECURITY
from onecert.ra.pages.common import new_key, the_operator, the_ra
from onecert.ra.revocation.reasons import HOLD, REASON_NAMES, REASONS
from onecert.ra.search.terms import READ_NAMES
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.operators import SamePersonError
from onecert.server.web import notify, requires_role

__all__ = ["SELECTIONS", "blueprint"]

_CHINA = timezone(timedelta(hours=8))
_PAGE = 50
SELECTIONS: Mapping[str, tuple[str, str]] = {
    "serials": (_("A list of serial numbers"), _("One on each line, as you have them.")),
    "entity": (_("All of one holder"), _("Credit code, or the exact name.")),
    "tokens": (_("A series of tokens"), _("The beginning of their numbers, at least 3 characters.")),
    "batch": (_("One batch"), _("Its number.")),
    "issued": (_("All issued between two moments"), _("From and until, in China time.")),
    "search": (_("What a search finds"), _("The words of the search, as you would type them in the box.")),
    "authority": (_("All from one authority"), _("All that this registration authority has issued there.")),
}


def blueprint() -> Blueprint:
    """Security officers act, auditors look."""
    pages = Blueprint("emergency", __name__)
    pages.add_url_rule("/emergency", "index", _index)
    pages.add_url_rule("/emergency/new", "new", _new, methods=["GET", "POST"])
    pages.add_url_rule("/emergency/<emergency_id>", "show", _show)
    pages.add_url_rule("/emergency/<emergency_id>/act", "act", _act, methods=["POST"])
    pages.add_url_rule("/emergency/<emergency_id>.csv", "results", _results)
    return pages


@requires_role(SECURITY, AUDITOR)
def _index() -> str:
    ra = the_ra()
    with ra.database.reading() as connection:
        found = list_emergencies(connection, ra.reach.scope(connection, the_operator()))
        names = {account.id: account.name for account in ra.operators.all(connection)}
    return render_template(
        "ra/emergency/index.html",
        found=found,
        names=names,
        selections=SELECTIONS,
        may_act=the_operator().has_role(SECURITY),
    )


@requires_role(SECURITY)
def _new() -> AnyResponse | str:
    given = request.form
    # The search page posts its words here, so that they stand in no address.
    if request.method == "GET" or not given.get("act"):
        return _form(given, {}, None)
    ra = the_ra()
    since, faults = _moment(given.get("since", ""), "since")
    begin, more = _moment(given.get("issued_from", ""), "issued_from")
    end, other = _moment(given.get("issued_until", ""), "issued_until")
    faults |= more | other
    kind = given.get("kind", "")
    if kind not in KINDS:
        faults["kind"] = gettext(_("Choose which certificates are meant."))
    if given.get("reason", "") not in {*REASONS, HOLD}:
        faults["reason"] = gettext(_("Choose a reason."))
    if faults:
        return make_response(_form(given, faults, None), 422)
    selection = Selection(
        kind=kind,
        authority=given.get("authority", "")[:64],
        value=given.get("serials" if kind == "serials" else "value", "")[:2_000_000],
        issued_from=begin,
        issued_until=end,
        read_as=given.get("read_as", "")[:16] if kind == "search" else "",
    )
    try:
        made = ra.emergencies.propose(
            the_operator(),
            selection,
            reason=given["reason"],
            why=given.get("why", ""),
            invalidity_date=since,
            is_drill=given.get("drill") == "yes",
            request_key=given.get("form_key", "")[:64] or new_key(),
        )
    except ServiceError as exc:
        if exc.status != 422:
            raise
        return make_response(_form(given, {}, exc), 422)
    return redirect(url_for("emergency.show", emergency_id=made.id), 303)


@requires_role(SECURITY, AUDITOR)
def _show(emergency_id: str) -> AnyResponse:
    """The page, or with `?part=1` the part that changes."""
    ra, operator = the_ra(), the_operator()
    found = ra.emergencies.find(operator, emergency_id)
    state = request.args.get("state", "")
    after = request.args.get("after", "0")
    with ra.database.reading() as connection:
        counts = count_items(connection, found.id)
        states = [state] if state in counts else []
        number = int(after) if after.isascii() and after.isdigit() and len(after) < 10 else 0
        items = list_items(connection, found.id, states=states, after=number, limit=_PAGE + 1)
        parts = list_parts(connection, found.id)
        names = {account.id: account.name for account in ra.operators.all(connection)}
    now = ra.clock.now()
    template = "ra/emergency/part.html" if request.args.get("part") else "ra/emergency/show.html"
    page = make_response(
        render_template(
            template,
            emergency=found,
            counts=counts,
            items=items[:_PAGE],
            parts=parts,
            answered=_answered(counts, parts),
            more=items[_PAGE - 1].number if len(items) > _PAGE else None,
            chosen=state if states else "",
            names=names,
            selections=SELECTIONS,
            reason_names={**REASON_NAMES},
            speed=_speed(found, _answered(counts, parts), now),
            may_act=operator.has_role(SECURITY),
            is_mine=found.proposed_by == operator.id,
            is_over=now >= found.expires_at,
        )
    )
    page.headers["Cache-Control"] = "no-store"
    return page


@requires_role(SECURITY)
def _act(emergency_id: str) -> AnyResponse:
    ra, operator, act = the_ra(), the_operator(), request.form.get("act", "")
    note = request.form.get("note", "")
    here = redirect(url_for("emergency.show", emergency_id=emergency_id), 303)
    try:
        if act == "approve":
            typed = request.form.get("certificates", "").strip().replace(",", "")
            ra.emergencies.approve(
                operator,
                emergency_id,
                content_sha256=request.form.get("content_sha256", ""),
                certificates=int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else -1,
            )
        elif act == "refuse":
            ra.emergencies.refuse(operator, emergency_id, note=note)
        elif act == "pause":
            ra.emergencies.pause(operator, emergency_id, note=note)
        elif act == "resume":
            ra.emergencies.resume(operator, emergency_id, note=note)
    except (EmergencyRefusedError, SamePersonError, ContentChangedError) as exc:
        notify(f"{gettext(exc.text, **exc.facts)} {gettext(exc.hint, **exc.facts)}", "danger")
    return here


@requires_role(SECURITY, AUDITOR)
def _results(emergency_id: str) -> Response:
    """Every certificate with what became of it. Names are written so that no spreadsheet computes them."""
    ra = the_ra()
    found = ra.emergencies.find(the_operator(), emergency_id)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["number", "authority", "serial", "name", "state", "answered_at", "problem"])
    after = 0
    while True:
        with ra.database.reading() as connection:
            items = list_items(connection, found.id, after=after, limit=2000)
        for item in items:
            at = item.answered_at.isoformat() if item.answered_at else ""
            name = "'" + item.name if item.name[:1] in set("=+-@\t\r") else item.name
            row = [item.number, item.authority, item.serial_hex, name, item.state, at, item.problem or ""]
            table.writerow(row)
        if len(items) < 2000:
            break
        after = items[-1].number
    return Response(
        "\ufeff" + text.getvalue(),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="emergency-{found.seq}.csv"'},
    )


def _form(given: Mapping[str, str], errors: Mapping[str, str], problem: ServiceError | None) -> str:
    ra = the_ra()
    return render_template(
        "ra/emergency/new.html",
        given=given,
        errors=errors,
        problem=problem,
        problem_text=gettext(problem.text, **problem.facts) if problem else "",
        problem_hint=gettext(problem.hint, **problem.facts) if problem else "",
        selections=SELECTIONS,
        read_names=READ_NAMES,
        reasons=[(name, gettext(words[0]), gettext(words[1])) for name, words in REASONS.items()],
        hold=HOLD,
        authorities=list(ra.directory.listing().authorities),
        key=given.get("form_key") or new_key(),
    )


def _moment(text: str, name: str) -> tuple[datetime | None, dict[str, str]]:
    """What is typed is China's time."""
    if not text.strip():
        return None, {}
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=_CHINA), {}
    except ValueError:
        return None, {name: gettext(_("This is not a date and time."))}


def _answered(counts: Mapping[str, int], parts: Sequence[Part]) -> int:
    """How many certificates have their answer: here, or at the authority, which is ahead."""
    here = counts["done"] + counts["refused"] + counts["already"]
    ahead = sum(part.gone_through for part in parts if part.state in {OPEN, CARRIED})
    return max(here, min(ahead, sum(counts.values())))


def _speed(found: Emergency, answered: int, now: datetime) -> dict[str, int | float] | None:
    """How many a second, and how many seconds are left."""
    if found.began_at is None or not answered:
        return None
    passed = ((found.finished_at or now) - found.began_at).total_seconds()
    each = answered / max(passed, 0.001)
    return {
        "each": round(each, 1),
        "left": int((found.certificates - answered) / each),
        "passed": int(passed),
    }
