"""The log of decisions, for auditors: found by number, day or masked holder, and decided again."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.decisions.replay import Replay
from onecert.pmi.grants.acts import AUDITOR
from onecert.pmi.pages.common import RESULTS, titles_of
from onecert.pmi.parts import Parts
from onecert.server.languages import Message, _
from onecert.server.web import current_operator, requires_role

__all__ = ["blueprint"]

MOST = 100
MOST_DAYS = 92
_ASKED = ("subject", "action", "resource", "result", "rule")
DIFFERENCES: dict[str, Message] = {
    "result": _("Result"),
    "rules": _("Rules"),
    "obligations": _("Obligations"),
    "roles": _("Roles"),
    "attributes": _("Attributes"),
    "policy_sha256": _("Policy"),
    "catalogue_version": _("Catalogue"),
}


def blueprint(parts: Parts) -> Blueprint:
    """The pages of recorded decisions."""
    pages = Blueprint("decisions", __name__, url_prefix="/decisions")

    @pages.get("")
    @requires_role(AUDITOR)
    def index() -> AnyResponse | str:
        given, operator = request.args, current_operator()
        number = given.get("number", "").strip()
        if number:
            return redirect(url_for("decisions.show", decision_id=number[:64]), 303)
        today = parts.context.clock.now().date()
        first, last = _day(given.get("first", ""), today), _day(given.get("last", ""), today)
        last = max(first, last)
        is_long = (last - first).days >= MOST_DAYS
        wanted = {name: given.get(name, "").strip()[:512] for name in _ASKED}
        lines = []
        if not is_long:
            asked = {name: value for name, value in wanted.items() if value}
            lines = parts.memory.find(first, last, actor=operator.actor, most=MOST, wanted=asked)
        return render_template(
            "decisions.html",
            lines=lines,
            first=first,
            last=last,
            wanted=wanted,
            results=RESULTS,
            most=MOST,
            is_long=is_long,
            most_days=MOST_DAYS,
        )

    @pages.get("/<decision_id>")
    @requires_role(AUDITOR)
    def show(decision_id: str) -> str:
        record = parts.memory.show(decision_id, actor=current_operator().actor)
        return _show(parts, record, None)

    @pages.post("/<decision_id>/replay")
    @requires_role(AUDITOR)
    def replay(decision_id: str) -> str:
        replayed = parts.memory.replay(decision_id, actor=current_operator().actor)
        return _show(parts, replayed.record, replayed)

    return pages


def _show(parts: Parts, record: Any, replayed: Replay | None) -> str:
    return render_template(
        "decision.html",
        line=record.line,
        at=record.at,
        has_facts=bool(record.facts),
        replayed=replayed,
        results=RESULTS,
        differences=DIFFERENCES,
        titles=titles_of(parts),
    )


def _day(text: str, default: date) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return default
