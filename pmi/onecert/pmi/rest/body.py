"""What every module of the REST interface reads out of a request: strict, known fields only."""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import datetime
from typing import Any

from flask import request

from onecert.pmi.errors import RequestWrongError
from onecert.server.languages import _

__all__ = [
    "read_body",
    "read_count",
    "read_field",
    "read_flag",
    "read_moment",
    "read_object",
    "read_page",
    "read_state",
    "read_texts",
]

PER_PAGE_MAX = 100


def read_body(needed: set[str], optional: set[str] | None = None) -> Mapping[str, Any]:
    """Take the JSON object of this request with these fields and no others. Raises RequestWrongError."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise RequestWrongError("body", _("not a JSON object"))
    unknown = body.keys() - needed - (optional or set())
    missing = needed - body.keys()
    if unknown or missing:
        raise RequestWrongError(min(unknown or missing)[:64], _("unknown") if unknown else _("missing"))
    return body


def read_field(body: Mapping[str, Any], field: str, default: str | None = None) -> str:
    """Take a text field. Raises RequestWrongError."""
    value = body.get(field, default)
    if not isinstance(value, str):
        raise RequestWrongError(field, _("not a text"))
    return value


def read_texts(body: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """Take a list of texts. Raises RequestWrongError."""
    value = body.get(field, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RequestWrongError(field, _("not a list of texts"))
    return tuple(value)


def read_moment(body: Mapping[str, Any], field: str) -> datetime | None:
    """Take an aware time; None when the field is not there. Raises RequestWrongError."""
    value = body.get(field)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError) as exc:
        raise RequestWrongError(field, _("not a time such as 2026-11-21T09:00:00Z")) from exc
    if found.tzinfo is None:
        raise RequestWrongError(field, _("a time without its zone"))
    return found


def read_state(states: Container[str]) -> str:
    """Take one of these states from the query; empty for all of them. Raises RequestWrongError."""
    state = request.args.get("state", "")
    if state and state not in states:
        raise RequestWrongError("state", _("unknown"))
    return state


def read_page() -> tuple[int, int]:
    """Take from the query which page, and how many rows it has. Raises RequestWrongError."""
    return (
        read_count(request.args.get("page", "1"), "page", 1_000_000),
        read_count(request.args.get("per_page", "20"), "per_page", PER_PAGE_MAX),
    )


def read_count(text: str, field: str, most: int) -> int:
    """Take a number between 1 and ``most``. Raises RequestWrongError."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise RequestWrongError(field, _("not a number of the right size"))
    return int(text)


def read_flag(body: Mapping[str, Any], field: str) -> bool:
    """Take true or false; False when the field is not there. Raises RequestWrongError."""
    value = body.get(field, False)
    if not isinstance(value, bool):
        raise RequestWrongError(field, _("not true or false"))
    return value


def read_object(body: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """Take a JSON object; empty when the field is not there. Raises RequestWrongError."""
    value = body.get(field, {})
    if not isinstance(value, dict):
        raise RequestWrongError(field, _("not a JSON object"))
    return value
