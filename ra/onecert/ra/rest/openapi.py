"""The OpenAPI 3.1 document of /ra/v1/, made from the same tables as the forms."""

from typing import Any

from onecert.ra.applications.states import State
from onecert.ra.content.fields import FIELDS, Kind
from onecert.ra.revocation.reasons import REASONS

__all__ = ["document"]

_TEXT: dict[str, Any] = {"type": "string"}
_MAYBE: dict[str, Any] = {"type": ["string", "null"]}
_MOMENT: dict[str, Any] = {"type": "string", "format": "date-time"}
_MAYBE_MOMENT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_NUMBER: dict[str, Any] = {"type": "integer"}


def document(base: str) -> dict[str, Any]:
    """The whole document; `base` is where it is served."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OneCert registration authority",
            "version": "1",
            "description": "Applications, two-person approval, certificates. "
            "The caller is a signed-in session "
            "or a client certificate bound to an account; with a session, send JSON or X-CSRF-Token.",
        },
        "servers": [{"url": base}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "responses": {
                "problem": {
                    "description": "Refused (4xx) or could not (503)",
                    "content": {"application/problem+json": {"schema": _ref("Problem")}},
                }
            },
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "__Secure-onecert-ra"},
                "certificate": {"type": "mutualTLS"},
            },
        },
        "security": [{"session": []}, {"certificate": []}],
    }


def _paths() -> dict[str, Any]:
    listing = [_query("q"), _query("authority"), _query("cursor"), _query("limit")]
    identifier = [_path("id")]
    place = [_path("authority"), _path("serial")]
    idempotent = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 64}}
    paths: dict[str, Any] = {
        "/authorities": {"get": _operation("List authorities and profiles", "Authorities")},
        "/applications": {
            "get": _operation("List applications", "ApplicationPage", [*listing, _query("state")]),
            "post": _operation("Enter an application", "Application", [idempotent], "Entry", status="201"),
        },
        "/applications/{id}": {"get": _operation("One application", "Application", identifier)},
        "/certificates": {"get": _operation("List certificates", "CertificatePage", listing)},
        "/certificates/search": {
            "post": _operation("Search, also by id-card number", "CertificatePage", listing[1:], "Search")
        },
        "/certificates/{authority}/{serial}": {"get": _operation("One certificate", "Certificate", place)},
    }
    for act, body in {
        "submit": None,
        "approve": "Approval",
        "return": "Reason",
        "reject": "Reason",
        "withdraw": None,
        "reopen": None,
    }.items():
        summary = f"{act.capitalize()} an application"
        paths[f"/applications/{{id}}/{act}"] = {"post": _operation(summary, "Application", identifier, body)}
    for act in ("revoke", "hold", "release"):
        operation = _operation(
            f"{act.capitalize()} a certificate",
            "Certificate",
            [*place, idempotent],
            "Revocation" if act == "revoke" else "Change",
        )
        operation["responses"]["202"] = {
            "description": "On record and signed; sent to the authority until it answers",
            "content": {"application/json": {"schema": _ref("Certificate")}},
        }
        paths[f"/certificates/{{authority}}/{{serial}}/{act}"] = {"post": operation}
    return paths


def _schemas() -> dict[str, Any]:
    fields = sorted({field.name for row in FIELDS.values() for field in row})
    application = {
        "id": _TEXT,
        "number": _TEXT,
        "type": {"enum": [kind.value for kind in Kind]},
        "authority": _TEXT,
        "profile": _TEXT,
        "profile_version": _NUMBER,
        "state": {"enum": [state.value for state in State]},
        "state_since": _MOMENT,
        "revision": _NUMBER,
        "name": _TEXT,
        "uscc": _MAYBE,
        "idcard_masked": _MAYBE,
        "content_sha256": _MAYBE,
        "created_at": _MOMENT,
        "created_by": _TEXT,
        "submitted_by": _MAYBE,
        "reviewed_by": _MAYBE,
        "reason": _MAYBE,
        "order": _MAYBE,
    }
    certificate = {
        "authority": _TEXT,
        "serial": _TEXT,
        "type": {"enum": [kind.value for kind in Kind]},
        "name": _TEXT,
        "uscc": _MAYBE,
        "idcard_masked": _MAYBE,
        "sha256": _TEXT,
        "not_before": _MOMENT,
        "not_after": _MOMENT,
        "issued_at": _MOMENT,
        "status": {"enum": ["good", "hold", "revoked", "expired"]},
        "status_since": _MOMENT,
        "reason": _MAYBE,
        "application": _TEXT,
        "certificate_pem": _TEXT,
        "chain_pem": _TEXT,
    }
    return {
        "ApplicationSummary": _object(application),
        "Application": _object(
            {
                **application,
                "certificate": {"oneOf": [_ref("CertificateSummary"), {"type": "null"}]},
                "events": {"type": "array", "items": {"type": "object"}},
            }
        ),
        "ApplicationPage": _object({"items": _array("ApplicationSummary"), "next": _MAYBE}),
        "CertificateSummary": _object(certificate),
        "Certificate": {
            **_object({**certificate, "changes": {"type": "array", "items": {"type": "object"}}}),
            "additionalProperties": True,
        },
        "CertificatePage": _object({"items": _array("CertificateSummary"), "next": _MAYBE}),
        "Authorities": _object(
            {
                "stale": {"type": "boolean"},
                "as_of": _MAYBE_MOMENT,
                "authorities": {"type": "array", "items": {"type": "object"}},
            }
        ),
        "Entry": _object(
            {
                "type": {"enum": [kind.value for kind in Kind]},
                "authority": _TEXT,
                "fields": {
                    "type": "object",
                    "properties": dict.fromkeys(fields, _TEXT),
                    "additionalProperties": _TEXT,
                },
                "csr_pem": _TEXT,
                "draft": {"type": "boolean", "description": "keep it although fields are missing or wrong"},
                "submit": {"type": "boolean", "description": "submit it for review at once"},
            },
            required=["type", "authority"],
        ),
        "Approval": _object({"content_sha256": _TEXT}),
        "Reason": _object({"reason": {"type": "string", "minLength": 2, "maxLength": 500}}),
        "Search": _object({"q": _TEXT}),
        "Change": _object({"note": _TEXT}, required=[]),
        "Revocation": _object(
            {"reason": {"enum": list(REASONS)}, "invalidity_date": _MOMENT, "note": _TEXT},
            required=["reason"],
        ),
        "Problem": {
            "type": "object",
            "properties": {
                "type": _TEXT,
                "title": _TEXT,
                "status": _NUMBER,
                "code": _TEXT,
                "detail": _TEXT,
                "hint": _TEXT,
                "errors": {"type": "array", "items": {"type": "object"}},
            },
            "required": ["type", "title", "status", "code", "detail"],
        },
    }


def _operation(
    summary: str,
    answer: str,
    parameters: list[dict[str, Any]] | None = None,
    body: str | None = None,
    *,
    status: str = "200",
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {
            status: {"description": "Done", "content": {"application/json": {"schema": _ref(answer)}}},
            "default": {"$ref": "#/components/responses/problem"},
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"content": {"application/json": {"schema": _ref(body)}}}
    return operation


def _object(properties: dict[str, Any], *, required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }


def _array(name: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(name)}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _query(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "string"}}


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
