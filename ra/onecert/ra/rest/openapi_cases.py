"""The OpenAPI part of cases."""

from typing import Any

from onecert.ra.cases.acts import CASES
from onecert.ra.content.fields import Kind
from onecert.ra.life.machine import State
from onecert.ra.rest.openapi_parts import (
    MAYBE,
    MAYBE_MOMENT,
    MOMENT,
    TEXT,
    array,
    operation,
    parameter,
    query,
    record,
)
from onecert.ra.revocation.reasons import REASONS

__all__ = ["paths", "schemas"]


def paths() -> dict[str, Any]:
    """Path -> method -> operation."""
    case = [parameter("case_id")]
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 64}}
    listing = [query(name) for name in ("state", "business", "cursor", "limit")]
    found: dict[str, Any] = {
        "/cases": {
            "get": operation("List cases", "CasePage", listing),
            "post": operation("Ask for one", "Case", [key], "CaseWords", status="201"),
        },
        "/cases/{case_id}": {"get": operation("One case", "Case", case)},
    }
    handover = operation("The signed document for the key centre", "Case", case)
    handover["responses"]["200"]["content"] = {"application/jose+json": {"schema": {"type": "object"}}}
    found["/cases/{case_id}/handover"] = {"get": handover}
    bodies = {"approve": "Approval", "consent": None, "complete": None, "reject": "Reason", "withdraw": None}
    for act, body in bodies.items():
        found[f"/cases/{{case_id}}/{act}"] = {
            "post": operation(f"{act.capitalize()} a case", "Case", case, body)
        }
    return found


def schemas() -> dict[str, Any]:
    """Name -> schema."""
    business = {"enum": sorted(CASES)}
    case = {
        "id": TEXT,
        "number": TEXT,
        "business": business,
        "state": {"enum": [state.value for state in State]},
        "state_since": MOMENT,
        "point": TEXT,
        "authority": TEXT,
        "serial": TEXT,
        "type": {"enum": [kind.value for kind in Kind]},
        "name": TEXT,
        "reason": TEXT,
        "note": TEXT,
        "invalidity_date": MAYBE_MOMENT,
        "content_sha256": TEXT,
        "created_at": MOMENT,
        "created_by": TEXT,
        "reviewed_by": MAYBE,
        "answer": MAYBE,
        "revocation": MAYBE,
    }
    words = {
        "business": business,
        "authority": TEXT,
        "serial": TEXT,
        "reason": {"enum": list(REASONS)},
        "note": {"type": "string", "maxLength": 500},
        "invalidity_date": MOMENT,
    }
    return {
        "CaseSummary": record(case),
        "Case": record({**case, "events": {"type": "array", "items": {"type": "object"}}}),
        "CasePage": record({"items": array("CaseSummary"), "next": MAYBE}),
        "CaseWords": record(words, required=["business", "authority", "serial"]),
    }
