"""What the descriptions of all features share."""

from __future__ import annotations

from typing import Any

__all__ = [
    "MAYBE",
    "MOMENT",
    "PLAIN",
    "REFUSED",
    "SERIAL",
    "SESSION",
    "TEXT",
    "TEXTS",
    "answer",
    "body",
    "path",
    "problem",
    "query",
]

TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
MOMENT = {"type": "string", "format": "date-time"}
MAYBE = {"type": ["string", "null"]}
SERIAL = {"type": "string", "pattern": "^[0-9a-f]{1,40}$", "description": "hexadecimal"}
PLAIN = {
    "type": "object",
    "description": "flat: texts, whole numbers, true, false, lists of texts",
    "additionalProperties": {"type": ["string", "integer", "boolean", "array"]},
}


def answer(description: str, properties: dict[str, Any], optional: dict[str, Any] | None = None) -> Any:
    """One answer in JSON."""
    schema = {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": sorted(properties),
    }
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def body(properties: dict[str, Any], required: list[str]) -> Any:
    """The JSON object of a request."""
    schema = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def problem(description: str) -> Any:
    """A refusal (RFC 9457)."""
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def path(name: str) -> Any:
    """One parameter in the path."""
    return {"name": name, "in": "path", "required": True, "schema": TEXT}


def query(name: str, description: str) -> Any:
    """One parameter in the query."""
    return {"name": name, "in": "query", "schema": TEXT, "description": description}


REFUSED = {
    "401": problem("nobody is signed in"),
    "403": problem("not allowed, or the holder's certificate is refused"),
    "404": problem("not there"),
    "409": problem("known with another content, or in another state"),
    "422": problem("a field is wrong; the code names it"),
    "503": problem("not now; nothing is half-done, send the same again"),
}
SESSION: list[dict[str, list[str]]] = [{"session": []}, {"certificate": []}]
