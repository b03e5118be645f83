"""The OpenAPI 3.1 description of the REST API, served at /ca/v1/openapi.json; a test compares both."""

from __future__ import annotations

from typing import Any

from onecert.ca.openapi_certificates import certificate_paths

__all__ = ["document"]

_TEXT = {"type": "string"}
_MOMENT = {"type": "string", "format": "date-time"}
_SERIAL = {"type": "string", "pattern": "^[0-9a-f]{1,40}$", "description": "hexadecimal"}
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
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


_ISSUED = {
    "order": _TEXT,
    "serial": _SERIAL,
    "certificate_pem": _TEXT,
    "chain_pem": {"type": "array", "items": _TEXT, "description": "issuing authority first, root last"},
    "status": {"const": "issued"},
}
_REVOKED = {
    "serial": _SERIAL,
    "revoked_at": _MOMENT,
    "reason": _TEXT,
    "crl_number": {"type": ["integer", "null"], "description": "null: the list follows as soon as it can"},
}
_DELIVERED = {
    "order": _TEXT,
    "delivered_at": _MOMENT,
    "replaced": {
        "enum": ["waiting", "done", "void", "nothing", None],
        "description": "what became of the revocation of the old certificate; null: the order followed none",
    },
}
_STATUS = {
    "authority": _TEXT,
    "serial": _SERIAL,
    "profile": _TEXT,
    "profile_version": {"type": "integer"},
    "state": {"enum": ["intended", "issued", "abandoned"]},
    "status": {"enum": ["good", "hold", "revoked"]},
    "not_before": _MOMENT,
    "not_after": _MOMENT,
    "revoked_at": {"type": ["string", "null"]},
    "reason": {"type": ["string", "null"]},
    "invalidity_date": {"type": ["string", "null"]},
}
_LIST = {
    "authority": _TEXT,
    "partition": {"type": "integer", "description": "0: the full list"},
    "url": _TEXT,
    "number": {"type": ["integer", "null"], "description": "on record; null before the first"},
    "published_number": {"type": "integer", "description": "of the file that is served"},
    "entries": {"type": "integer"},
    "this_update": _MOMENT,
    "next_update": _MOMENT,
    "due_at": _MOMENT,
    "overdue_at": _MOMENT,
    "sha256": _TEXT,
    "delta": {
        "type": ["object", "null"],
        "properties": {
            "url": _TEXT,
            "base_number": {"type": "integer"},
            "entries": {"type": "integer"},
            "next_update": _MOMENT,
            "published_number": {"type": "integer"},
        },
    },
}
_BATCH = {
    "batch": _TEXT,
    "state": {"enum": ["arriving", "accepted", "done", "cancelled"]},
    "lines": {"type": "integer"},
    "issued": {"type": "integer"},
    "refused": {"type": "integer"},
    "cancelled": {"type": "integer"},
    "missing": {"type": "array", "items": {"type": "integer"}, "description": "parts not yet received"},
    "received_at": _MOMENT,
    "finished_at": {"type": ["string", "null"]},
}
_MASS_REVOCATION = {
    "mass_revocation": _TEXT,
    "state": {"enum": ["arriving", "proposed", "confirmed", "running", "stopped", "done"]},
    "authority": _TEXT,
    "selection": {"type": "object"},
    "is_whole": {"type": "boolean"},
    "reason": _TEXT,
    "invalidity_date": {"type": ["string", "null"]},
    "why": _TEXT,
    "proposed_by": _TEXT,
    "people": {"type": "array", "items": _TEXT},
    "proposed_at": _MOMENT,
    "expires_at": _MOMENT | {"description": "to be confirmed before"},
    "proposal_sha256": _TEXT,
    "certificates": {"type": "integer", "description": "frozen: to be revoked"},
    "holders": {"type": "integer"},
    "already": {"type": "integer", "description": "fit the selection and were revoked before"},
    "serials_sha256": {"type": ["string", "null"], "description": "of the sorted serials, one a line"},
    "confirmed_by": {"type": ["string", "null"]},
    "confirmed_people": {"type": "array", "items": _TEXT},
    "confirmed_at": {"type": ["string", "null"]},
    "began_at": {"type": ["string", "null"]},
    "finished_at": {"type": ["string", "null"]},
    "stopped_by": {"type": ["string", "null"]},
    "crl_number": {"type": ["integer", "null"], "description": "of the full list that has them all"},
    "done": {"type": "integer"},
    "changed": {"type": "integer"},
}
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
    standing = _answer("how it stands", _BATCH)
    signed = {"required": True, "content": _JWS}
    return {
        "/v1/batches": {
            "post": {
                "summary": "Open a batch: a signed head that names up to 100,000 orders in parts, by hash.",
                "requestBody": signed,
                "responses": {"201": _answer("opened", _BATCH), "200": standing, **_REFUSED},
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
                        "content": {"application/jsonl": {"schema": _TEXT}},
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
    standing = _answer("how it stands", _MASS_REVOCATION)
    lines = {"type": "string", "description": "one serial, key hash or entity a line"}
    signed = {"required": True, "content": _JWS}
    paths: dict[str, Any] = {
        "/v1/mass-revocations": {
            "post": {
                "summary": "Propose to revoke many certificates; the selection is frozen.",
                "requestBody": signed,
                "responses": {"201": _answer("proposed", _MASS_REVOCATION), "200": standing, **_REFUSED},
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
    key = {"name": "Idempotency-Key", "in": "header", "schema": _TEXT, "description": "the document's number"}
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
                        "201": _answer("issued now", _ISSUED),
                        "200": _answer("issued before", _ISSUED),
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
                            {"order": _TEXT, "authority": _TEXT, "serial": _SERIAL, "status": _TEXT},
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
                        "200": _answer("recorded", _REVOKED),
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
                        "200": _answer("on record", _DELIVERED),
                        "404": _problem("no such order"),
                        **_REFUSED,
                    },
                }
            },
            "/v1/certificates/{authority}/{serial}": {
                "get": {
                    "summary": "The status of a certificate as recorded.",
                    "parameters": [_path("authority"), _path("serial")],
                    "responses": {"200": _answer("on record", _STATUS), "404": _problem("never issued")},
                }
            },
            **certificate_paths(),
            "/v1/authorities": {
                "get": {
                    "summary": "Issuing authorities, their certificates and profiles.",
                    "responses": {"200": _answer("all", {"authorities": {"type": "array"}})},
                }
            },
            "/v1/lists": {
                "get": {
                    "summary": "Where every revocation list stands: full, partitions, deltas.",
                    "responses": {
                        "200": _answer("all", {"lists": {"type": "array", "items": {"properties": _LIST}}})
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
                        "type": _TEXT,
                        "title": _TEXT,
                        "status": {"type": "integer"},
                        "detail": _TEXT,
                        "code": _TEXT,
                        "hint": _TEXT,
                    },
                    "required": ["code", "status", "title", "type"],
                }
            }
        },
    }
