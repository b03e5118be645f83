"""What grants, batches and the catalogue look like to programs."""

from __future__ import annotations

from typing import Any

from onecert.pmi.rest.openapi_parts import (
    MAYBE,
    MOMENT,
    REFUSED,
    SESSION,
    TEXT,
    TEXTS,
    answer,
    body,
    path,
    query,
)

__all__ = ["GRANT", "grant_paths"]

_FLAG = {"type": "boolean"}
_NUMBER = {"type": "integer"}
_ATTRIBUTES = {
    "type": "object",
    "description": "name in the catalogue -> values, in the form of its syntax; role is one of them",
    "additionalProperties": {"type": "array"},
}
_HOLDER_FORM = {"enum": ["certificate", "key", "digest", "name", "entity"]}
_UUID = {"type": "string", "format": "uuid", "description": "makes repeating safe"}
GRANT = {
    "id": TEXT,
    "kind": {"enum": ["grant", "delegation"]},
    "state": {"enum": ["waiting", "approved", "issued", "refused"]},
    "authority": TEXT,
    "holder_name": TEXT,
    "holder_sha256": TEXT,
    "entity": TEXT,
    "holder_form": _HOLDER_FORM,
    "attributes": _ATTRIBUTES,
    "roles": TEXTS,
    "targets": TEXTS,
    "target_groups": TEXTS,
    "constraints": {"type": "object", "description": "of a delegation: depth, permitted, excluded"},
    "short_lived": _FLAG,
    "audit_identity": TEXT,
    "recipient_sha256": MAYBE,
    "source": TEXT,
    "not_before": MOMENT,
    "not_after": MOMENT,
    "needs_approval": _FLAG,
    "content_sha256": TEXT,
    "requested_by": TEXT,
    "requested_at": MOMENT,
    "approved_by": MAYBE,
    "refused_by": MAYBE,
    "refused_why": TEXT,
    "serial": MAYBE,
}
_WANTED = {
    "id": _UUID,
    "authority": TEXT,
    "holder_pem": TEXT,
    "attributes": _ATTRIBUTES,
    "roles": {**TEXTS, "description": "short for the attribute role"},
    "targets": TEXTS,
    "target_groups": TEXTS,
    "holder_form": _HOLDER_FORM,
    "short_lived": {"type": "boolean", "description": "24 hours at most, without revocation"},
    "audit_identity": {"type": "string", "description": "drawn, or at most 20 octets in hexadecimal"},
    "recipient_pem": {"type": "string", "description": "who may read encrypted attributes"},
    "not_before": MOMENT,
    "not_after": MOMENT,
    "preview": {"type": "boolean", "description": "say what would be granted, and record nothing"},
}
_WRONG = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"row": _NUMBER, "code": TEXT, "text": TEXT, "hint": TEXT},
        "required": ["code", "row", "text"],
    },
}
_BATCH = {
    "id": TEXT,
    "state": {"enum": ["waiting", "approved", "done", "refused", "not recorded"]},
    "authority": TEXT,
    "rows": _NUMBER,
    "counts": {"type": "object", "description": "grants by their state"},
    "needs_approval": _FLAG,
    "content_sha256": TEXT,
    "requested_by": TEXT,
    "requested_at": MOMENT,
    "approved_by": MAYBE,
    "finished_at": MAYBE,
}
_ROW = {
    "type": "object",
    "description": "every member that is not named here is an attribute: a list of its values",
    "properties": {
        "holder": {"type": "string", "description": "PEM, or the SHA-256 of a certificate accepted before"},
        "from": TEXT,
        "until": TEXT,
        "targets": TEXTS,
        "target_groups": TEXTS,
        "holder_form": _HOLDER_FORM,
        "audit_identity": TEXT,
        "short_lived": _FLAG,
    },
    "required": ["holder"],
}
_PAGE = [query("state", "only these"), query("page", "from 1"), query("per_page", "at most 100")]


def grant_paths(certificate: dict[str, Any]) -> dict[str, Any]:
    """Describe the paths.

    Args:
        certificate: the properties of an attribute certificate.
    """
    issued = {"certificate": {"type": "object", "properties": certificate}}
    return {**_grants(issued), **_batches(), **_catalogue()}


