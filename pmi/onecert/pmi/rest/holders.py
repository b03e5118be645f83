"""`/v1/holders/leaving` and `/v1/departures`: everything that one holder has, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify

from onecert.pmi.authorities.states import ADMINISTRATOR
from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER
from onecert.pmi.life.offices import DEPARTURE_STATES, Departure, Leaving, Who
from onecert.pmi.life.revocation import SECURITY
from onecert.pmi.parts import Parts
from onecert.pmi.rest.body import read_body, read_field, read_moment, read_state
from onecert.pmi.rest.certificates import certificate_json
from onecert.server.web import current_operator, requires_role

__all__ = ["add_holders", "departure_json", "leaving_json"]

_WHO = {"certificate", "entity", "person"}
ACTORS = (OFFICER, APPROVER, SECURITY, ADMINISTRATOR)


def add_holders(api: Blueprint, parts: Parts) -> None:
    """Add the views of ends of office."""

    @api.post("/holders/leaving")
    @requires_role(*ACTORS, AUDITOR)
    def leaving() -> Response:
        found = parts.offices.leaving(_who(read_body(set(), _WHO)))
        return jsonify(leaving_json(found, parts))

    @api.post("/departures")
    @requires_role(*ACTORS)
    def depart() -> tuple[Response, int]:
        body = read_body({"content_sha256"}, _WHO | {"effective_at", "id"})
        departure = parts.offices.leave(
            _who(body),
            current_operator(),
            content_sha256=read_field(body, "content_sha256"),
            effective_at=read_moment(body, "effective_at"),
            number=read_field(body, "id", ""),
        )
        return jsonify(departure_json(departure)), 201 if departure.state == "done" else 202

    @api.get("/departures")
    @requires_role(*ACTORS, AUDITOR)
    def list_departures() -> Response:
        found = parts.offices.page(state=read_state(DEPARTURE_STATES))
        return jsonify({"departures": [departure_json(each) for each in found]})

    @api.get("/departures/<departure_id>")
    @requires_role(*ACTORS, AUDITOR)
    def read_departure(departure_id: str) -> Response:
        return jsonify(departure_json(parts.offices.load(departure_id)))

    @api.post("/departures/<departure_id>/withdraw")
    @requires_role(*ACTORS)
    def withdraw(departure_id: str) -> Response:
        read_body(set())
        return jsonify(departure_json(parts.offices.withdraw(departure_id, current_operator())))


def leaving_json(found: Leaving, parts: Parts) -> dict[str, Any]:
    """Everything that somebody holds, for programs."""
    now = parts.context.clock.now()
    return {
        "content_sha256": found.sha256,
        "who": {"kind": found.who.kind, "value": found.who.value},
        "name": found.name,
        "certificates": [certificate_json(record, now) for record in found.records],
        "grants": [
            {
                "id": each.id,
                "authority": each.authority,
                "kind": each.kind,
                "state": each.state,
                "attributes": dict(each.attributes),
                "requested_by": each.requested_by,
                "requested_at": each.requested_at.isoformat(),
            }
            for each in found.waiting
        ],
    }


def departure_json(departure: Departure) -> dict[str, Any]:
    """An end of office for programs."""
    return {
        "id": departure.id,
        "who": {"kind": departure.who.kind, "value": departure.who.value},
        "name": departure.name,
        "state": departure.state,
        "content_sha256": departure.content_sha256,
        "effective_at": departure.effective_at.isoformat(),
        "requested_by": departure.requested_by,
        "requested_at": departure.requested_at.isoformat(),
        "done_at": departure.done_at.isoformat() if departure.done_at else None,
        "receipt": dict(departure.receipt),
    }


def _who(body: Mapping[str, Any]) -> Who:
    return Who.read(
        certificate=read_field(body, "certificate", "").encode(),
        entity=read_field(body, "entity", ""),
        person=read_field(body, "person", ""),
    )
