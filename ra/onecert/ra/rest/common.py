"""What all REST endpoints share: values of the request, times of the answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import request

from onecert.ra.errors import BodyError, SearchByPostError
from onecert.ra.pages.common import find_idcard

__all__ = [
    "keep_idcards_out",
    "moment",
    "read_body",
    "read_consent",
    "read_fields",
    "read_limit",
    "read_text",
]


def read_body() -> Mapping[str, Any]:
    """The JSON object of the request; an empty body is an empty object."""
    if not request.data:
        return {}
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise BodyError("body")
    return body


def read_text(body: Mapping[str, Any], name: str, *, default: str | None = None) -> str:
    """A text of the body. Raises `BodyError` when it is missing and has no default, or is none."""
    value = body.get(name, default)
    if not isinstance(value, str) or "\0" in value:
        raise BodyError(name)
    return value


def read_fields(body: Mapping[str, Any]) -> dict[str, str]:
    """The fields of an application as typed; what is absurdly long is cut, the checks refuse it anyway."""
    fields = body.get("fields", {})
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise BodyError("fields")
    return {str(name)[:64]: value[:2000] for name, value in list(fields.items())[:64]}


def read_consent(body: Mapping[str, Any]) -> dict[str, str]:
    """The consent as fields of the form: `{"version": "2026-11", "how": "paper"}`, or nothing when absent."""
    consent = body.get("consent")
    if consent is None:
        return {}
    if not isinstance(consent, dict) or set(consent) - {"version", "how"}:
        raise BodyError("consent")
    return {"consent": read_text(consent, "how")[:32], "consent_version": read_text(consent, "version")[:32]}


def read_limit() -> int:
    """How many items a page of a list has."""
    text = request.args.get("limit", "50")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 200:
        raise BodyError("limit")
    return int(text)


def keep_idcards_out(search: str) -> None:
    """A person's number in an address would stand in every log on the way."""
    if find_idcard(search):
        raise SearchByPostError


def moment(at: datetime | None) -> str | None:
    """A time as RFC 3339 in UTC."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")
