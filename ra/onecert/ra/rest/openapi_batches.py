"""The OpenAPI part of batches."""

from typing import Any

from onecert.ra.batches.acts import POLICIES
from onecert.ra.batches.records import Phase, RowState
from onecert.ra.content.fields import CONSENTS, Kind
from onecert.ra.life.machine import State
from onecert.ra.rest.openapi_parts import (
    MAYBE,
    MOMENT,
    NUMBER,
    TEXT,
    array,
    operation,
    parameter,
    query,
    record,
)

__all__ = ["paths", "schemas"]

_KINDS = [kind.value for kind in Kind]


def paths() -> dict[str, Any]:
    """Path -> method -> operation."""
    batch = [parameter("batch_id")]
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 64}}
    upload = operation("Upload a table", "Batch", [key, *_upload_query()], status="201")
    upload["requestBody"] = {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
    result = operation("Row, application and certificate of each row, JSON lines", "Batch", batch)
    result["responses"]["200"]["content"] = {"application/jsonl": {"schema": TEXT}}
    listing = [query("cursor"), query("limit"), query("state")]
    found: dict[str, Any] = {
        "/batches": {"get": operation("List batches", "BatchPage", listing), "post": upload},
        "/batches/{batch_id}": {"get": operation("One batch", "Batch", batch)},
        "/batches/{batch_id}/report": {
            "get": operation("The report on each row", "BatchReport", [*batch, *listing])
        },
        "/batches/{batch_id}/result": {"get": result},
    }
    bodies = {
        "accept": "BatchChoice",
        "submit": None,
        "approve": "Approval",
        "return": "Reason",
        "reject": "Reason",
        "withdraw": None,
    }
    for act, body in bodies.items():
        summary = "Choose rows" if act == "accept" else f"{act.capitalize()} a batch"
        found[f"/batches/{{batch_id}}/{act}"] = {"post": operation(summary, "Batch", batch, body)}
    return found


def _upload_query() -> list[dict[str, Any]]:
    needed = {"type": {"enum": _KINDS}, "authority": TEXT}
    more = {
        "policy": {"enum": list(POLICIES)},
        "consent": {"enum": sorted(CONSENTS)},
        **dict.fromkeys(("title", "file_name", "point", "project"), TEXT),
    }
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": schema}
        for name, schema in {**needed, **more}.items()
    ]


def schemas() -> dict[str, Any]:
    """Name -> schema."""
    counts = ("rows", "checked", *(state.value for state in RowState), "entered", "refused")
    batch = {
        "id": TEXT,
        "number": TEXT,
        "state": {"enum": [state.value for state in State]},
        "state_since": MOMENT,
        "phase": {"enum": [phase.value for phase in Phase]},
        "revision": NUMBER,
        "point": TEXT,
        "project": MAYBE,
        "authority": TEXT,
        "type": {"enum": _KINDS},
        "title": TEXT,
        "file_sha256": TEXT,
        "policy": {"enum": list(POLICIES)},
        "failure": MAYBE,
        "unknown_columns": {"type": "array", "items": TEXT},
        **dict.fromkeys(counts, NUMBER),
        "accepted": {"type": ["integer", "null"]},
        "content_sha256": MAYBE,
        "created_at": MOMENT,
        "created_by": TEXT,
        "submitted_by": MAYBE,
        "reviewed_by": MAYBE,
        "reason": MAYBE,
    }
    row = {
        "row": NUMBER,
        "state": {"enum": [state.value for state in RowState]},
        "excluded": {"type": "boolean"},
        "name": TEXT,
        "masked": TEXT,
        "content_sha256": MAYBE,
        "outcome": {"enum": ["entered", "refused", None]},
        "application": MAYBE,
        "remarks": {
            "type": "array",
            "items": record(dict.fromkeys(("level", "field", "code", "detail", "hint"), TEXT)),
        },
    }
    numbers = {"type": "array", "items": NUMBER, "maxItems": 5000}
    choice = {"exclude": numbers, "include": numbers, "policy": {"enum": list(POLICIES)}}
    return {
        "Batch": record(batch),
        "BatchPage": record({"items": array("Batch"), "next": MAYBE}),
        "BatchRow": record(row),
        "BatchReport": record({"items": array("BatchRow"), "next": MAYBE}),
        "BatchChoice": record(choice, required=[]),
    }
