"""The OpenAPI 3.1 description of the REST interface, served at /pmi/v1/openapi.json; a test compares both."""

from __future__ import annotations

from typing import Any

from onecert.pmi.rest.openapi_authorities import authority_paths
from onecert.pmi.rest.openapi_decisions import decision_paths
from onecert.pmi.rest.openapi_grants import grant_paths
from onecert.pmi.rest.openapi_life import CERTIFICATE, life_paths
from onecert.pmi.rest.openapi_parts import (
    TEXT,
)

__all__ = ["document"]


def document() -> dict[str, Any]:
    """Build the description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OneCert PMI",
            "version": "1",
            "description": "Roles as attribute certificates (RFC 5755), and decisions by them.",
        },
        "paths": {
            **grant_paths(CERTIFICATE),
            **authority_paths(),
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
