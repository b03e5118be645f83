"""The OpenAPI 3.1 description of the REST interface, served at /pmi/v1/openapi.json; a test compares both."""

from __future__ import annotations

from typing import Any

__all__ = ["document"]

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_MOMENT = {"type": "string", "format": "date-time"}
_MAYBE = {"type": ["string", "null"]}
_SERIAL = {"type": "string", "pattern": "^[0-9a-f]{1,40}$", "description": "hexadecimal"}
_PLAIN = {
    "type": "object",
    "description": "flat: texts, whole numbers, true, false, lists of texts",
    "additionalProperties": {"type": ["string", "integer", "boolean", "array"]},
}

_CERTIFICATE = {
    "serial": _SERIAL,
    "status": {"enum": ["valid", "revoked", "expired", "intended", "abandoned"]},
    "authority": _TEXT,
    "grant": _TEXT,
    "holder_sha256": _TEXT,
    "holder_name": _TEXT,
    "entity": _TEXT,
    "roles": _TEXTS,
    "not_before": _MOMENT,
    "not_after": _MOMENT,
    "revoked_at": _MAYBE,
    "reason": _MAYBE,
    "certificate_pem": _MAYBE,
}
_GRANT = {
    "id": _TEXT,
    "state": {"enum": ["waiting", "approved", "issued"]},
    "authority": _TEXT,
    "holder_name": _TEXT,
    "entity": _TEXT,
    "roles": _TEXTS,
    "targets": _TEXTS,
    "not_before": _MOMENT,
    "not_after": _MOMENT,
    "needs_approval": {"type": "boolean"},
    "content_sha256": _TEXT,
    "requested_by": _TEXT,
    "approved_by": _MAYBE,
    "serial": _MAYBE,
}
_REASON = {
    "type": "object",
    "required": ["kind", "code", "text"],
    "properties": {
        "kind": {"enum": ["rule", "certificate", "dropped", "error"]},
        "code": {"type": "string", "description": "stable: the id of a rule, or a reason code"},
        "text": {"type": "string", "description": "in the language of the request"},
        "serial": _SERIAL,
    },
}
_DECISION = {
    "decision": {"enum": ["permit", "deny"]},
    "result": {"enum": ["permit", "deny", "not_applicable", "indeterminate"]},
    "reasons": {"type": "array", "items": _REASON},
    "obligations": _TEXTS,
    "decision_id": _TEXT,
    "policy": _TEXT,
    "policy_version": {"type": "integer"},
    "policy_sha256": _TEXT,
    "subject": _TEXT,
    "roles": _TEXTS,
    "at": _MOMENT,
}


def _answer(description: str, properties: dict[str, Any], optional: dict[str, Any] | None = None) -> Any:
    schema = {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": sorted(properties),
    }
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _body(properties: dict[str, Any], required: list[str]) -> Any:
    schema = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> Any:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _path(name: str) -> Any:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _query(name: str, description: str) -> Any:
    return {"name": name, "in": "query", "schema": _TEXT, "description": description}


_REFUSED = {
    "401": _problem("nobody is signed in"),
    "403": _problem("not allowed, or the holder's certificate is refused"),
    "404": _problem("not there"),
    "409": _problem("known with another content, or in another state"),
    "422": _problem("a field is wrong; the code names it"),
    "503": _problem("not now; nothing is half-done, send the same again"),
}
_SESSION: list[dict[str, list[str]]] = [{"session": []}, {"certificate": []}]


