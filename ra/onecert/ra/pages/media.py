"""Tokens (介质): what waits to be made and written, the stock, the code for the counter's program."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.delivery.codes import shown_code
from onecert.ra.media.queue import waiting
from onecert.ra.media.stock import (
    COUNT_LIMIT,
    EVENT_NAMES,
    STATE_NAMES,
    MediumEvent,
    Stock,
    normal_token_number,
)
from onecert.ra.operators.roles import MEDIA
from onecert.ra.pages.common import shown_count, the_operator, the_ra
from onecert.ra.points.points import list_points
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext, ngettext
from onecert.server.web import notify, requires_role

__all__ = ["blueprint"]


def blueprint() -> Blueprint:
    """The media clerk's pages."""
    pages = Blueprint("media", __name__)
    pages.add_url_rule("/media", "index", _index)
    pages.add_url_rule("/media/receive", "receive", _receive, methods=["POST"])
    pages.add_url_rule("/media/aside", "aside", _aside, methods=["POST"])
    pages.add_url_rule("/media/code", "code", _code, methods=["POST"])
    return pages


def _index() -> AnyResponse | str:
    return _page()


def _page(refused: ServiceError | None = None, numbers: str = "", code: str = "") -> str:
    ra, operator = the_ra(), the_operator()
    asked = request.args.get("token", "")[:64]
    found, problem = None, refused
    if asked:
        try:
            asked = normal_token_number(asked)
        except ServiceError as exc:
            problem = exc
    with ra.database.reading() as connection:
        scope = ra.reach.scope(connection, operator)
        if asked and problem is None:
            found = Stock.find(connection, scope, asked)
        points = [point for point in list_points(connection) if scope.covers(point.id)]
        names = {account.id: account.name for account in ra.operators.all(connection)}
        lists = waiting(connection, scope)
        counts = Stock.counts(connection, scope)
    return render_template(
        "ra/media.html",
        waiting=lists,
        counts={
            point: {state: shown_count(count, COUNT_LIMIT) for state, count in of_point.items()}
            for point, of_point in counts.items()
        },
        points=points,
        home=scope.home(),
        may_act=operator.has_role(MEDIA),
        asked=asked,
        found=found,
        problem=_said(problem) if problem else None,
        numbers=numbers,
        code=code,
        address=request.host_url.rstrip("/") + request.script_root,
        names=names,
        medium_states=STATE_NAMES,
        medium_titles=[gettext(text) for text in STATE_NAMES.values()],
        point_options=[(point.id, point.name) for point in points if point.closed_at is None],
        life=_life(found[1], names) if found else [],
    )


def _life(events: Sequence[MediumEvent], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """For the frame's lifeline macro."""
    kinds = {"written": "success", "key": "info", "spoiled": "warning", "returned": "neutral"}
    return [
        {
            "at": event.at,
            "title": gettext(EVENT_NAMES[event.event]),
            "text": event.note,
            "by": names.get(event.actor, event.actor),
            "kind": kinds.get(event.event, "neutral"),
        }
        for event in events
    ]


def _said(error: ServiceError) -> dict[str, str]:
    return {"text": gettext(error.text, **error.facts), "hint": gettext(error.hint, **error.facts)}


@requires_role(MEDIA)
def _receive() -> AnyResponse | tuple[str, int]:
    ra, form = the_ra(), request.form
    numbers = form.get("numbers", "")[:40_000]
    try:
        count = ra.stock.receive(
            the_operator(),
            [line for line in numbers.splitlines() if line.strip()],
            kind=form.get("kind", "usb"),
            point=form.get("point") or None,
        )
    except ServiceError as exc:
        if not exc.is_refusal:
            raise
        return _page(exc, numbers), exc.status
    notify(ngettext("%(count)s token is received.", "%(count)s tokens are received.", count))
    return redirect(url_for("media.index"), 303)


@requires_role(MEDIA)
def _aside() -> AnyResponse | tuple[str, int]:
    form = request.form
    try:
        the_ra().stock.put_aside(
            the_operator(), form.get("token", ""), event=form.get("event", ""), note=form.get("note", "")
        )
    except ServiceError as exc:
        if not exc.is_refusal:
            raise
        return _page(exc), exc.status
    notify(_("It is recorded."))
    return redirect(url_for("media.index", token=form.get("token", "")[:64]), 303)


@requires_role(MEDIA)
def _code() -> str:
    """A code for the counter's program, shown this once."""
    code, _until = the_ra().passes.give_code(the_operator())
    return _page(code=shown_code(code))
