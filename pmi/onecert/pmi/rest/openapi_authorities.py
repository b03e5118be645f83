"""The description of authorities and delegations."""

from __future__ import annotations

from typing import Any

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
)

__all__ = ["authority_paths"]

_FLAG = {"type": "boolean"}
_COUNT = {"type": "integer"}
_OBJECTS = {"type": "array", "items": {"type": "object"}}
_COUNTS = {"type": "object", "additionalProperties": _COUNT, "description": "by the name of an authority"}
_AUTHORITY = {
    "name": TEXT,
    "kind": {"enum": ["soa", "aa"], "description": "source of authority, or authority by delegation"},
    "state": {"enum": ["active", "suspended", "revoked"]},
    "subject": TEXT,
    "serial": SERIAL,
    "not_after": MOMENT,
    "ends_soon": _FLAG,
    "generation": {"type": "integer", "description": "of its key"},
    "acrl": TEXT,
    "acrl_number": {"type": ["integer", "null"]},
    "acrl_next_update": MAYBE,
}
_DETAIL = {
    "new_key_waits": _FLAG,
    "keys": _OBJECTS,
    "history": _OBJECTS,
    "waits_for_second": {"type": ["object", "null"]},
    "held": {"type": ["array", "null"], "items": {"type": "object"}, "description": "null: a source"},
    "certificate_pem": TEXT,
    "chain_pem": TEXT,
}
_SURVEY = {
    "authority": TEXT,
    "act": {"enum": ["suspend", "resume", "revoke"]},
    "kind": TEXT,
    "state": TEXT,
    "reason": TEXT,
    "each": _FLAG,
    "held": _OBJECTS,
    "below": _OBJECTS,
    "authorities": TEXTS,
    "certificates": _COUNTS,
    "holders": _COUNT,
    "needs_second": _FLAG,
    "waiting_for": MAYBE,
    "content_sha256": TEXT,
}
_OUTCOME = {
    "is_done": _FLAG,
    "changed": _COUNT,
    "acrls": {"type": "object", "description": "number of each new list; null: it follows"},
}
_EACH = {
    "type": "boolean",
    "description": "change every certificate of a holder too; otherwise they end with the chain above them",
}
_REASON = {"enum": ["aACompromise", "privilegeWithdrawn", "cessationOfOperation"]}


def authority_paths() -> dict[str, Any]:
    """Build the paths."""
    return {
        "/v1/authorities": {
            "get": {
                "summary": "Every attribute authority",
                "security": SESSION,
                "responses": {
                    "200": answer(
                        "by name; those requested wait for a certificate",
                        {
                            "authorities": {
                                "type": "array",
                                "items": {"type": "object", "properties": _AUTHORITY},
                            },
                            "requested": TEXTS,
                        },
                    ),
                    **REFUSED,
                },
            }
        },
        "/v1/authorities/tree": {
            "get": {
                "summary": "The delegations that have not ended, each with those under it",
                "security": SESSION,
                "responses": {
                    "200": answer(
                        "by the authority that gave them",
                        {
                            "tree": {"type": "object", "additionalProperties": _OBJECTS},
                            "certificates": _COUNTS,
                        },
                    ),
                    **REFUSED,
                },
            }
        },
        "/v1/authorities/{name}": {
            "get": {
                "summary": "One authority: keys, history, what it may give",
                "security": SESSION,
                "parameters": [path("name")],
                "responses": {"200": answer("the authority", {**_AUTHORITY, **_DETAIL}), **REFUSED},
            }
        },
        "/v1/authorities/{name}/delegations": {
            "post": {
                "summary": "Ask for a delegation by this authority; another administrator approves it",
                "security": SESSION,
                "parameters": [path("name")],
                "requestBody": body(
                    {
                        "to": {"type": "string", "description": "name of an authority here"},
                        "holder_pem": {"type": "string", "description": "certificate of one elsewhere"},
                        "roles": TEXTS,
                        "attributes": {"type": "object", "additionalProperties": {"type": "array"}},
                        "depth": {"type": "integer", "minimum": 0, "maximum": 16},
                        "permitted": TEXTS,
                        "excluded": TEXTS,
                        "holder_form": {"enum": ["key", "digest", "certificate"]},
                        "not_before": MOMENT,
                        "not_after": MOMENT,
                        "id": {"type": "string", "format": "uuid", "description": "makes repeating safe"},
                    },
                    [],
                ),
                "responses": {
                    "202": answer("waits for the second person", {"id": TEXT, "content_sha256": TEXT}),
                    **REFUSED,
                },
            }
        },
        "/v1/authorities/{name}/suspend": _act("Suspend it, and all under it", {"each": _EACH}),
        "/v1/authorities/{name}/resume": _act("Take it back into use", {}),
        "/v1/authorities/{name}/revoke": _act(
            "Revoke it for good, and all under it; a source of authority by two people",
            {"reason": _REASON, "each": _EACH},
        ),
    }


def _act(summary: str, fields: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "content_sha256": {"type": "string", "description": "of what was shown; without it, it is shown"}
    }
    return {
        "post": {
            "summary": summary,
            "security": SESSION,
            "parameters": [path("name")],
            "requestBody": body({**shown, **fields}, []),
            "responses": {
                "200": answer("what it would do, or what was done", _SURVEY, _OUTCOME),
                "202": answer("on record; another administrator confirms it", {**_SURVEY, **_OUTCOME}),
                **REFUSED,
            },
        }
    }
