"""The OpenAPI part of emergencies."""

from typing import Any

from onecert.ra.emergency.selection import KINDS
from onecert.ra.rest.openapi_parts import (
    MAYBE,
    MAYBE_MOMENT,
    MOMENT,
    NUMBER,
    TEXT,
    array,
    operation,
    parameter,
    query,
    record,
)
from onecert.ra.revocation.reasons import HOLD, REASONS

__all__ = ["paths", "schemas"]

_MAYBE_NUMBER = {"type": ["integer", "null"]}
_NOTE = {"type": "string", "minLength": 2, "maxLength": 500}


def paths() -> dict[str, Any]:
    """Path -> method -> operation."""
    one = [parameter("emergency_id")]
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 64}}
    found: dict[str, Any] = {
        "/emergencies": {
            "get": operation("List emergencies", "EmergencyList"),
            "post": operation(
                "Select and freeze; nothing is revoked",
                "Emergency",
                [key],
                "EmergencyWords",
                status="201",
            ),
        },
        "/emergencies/{emergency_id}": {"get": operation("One emergency, how far it is", "Emergency", one)},
        "/emergencies/{emergency_id}/items": {
            "get": operation(
                "Its certificates, and what became of each",
                "EmergencyItems",
                [*one, query("state"), query("after"), query("limit")],
            )
        },
    }
    for act, (summary, body) in {
        "approve": ("Approve exactly this, as a second person", "EmergencyApproval"),
        "refuse": ("Do not approve, or take back", "EmergencyNote"),
        "pause": ("Stop it where it is", "EmergencyNote"),
        "resume": ("Go on", "EmergencyNote"),
    }.items():
        found[f"/emergencies/{{emergency_id}}/{act}"] = {"post": operation(summary, "Emergency", one, body)}
    return found


def schemas() -> dict[str, Any]:
    """Name -> schema."""
    summary = {
        "id": TEXT,
        "number": NUMBER,
        "drill": {"type": "boolean"},
        "selection": {"type": "object"},
        "reason": TEXT,
        "invalidity_date": MAYBE_MOMENT,
        "why": TEXT,
        "state": {"enum": ["proposed", "running", "paused", "done", "refused"]},
        "certificates": NUMBER,
        "holders": NUMBER,
        "left_out": NUMBER,
        "content_sha256": TEXT,
        "proposed_by": TEXT,
        "proposed_at": MOMENT,
        "expires_at": MOMENT,
        "decided_by": MAYBE,
        "decided_at": MAYBE_MOMENT,
        "note": MAYBE,
        "began_at": MAYBE_MOMENT,
        "finished_at": MAYBE_MOMENT,
    }
    part = {
        "authority": TEXT,
        "certificates": NUMBER,
        "mass_revocation": TEXT,
        "state": {"enum": ["open", "carried", "single", "done"]},
        "at_authority": MAYBE,
        "gone_through": NUMBER,
        "frozen_at": MAYBE_MOMENT,
        "confirmed_at": MAYBE_MOMENT,
        "finished_at": MAYBE_MOMENT,
        "crl_number": _MAYBE_NUMBER,
        "problem": MAYBE,
    }
    item = {
        "number": NUMBER,
        "authority": TEXT,
        "serial": TEXT,
        "name": TEXT,
        "state": {"enum": ["waiting", "posted", "done", "refused", "already"]},
        "answered_at": MAYBE_MOMENT,
        "problem": MAYBE,
    }
    words = {
        "kind": {"enum": list(KINDS)},
        "value": {
            "type": "string",
            "description": "serials one a line, a number or name, words of a search",
        },
        "read_as": {
            "type": "string",
            "description": "what the words of a search are, as `POST /search` says",
        },
        "authority": TEXT,
        "issued_from": MOMENT,
        "issued_until": MOMENT,
        "reason": {"enum": [*REASONS, HOLD]},
        "invalidity_date": MOMENT,
        "why": _NOTE,
        "drill": {"type": "boolean"},
    }
    counts = {"type": "object", "additionalProperties": NUMBER, "description": "state of an item: how many"}
    return {
        "EmergencySummary": record(summary),
        "EmergencyPart": record(part),
        "EmergencyItem": record(item),
        "Emergency": record({**summary, "counts": counts, "parts": array("EmergencyPart")}),
        "EmergencyList": record({"items": array("EmergencySummary")}),
        "EmergencyItems": record({"items": array("EmergencyItem"), "next": _MAYBE_NUMBER}),
        "EmergencyWords": record(words, required=["kind", "reason", "why"]),
        "EmergencyApproval": record({"content_sha256": TEXT, "certificates": NUMBER}),
        "EmergencyNote": record({"note": _NOTE}),
    }
