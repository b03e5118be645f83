"""Small parts that the OpenAPI document is put together from."""

from typing import Any

__all__ = [
    "MAYBE",
    "MAYBE_MOMENT",
    "MOMENT",
    "NUMBER",
    "TEXT",
    "array",
    "operation",
    "parameter",
    "query",
    "record",
    "ref",
]

TEXT: dict[str, Any] = {"type": "string"}
MAYBE: dict[str, Any] = {"type": ["string", "null"]}
MOMENT: dict[str, Any] = {"type": "string", "format": "date-time"}
MAYBE_MOMENT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
NUMBER: dict[str, Any] = {"type": "integer"}


def operation(
    summary: str,
    answer: str,
    parameters: list[dict[str, Any]] | None = None,
    body: str | None = None,
    *,
    status: str = "200",
) -> dict[str, Any]:
    """One operation: what it answers when all went well, and a problem otherwise."""
    made: dict[str, Any] = {
        "summary": summary,
        "responses": {
            status: {"description": "Done", "content": {"application/json": {"schema": ref(answer)}}},
            "default": {"$ref": "#/components/responses/problem"},
        },
    }
    if parameters:
        made["parameters"] = parameters
    if body:
        made["requestBody"] = {"content": {"application/json": {"schema": ref(body)}}}
    return made


def record(properties: dict[str, Any], *, required: list[str] | None = None) -> dict[str, Any]:
    """An object; all properties are required unless told otherwise."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }


def array(name: str) -> dict[str, Any]:
    """A list of a named schema."""
    return {"type": "array", "items": ref(name)}


def ref(name: str) -> dict[str, str]:
    """A named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def query(name: str) -> dict[str, Any]:
    """A parameter of the query."""
    return {"name": name, "in": "query", "schema": {"type": "string"}}


def parameter(name: str) -> dict[str, Any]:
    """A part of the path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
