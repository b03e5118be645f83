"""The OpenAPI 3.1 description of the REST API, served at /ca/v1/openapi.json; a test compares both."""

from __future__ import annotations

from typing import Any

from onecert.ca.rest.openapi_certificates import certificate_paths
from onecert.ca.rest.openapi_schemas import (
    AUTHORITIES,
    BATCH,
    DELIVERED,
    ISSUED,
    LIST,
    MASS_REVOCATION,
    REVOKED,
    SERIAL,
    STATUS,
    TEXT,
)

__all__ = ["document"]

_JWS = {
    "application/jose+json": {
        "schema": {
            "type": "object",
            "description": "JWS, general JSON serialization (RFC 7515)",
            "required": ["payload", "signatures"],
        }
    }
}


def _answer(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": TEXT}


_REFUSED = {
    "400": _problem("cannot be read"),
    "401": _problem("no registered key signed it, or it was altered"),
    "403": _problem("signed by another, out of scope, or too old"),
    "409": _problem("known with another content, or in another state"),
    "422": _problem("the content breaks a rule; the code names it"),
    "503": _problem("not now; nothing is half-done, post the same again"),
}


def _batch_paths() -> dict[str, Any]:
    lines = {
        "type": "string",
        "description": "JSON lines; a line says what the payload of a single order says",
    }
    standing = _answer("how it stands", BATCH)
    signed = {"required": True, "content": _JWS}
    return {
        "/v1/batches": {
            "post": {
                "summary": "Open a batch: a signed head that names up to 100,000 orders in parts, by hash.",
                "requestBody": signed,
                "responses": {"201": _answer("opened", BATCH), "200": standing, **_REFUSED},
            }
        },
        "/v1/batches/{batch}": {
            "get": {
                "summary": "How far a batch has come.",
                "parameters": [_path("batch")],
                "responses": {"200": standing, "404": _problem("not on record")},
            }
        },
        "/v1/batches/{batch}/parts/{part}": {
            "put": {
                "summary": "Bring a part, at most 8 MiB; with the last one the batch is accepted.",
                "parameters": [_path("batch"), _path("part") | {"schema": {"type": "integer"}}],
                "requestBody": {"required": True, "content": {"application/jsonl": {"schema": lines}}},
                "responses": {
                    "200": standing,
                    "404": _problem("not on record"),
                    "409": _problem("cancelled"),
                    "413": _problem("too large"),
                    "422": _problem("not the lines that the head names"),
                },
            }
        },
        "/v1/batches/results": {
            "post": {
                "summary": "Results after a line, to be asked again with the “after” of the last line.",
                "requestBody": signed,
                "responses": {
                    "200": {
                        "description": "one JSON object a line: line, order, status and serial with"
                        " certificate_pem, or code with detail; the last: after, state",
                        "content": {"application/jsonl": {"schema": TEXT}},
                    },
                    "404": _problem("not on record"),
                    **_REFUSED,
                },
            }
        },
        "/v1/batches/cancellations": {
            "post": {
                "summary": "Begin no more lines of a batch.",
                "requestBody": signed,
                "responses": {"200": standing, "404": _problem("not on record"), **_REFUSED},
            }
        },
    }


def _mass_revocation_paths() -> dict[str, Any]:
    standing = _answer("how it stands", MASS_REVOCATION)
    lines = {"type": "string", "description": "one serial, key hash or entity a line"}
    signed = {"required": True, "content": _JWS}
    paths: dict[str, Any] = {
        "/v1/mass-revocations": {
            "post": {
                "summary": "Propose to revoke many certificates; the selection is frozen.",
                "requestBody": signed,
                "responses": {"201": _answer("proposed", MASS_REVOCATION), "200": standing, **_REFUSED},
            }
        },
        "/v1/mass-revocations/{number}": {
            "get": {
                "summary": "How a mass revocation stands.",
                "parameters": [_path("number")],
                "responses": {"200": standing, "404": _problem("not on record")},
            }
        },
        "/v1/mass-revocations/{number}/lines": {
            "put": {
                "summary": "Bring the lines that the proposal names by number and hash.",
                "parameters": [_path("number")],
                "requestBody": {"required": True, "content": {"text/plain": {"schema": lines}}},
                "responses": {
                    "200": standing,
                    "404": _problem("not on record"),
                    "413": _problem("too large"),
                    "422": _problem("not the lines that were signed for, or lines that name nothing"),
                },
            }
        },
    }
    for name, summary in (
        ("confirmations", "Confirm what was shown, as the second person; it is carried out at once."),
        ("stops", "Stop it; one person may. What is revoked stays so."),
        ("resumptions", "Go on with one that two people had confirmed."),
    ):
        paths[f"/v1/mass-revocations/{name}"] = {
            "post": {
                "summary": summary,
                "requestBody": signed,
                "responses": {"200": standing, "404": _problem("not on record"), **_REFUSED},
            }
        }
    return paths


def document() -> dict[str, Any]:
    """Build the description."""
    key = {"name": "Idempotency-Key", "in": "header", "schema": TEXT, "description": "the document's number"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "OneCert CA", "version": "1"},
        "servers": [{"url": "/ca"}],
        "paths": {
            "/v1/orders": {
                "post": {
                    "summary": "Issue one certificate; the same order again returns the same certificate.",
                    "parameters": [key],
                    "requestBody": {"required": True, "content": _JWS},
                    "responses": {
                        "201": _answer("issued now", ISSUED),
                        "200": _answer("issued before", ISSUED),
                        **_REFUSED,
                    },
                }
            },
            "/v1/orders/{order_id}": {
                "get": {
                    "summary": "What became of an order.",
                    "parameters": [_path("order_id")],
                    "responses": {
                        "200": _answer(
                            "on record",
                            {"order": TEXT, "authority": TEXT, "serial": SERIAL, "status": TEXT},
                        ),
                        "404": _problem("not on record"),
                    },
                }
            },
            **_batch_paths(),
            **_mass_revocation_paths(),
            "/v1/revocations": {
                "post": {
                    "summary": "Revoke, hold (certificateHold) or release (removeFromCRL) one certificate.",
                    "parameters": [key],
                    "requestBody": {"required": True, "content": _JWS},
                    "responses": {
                        "200": _answer("recorded", REVOKED),
                        "404": _problem("never issued"),
                        **_REFUSED,
                    },
                }
            },
            "/v1/deliveries": {
                "post": {
                    "summary": "The holder has the certificate of an order; what was to follow, follows.",
                    "requestBody": {"required": True, "content": _JWS},
                    "responses": {
                        "200": _answer("on record", DELIVERED),
                        "404": _problem("no such order"),
                        **_REFUSED,
                    },
                }
            },
            "/v1/certificates/{authority}/{serial}": {
                "get": {
                    "summary": "The status of a certificate as recorded.",
                    "parameters": [_path("authority"), _path("serial")],
                    "responses": {"200": _answer("on record", STATUS), "404": _problem("never issued")},
                }
            },
            **certificate_paths(),
            "/v1/authorities": {
                "get": {
                    "summary": "Issuing authorities, their certificates and profiles.",
                    "responses": {"200": _answer("all", {"authorities": AUTHORITIES})},
                }
            },
            "/v1/lists": {
                "get": {
                    "summary": "Where every revocation list stands: full, partitions, deltas.",
                    "responses": {
                        "200": _answer("all", {"lists": {"type": "array", "items": {"properties": LIST}}})
                    },
                }
            },
            "/v1/openapi.json": {
                "get": {"summary": "This document.", "responses": {"200": {"description": "OpenAPI 3.1"}}}
            },
        },
        "components": {
            "schemas": {
                "Problem": {
                    "type": "object",
                    "description": "RFC 9457; “code” is stable, “detail” and “hint” are for people.",
                    "properties": {
                        "type": TEXT,
                        "title": TEXT,
                        "status": {"type": "integer"},
                        "detail": TEXT,
                        "code": TEXT,
                        "hint": TEXT,
                    },
                    "required": ["code", "status", "title", "type"],
                }
            }
        },
    }
