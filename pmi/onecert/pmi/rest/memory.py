"""`/v1/decisions/<id>`: the decision log for auditors. Who reads it is audited."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, Response, jsonify, request

from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import AUDITOR
from onecert.pmi.parts import Parts
from onecert.pmi.rest.body import read_count
from onecert.server.languages import _
from onecert.server.web import current_operator, requires_role

__all__ = ["add_memory"]

DAYS_MAX = 366
_WANTED = ("action", "result", "resource", "rule", "policy_sha256")


def add_memory(api: Blueprint, parts: Parts) -> None:
    """Add the views of the decision log."""

    @api.get("/decisions")
    @requires_role(AUDITOR)
    def find_decisions() -> Response:
        today = parts.context.clock.now().date()
        first, last = _day("from", today), _day("to", today)
        if not 0 <= (last - first).days <= DAYS_MAX:
            raise RequestWrongError("to", _("not within a year after the first day"))
        wanted = {name: request.args[name][:512] for name in _WANTED if request.args.get(name)}
        entity = request.args.get("entity", "")
        if entity:
            wanted["subject"] = parts.decision_log.mask(entity)
        most = read_count(request.args.get("per_page", "100"), "per_page", 1000)
        lines = parts.memory.find(first, last, actor=_actor(), wanted=wanted, most=most)
        return jsonify({"decisions": lines})

    @api.get("/decisions/<decision_id>")
    @requires_role(AUDITOR)
    def show_decision(decision_id: str) -> Response:
        record = parts.memory.show(decision_id, actor=_actor())
        return jsonify({"line": record.line, "facts": record.facts})

    @api.post("/decisions/<decision_id>/replay")
    @requires_role(AUDITOR)
    def replay_decision(decision_id: str) -> Response:
        return jsonify(parts.memory.replay(decision_id, actor=_actor()).as_dict())


def _actor() -> str:
    return current_operator().actor


def _day(field: str, default: date) -> date:
    text = request.args.get(field, "")
    try:
        return date.fromisoformat(text) if text else default
    except ValueError as exc:
        raise RequestWrongError(field, _("not a day such as 2026-11-21")) from exc
