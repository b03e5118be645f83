"""The OpenAPI 3.1 description of the REST interface, served at /pmi/v1/openapi.json; a test compares both."""

from __future__ import annotations

from typing import Any

from onecert.pmi.rest.openapi_decisions import decision_paths
from onecert.pmi.rest.openapi_life import CERTIFICATE, life_paths
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
)

__all__ = ["document"]

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
    certificate = {"certificate": {"type": "object", "properties": CERTIFICATE}}
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
            **life_paths(),
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
