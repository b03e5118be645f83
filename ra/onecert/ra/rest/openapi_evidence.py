"""The OpenAPI part of evidence."""

from typing import Any

from onecert.ra.evidence.materials import MATERIALS
from onecert.ra.evidence.sniffing import EXTENSIONS
from onecert.ra.rest.openapi_parts import (
    MAYBE_MOMENT,
    MOMENT,
    NUMBER,
    TEXT,
    array,
    operation,
    parameter,
    record,
    ref,
)

__all__ = ["paths", "schemas"]

_BINARY = {"type": "string", "format": "binary"}


def paths() -> dict[str, Any]:
    """Path -> method -> operation."""
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 64}}
    material = {
        "name": "material",
        "in": "query",
        "required": True,
        "schema": {"enum": list(MATERIALS)},
    }
    one = [parameter("evidence_id")]
    content = operation("The file as it came", "Evidence", one)
    content["responses"]["200"]["content"] = {media_type: {"schema": _BINARY} for media_type in EXTENSIONS}
    return {
        **{
            f"/{records}/{{{name}}}/evidence": {
                "get": operation(f"List the evidence of {one_of_them}", "EvidenceList", [parameter(name)]),
                "post": _add([parameter(name), material, key]),
            }
            for records, name, one_of_them in (
                ("applications", "id", "an application"),
                ("cases", "case_id", "a case"),
            )
        },
        "/evidence/{evidence_id}": {"get": operation("One evidence", "Evidence", one)},
        "/evidence/{evidence_id}/content": {"get": content},
        "/evidence/{evidence_id}/remove": {
            "post": operation("Remove it, or set aside what a reviewer had", "EvidenceLeft", one)
        },
    }


def _add(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    add = operation(
        "Add a scan or photo; the same content again is the same evidence",
        "Evidence",
        parameters,
        status="201",
    )
    add["requestBody"] = {
        "required": True,
        "content": {media_type: {"schema": _BINARY} for media_type in EXTENSIONS},
    }
    return add


def schemas() -> dict[str, Any]:
    """Name -> schema."""
    number = {"type": ["integer", "null"]}
    return {
        "Evidence": record(
            {
                "id": TEXT,
                "record": TEXT,
                "material": {"enum": list(MATERIALS)},
                "sha256": TEXT,
                "size": NUMBER,
                "media_type": {"enum": list(EXTENSIONS)},
                "width": number,
                "height": number,
                "added_at": MOMENT,
                "added_by": TEXT,
                "frozen_at": MAYBE_MOMENT,
                "set_aside_at": MAYBE_MOMENT,
            }
        ),
        "EvidenceList": record({"items": array("Evidence")}),
        "EvidenceLeft": record({"evidence": {"oneOf": [ref("Evidence"), {"type": "null"}]}}),
    }
