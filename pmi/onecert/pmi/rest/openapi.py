"""The OpenAPI 3.1 description of the REST interface, served at /pmi/v1/openapi.json; a test compares both."""

from __future__ import annotations

from typing import Any

from onecert.pmi.rest.openapi_decisions import decision_paths
from onecert.pmi.rest.openapi_parts import (
    MAYBE,
    MOMENT,
    REFUSED,
    SERIAL,
    SESSION,
    TEXT,
    TEXTS,
    answer,
    body,
    path,
    query,
)

__all__ = ["document"]

_CERTIFICATE = {
    "serial": SERIAL,
    "status": {"enum": ["valid", "revoked", "expired", "intended", "abandoned"]},
    "authority": TEXT,
    "grant": TEXT,
    "holder_sha256": TEXT,
    "holder_name": TEXT,
    "entity": TEXT,
    "roles": TEXTS,
    "not_before": MOMENT,
    "not_after": MOMENT,
    "revoked_at": MAYBE,
    "reason": MAYBE,
    "certificate_pem": MAYBE,
}
_GRANT = {
    "id": TEXT,
    "state": {"enum": ["waiting", "approved", "issued"]},
    "authority": TEXT,
    "holder_name": TEXT,
    "entity": TEXT,
    "roles": TEXTS,
    "targets": TEXTS,
    "not_before": MOMENT,
    "not_after": MOMENT,
    "needs_approval": {"type": "boolean"},
    "content_sha256": TEXT,
    "requested_by": TEXT,
    "approved_by": MAYBE,
    "serial": MAYBE,
}


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
                    "security": SESSION,
                    "requestBody": body(
                        {
                            "id": {"type": "string", "format": "uuid", "description": "makes repeating safe"},
                            "authority": TEXT,
                            "holder_pem": TEXT,
                            "roles": TEXTS,
                            "targets": TEXTS,
                            "not_before": MOMENT,
                            "not_after": MOMENT,
                        },
                        ["authority", "holder_pem", "roles"],
                    ),
                    "responses": {
                        "201": answer("issued", _GRANT, certificate),
                        "202": answer("waiting for approval", _GRANT, certificate),
                        **REFUSED,
                    },
                }
            },
            "/v1/grants/{grant_id}": {
                "get": {
                    "summary": "One grant",
                    "security": SESSION,
                    "parameters": [path("grant_id")],
                    "responses": {"200": answer("the grant", _GRANT, certificate), **REFUSED},
                }
            },
            "/v1/grants/{grant_id}/approve": {
                "post": {
                    "summary": "Approve what was shown, as another person",
                    "security": SESSION,
                    "parameters": [path("grant_id")],
                    "requestBody": body({"content_sha256": TEXT}, ["content_sha256"]),
                    "responses": {"200": answer("issued", _GRANT, certificate), **REFUSED},
                }
            },
            "/v1/attribute-certificates": {
                "get": {
                    "summary": "Search the repository",
                    "security": SESSION,
                    "parameters": [
                        query("holder", "name, canonical id, serial, or SHA-256 of the certificate"),
                        query("authority", "name of an authority"),
                        query("role", "URI of a role"),
                        query("status", "valid, revoked, expired, intended, abandoned"),
                        query("page", "from 1"),
                        query("per_page", "at most 100"),
                    ],
                    "responses": {
                        "200": answer(
                            "one page, newest first",
                            {
                                "total": {"type": "integer"},
                                "certificates": {
                                    "type": "array",
                                    "items": {"type": "object", "properties": _CERTIFICATE},
                                },
                            },
                        ),
                        **REFUSED,
                    },
                }
            },
            "/v1/attribute-certificates/{serial}": {
                "get": {
                    "summary": "One attribute certificate",
                    "security": SESSION,
                    "parameters": [path("serial")],
                    "responses": {"200": answer("the certificate", _CERTIFICATE), **REFUSED},
                }
            },
            "/v1/attribute-certificates/{serial}/revoke": {
                "post": {
                    "summary": "Revoke it; a second time changes nothing",
                    "security": SESSION,
                    "parameters": [path("serial")],
                    "requestBody": body({"reason": TEXT}, ["reason"]),
                    "responses": {
                        "200": answer(
                            "revoked", {**_CERTIFICATE, "acrl_number": {"type": ["integer", "null"]}}
                        ),
                        **REFUSED,
                    },
                }
            },
            **decision_paths(),
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
                        "type": TEXT,
                        "title": TEXT,
                        "status": {"type": "integer"},
                        "detail": TEXT,
                        "code": TEXT,
                        "hint": TEXT,
                    },
                }
            },
        },
    }
