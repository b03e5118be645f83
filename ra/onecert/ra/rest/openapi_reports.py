"""The part of the OpenAPI document about reports."""

from typing import Any

from onecert.ra.rest.openapi_parts import NUMBER, TEXT, operation, query, record, ref

__all__ = ["paths", "schemas"]


def paths() -> dict[str, Any]:
    """The operations."""
    asked = ("day", "month", "from", "to", "point", "authority", "kind", "project")
    shapes = {"enum": ["day", "month", "range"], "default": "month"}
    shape = {"name": "period", "in": "query", "schema": shapes}
    return {"/reports": {"get": operation("Figures of a period", "Report", [shape, *map(query, asked)])}}


def schemas() -> dict[str, Any]:
    """The schemas."""
    counts = {"type": "object", "additionalProperties": NUMBER, "description": "figure: amount; fees in fen"}
    spread = record({"count": NUMBER, "median": NUMBER, "p95": NUMBER})
    period = record({"shape": TEXT, "from": TEXT, "to": TEXT})
    return {
        "Figures": counts,
        "Period": period,
        "Spread": {"oneOf": [spread, {"type": "null"}]},
        "Report": record(
            {
                "period": ref("Period"),
                "before": ref("Period"),
                "zone": TEXT,
                "days_waiting": NUMBER,
                "totals": ref("Figures"),
                "totals_before": ref("Figures"),
                "by_day": {"type": "object", "additionalProperties": ref("Figures")},
                "by": {
                    "type": "object",
                    "additionalProperties": {"type": "object", "additionalProperties": ref("Figures")},
                },
                "reasons": {"type": "object", "additionalProperties": ref("Figures")},
                "minutes": {"type": "object", "additionalProperties": ref("Spread")},
            }
        ),
    }
