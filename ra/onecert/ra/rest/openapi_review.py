"""The OpenAPI part of review and filing."""

from typing import Any

from onecert.ra.evidence.materials import MATERIALS
from onecert.ra.rest.openapi_parts import TEXT, operation, record
from onecert.ra.review.reasons import RETURN_REASONS

__all__ = ["paths", "schemas"]


def paths() -> dict[str, Any]:
    """Path -> method -> operation."""
    return {"/return-reasons": {"get": operation("List the reasons of a return", "ReturnReasons")}}


def schemas() -> dict[str, Any]:
    """Name -> schema."""
    words = {"type": "string", "maxLength": 500}
    codes = {"enum": list(RETURN_REASONS)}
    remark = record({"code": codes, "field": TEXT, "words": words}, required=["code"])
    reason = record({"code": codes, "text": TEXT, "fields": {"type": "array", "items": TEXT}})
    papers = {"type": "array", "items": {"enum": list(MATERIALS)}}
    return {
        "ReturnReasons": record({"reasons": {"type": "array", "items": reason}}),
        "Return": record(
            {
                "reason": {**words, "description": "words about the application as a whole"},
                "remarks": {"type": "array", "items": remark, "maxItems": 40},
            },
            required=[],
        ),
        "Filing": record({"place": TEXT, "papers": papers, "note": words}, required=[]),
    }