def _grants(issued: dict[str, Any]) -> dict[str, Any]:
    return {
        "/v1/grants": {
            "get": _view(
                "Grants, newest first", {"total": _NUMBER, "grants": _list(GRANT)}, parameters=_PAGE
            ),
            "post": {
                "summary": "Ask for a grant; issued at once unless the catalogue wants a second person",
                "security": SESSION,
                "requestBody": body(_WANTED, ["authority", "holder_pem"]),
                "responses": {
                    "200": answer("a preview", GRANT),
                    "201": answer("issued", GRANT, issued),
                    "202": answer("waiting for approval", GRANT, issued),
                    **REFUSED,
                },
            },
        },
        "/v1/grants/{grant_id}": {
            "get": _view("One grant", GRANT, optional=issued, parameters=[path("grant_id")])
        },
        "/v1/grants/{grant_id}/approve": {
            "post": _act(
                "Approve what was shown, as another person", "grant_id", "content_sha256", GRANT, issued
            )
        },
        "/v1/grants/{grant_id}/refuse": {"post": _act("Refuse a grant that waits", "grant_id", "why", GRANT)},
        "/v1/grants/{grant_id}/withdraw": {
            "post": _act("Take back one's own grant that waits", "grant_id", "why", GRANT, needed=False)
        },
    }


def _batches() -> dict[str, Any]:
    return {
        "/v1/batches": {
            "get": _view(
                "Batches, newest first", {"total": _NUMBER, "batches": _list(_BATCH)}, parameters=_PAGE
            ),
            "post": {
                "summary": "Ask for many grants; a fault in one row keeps all out, unless only_good",
                "security": SESSION,
                "requestBody": body(
                    {
                        "id": _UUID,
                        "authority": TEXT,
                        "rows": {"type": "array", "items": _ROW, "maxItems": 5000},
                        "only_good": _FLAG,
                    },
                    ["authority", "rows"],
                ),
                "responses": {
                    "202": answer("on record", _BATCH, {"wrong": _WRONG}),
                    **REFUSED,
                    "422": answer("rows have faults; nothing was recorded", _BATCH, {"wrong": _WRONG}),
                },
            },
        },
        "/v1/batches/{batch_id}": {"get": _view("One batch", _BATCH, parameters=[path("batch_id")])},
        "/v1/batches/{batch_id}/grants": {
            "get": _view(
                "Its grants, in the order of their numbers",
                {"grants": _list(GRANT)},
                parameters=[
                    path("batch_id"),
                    query("after", "the number of the last one seen"),
                    query("state", "only these"),
                    query("per_page", "at most 100"),
                ],
            )
        },
        "/v1/batches/{batch_id}/approve": {
            "post": _act("Approve a batch as it was shown", "batch_id", "content_sha256", _BATCH)
        },
        "/v1/batches/{batch_id}/refuse": {
            "post": _act("Refuse a batch that waits, or withdraw one's own", "batch_id", "why", _BATCH)
        },
    }


def _catalogue() -> dict[str, Any]:
    rows = {"type": "array", "items": {"type": "object"}}
    content = {"version": _NUMBER, "sha256": TEXT, "roles": rows, "attributes": rows, "exclusions": rows}
    return {
        "/v1/catalogue": {
            "get": _view(
                "Roles, attributes and exclusions",
                content,
                parameters=[query("version", "default: the one in force")],
            )
        }
    }


def _view(
    summary: str,
    properties: dict[str, Any],
    *,
    parameters: list[Any],
    optional: dict[str, Any] | None = None,
) -> Any:
    return {
        "summary": summary,
        "security": SESSION,
        "parameters": parameters,
        "responses": {"200": answer(summary, properties, optional), **REFUSED},
    }


def _act(
    summary: str,
    of: str,
    field: str,
    properties: dict[str, Any],
    optional: dict[str, Any] | None = None,
    *,
    needed: bool = True,
) -> Any:
    view = _view(summary, properties, parameters=[path(of)], optional=optional)
    return {**view, "requestBody": body({field: TEXT}, [field] if needed else [])}


def _list(properties: dict[str, Any]) -> Any:
    return {"type": "array", "items": {"type": "object", "properties": properties}}