def document() -> dict[str, Any]:
    """Build the description."""
    certificate = {"certificate": {"type": "object", "properties": _CERTIFICATE}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OneCert PMI",
            "version": "1",
            "description": "Roles as attribute certificates (RFC 5755), and decisions by them.",
        },
        "paths": {
            "/v1/grants": {
                "post": {
                    "summary": "Ask for a grant; issued at once unless the catalogue wants a second person",
                    "security": _SESSION,
                    "requestBody": _body(
                        {
                            "id": {"type": "string", "format": "uuid", "description": "makes repeating safe"},
                            "authority": _TEXT,
                            "holder_pem": _TEXT,
                            "roles": _TEXTS,
                            "targets": _TEXTS,
                            "not_before": _MOMENT,
                            "not_after": _MOMENT,
                        },
                        ["authority", "holder_pem", "roles"],
                    ),
                    "responses": {
                        "201": _answer("issued", _GRANT, certificate),
                        "202": _answer("waiting for approval", _GRANT, certificate),
                        **_REFUSED,
                    },
                }
            },
            "/v1/grants/{grant_id}": {
                "get": {
                    "summary": "One grant",
                    "security": _SESSION,
                    "parameters": [_path("grant_id")],
                    "responses": {"200": _answer("the grant", _GRANT, certificate), **_REFUSED},
                }
            },
            "/v1/grants/{grant_id}/approve": {
                "post": {
                    "summary": "Approve what was shown, as another person",
                    "security": _SESSION,
                    "parameters": [_path("grant_id")],
                    "requestBody": _body({"content_sha256": _TEXT}, ["content_sha256"]),
                    "responses": {"200": _answer("issued", _GRANT, certificate), **_REFUSED},
                }
            },
            "/v1/attribute-certificates": {
                "get": {
                    "summary": "Search the repository",
                    "security": _SESSION,
                    "parameters": [
                        _query("holder", "name, canonical id, serial, or SHA-256 of the certificate"),
                        _query("authority", "name of an authority"),
                        _query("role", "URI of a role"),
                        _query("status", "valid, revoked, expired, intended, abandoned"),
                        _query("page", "from 1"),
                        _query("per_page", "at most 100"),
                    ],
                    "responses": {
                        "200": _answer(
                            "one page, newest first",
                            {
                                "total": {"type": "integer"},
                                "certificates": {
                                    "type": "array",
                                    "items": {"type": "object", "properties": _CERTIFICATE},
                                },
                            },
                        ),
                        **_REFUSED,
                    },
                }
            },
            "/v1/attribute-certificates/{serial}": {
                "get": {
                    "summary": "One attribute certificate",
                    "security": _SESSION,
                    "parameters": [_path("serial")],
                    "responses": {"200": _answer("the certificate", _CERTIFICATE), **_REFUSED},
                }
            },
            "/v1/attribute-certificates/{serial}/revoke": {
                "post": {
                    "summary": "Revoke it; a second time changes nothing",
                    "security": _SESSION,
                    "parameters": [_path("serial")],
                    "requestBody": _body({"reason": _TEXT}, ["reason"]),
                    "responses": {
                        "200": _answer(
                            "revoked", {**_CERTIFICATE, "acrl_number": {"type": ["integer", "null"]}}
                        ),
                        **_REFUSED,
                    },
                }
            },
            "/v1/decisions": {
                "post": {
                    "summary": "May the holder of this certificate do this?",
                    "requestBody": _body(
                        {
                            "certificate_pem": _TEXT,
                            "attribute_certificates": {
                                "type": "array",
                                "items": {"type": "string", "contentEncoding": "base64"},
                                "description": "without it, those in the repository count",
                            },
                            "action": _TEXT,
                            "resource": {
                                "oneOf": [
                                    {"type": "string", "description": "Type::id"},
                                    {
                                        "type": "object",
                                        "required": ["type", "id"],
                                        "properties": {"type": _TEXT, "id": _TEXT, "attributes": _PLAIN},
                                    },
                                ]
                            },
                            "target": {"type": "string", "description": "URI of the relying party"},
                            "context": _PLAIN,
                        },
                        ["action", "certificate_pem", "resource"],
                    ),
                    "responses": {
                        "200": _answer("permit or deny, with the reasons", _DECISION),
                        "403": _problem("the holder's certificate is refused"),
                        "422": _problem("a field is wrong"),
                        "429": _problem("too many questions from this address"),
                        "503": _problem("could not be checked; treat it as deny"),
                    },
                }
            },
            "/v1/openapi.json": {
                "get": {
                    "summary": "This description",
                    "responses": {"200": {"description": "OpenAPI 3.1"}},
                }
            },
        },
        "components": {
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "__Secure-onecert-pmi"},
                "certificate": {"type": "mutualTLS"},
            },
            "schemas": {
                "Problem": {
                    "type": "object",
                    "description": "RFC 9457",
                    "required": ["type", "title", "status", "detail", "code"],
                    "properties": {
                        "type": _TEXT,
                        "title": _TEXT,
                        "status": {"type": "integer"},
                        "detail": _TEXT,
                        "code": _TEXT,
                        "hint": _TEXT,
                    },
                }
            },
        },
    }
