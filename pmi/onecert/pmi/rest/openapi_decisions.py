"""The description of decisions, of who can and what can, of policies and of the decision log."""

from __future__ import annotations

from typing import Any

from onecert.pmi.rest.openapi_parts import (
    MOMENT,
    PLAIN,
    REFUSED,
    SERIAL,
    SESSION,
    TEXT,
    TEXTS,
    answer,
    body,
    path,
    problem,
    query,
)

__all__ = ["decision_paths"]

REASON = {
    "type": "object",
    "required": ["kind", "code", "text"],
    "properties": {
        "kind": {"enum": ["rule", "role", "certificate", "dropped", "error"]},
        "code": {"type": "string", "description": "stable: the id of a rule, or a reason code"},
        "text": {"type": "string", "description": "in the language of the request"},
        "serial": SERIAL,
    },
}
DECISION = {
    "decision": {"enum": ["permit", "deny"]},
    "result": {"enum": ["permit", "deny", "not_applicable", "indeterminate"]},
    "reasons": {"type": "array", "items": REASON},
    "obligations": TEXTS,
    "decision_id": TEXT,
    "policy": TEXT,
    "policy_version": {"type": "integer"},
    "policy_sha256": TEXT,
    "catalogue_version": {"type": "integer"},
    "subject": TEXT,
    "roles": TEXTS,
    "at": MOMENT,
}


_RESOURCE = {
    "oneOf": [
        {"type": "string", "description": "Type::id"},
        {
            "type": "object",
            "required": ["type", "id"],
            "properties": {"type": TEXT, "id": TEXT, "attributes": PLAIN},
        },
    ]
}
_TARGET = {"type": "string", "description": "URI of the relying party"}
_USE_ROLES = {**TEXTS, "description": "only these roles are active"}
_AT = {**MOMENT, "description": "a time that is over; without it, now"}
_QUESTION = {
    "certificate_pem": TEXT,
    "attribute_certificates": {
        "type": "array",
        "items": {"type": "string", "contentEncoding": "base64"},
        "description": "without it, those in the repository count",
    },
    "action": TEXT,
    "resource": _RESOURCE,
    "target": _TARGET,
    "context": PLAIN,
    "use_roles": _USE_ROLES,
}
_ABLE = {
    "type": "object",
    "properties": {
        "holder_sha256": TEXT,
        "entity": TEXT,
        "person": TEXT,
        "name": TEXT,
        "roles": TEXTS,
        "certificates": {
            "type": "array",
            "items": {"type": "object", "properties": {"serial": SERIAL, "authority": TEXT}},
        },
        "rules": TEXTS,
        "obligations": TEXTS,
    },
}
_WHO = {
    "at": MOMENT,
    "policy": TEXT,
    "policy_version": {"type": "integer"},
    "policy_sha256": TEXT,
    "catalogue_version": {"type": "integer"},
    "token": {"type": "string", "description": "equal tokens: pages of one state"},
    "candidates": {"type": "integer", "description": "by the values on record"},
    "undecided": {"type": "integer", "description": "a rule could not be evaluated for so many"},
    "anybody": {**TEXTS, "description": "rules that ask for nothing"},
    "holders": {"type": "array", "items": _ABLE, "description": "decided in full"},
    "after": {"type": "string", "description": "for the next page; empty at the end"},
}
_WHAT = {
    "type": "object",
    "properties": {
        "holder_sha256": TEXT,
        "entity": TEXT,
        "person": TEXT,
        "roles": TEXTS,
        "exclusions": TEXTS,
        "can": {"type": "array", "items": {"type": "object"}},
        "policy_sha256": TEXT,
        "catalogue_version": {"type": "integer"},
        "at": MOMENT,
    },
}
_REPLAY = {
    "decision_id": TEXT,
    "equal": {"type": "boolean"},
    "result": TEXT,
    "rules": TEXTS,
    "differences": {"type": "object"},
    "missing": TEXTS,
}
_VERSION = {
    "name": TEXT,
    "version": {"type": "integer"},
    "sha256": TEXT,
    "published_at": MOMENT,
    "published_by": TEXT,
    "active": {"type": "boolean"},
}


def _operators(method: str, summary: str, content: dict[str, Any]) -> Any:
    return {method: {"summary": summary, "security": SESSION, **content}}


def decision_paths() -> dict[str, Any]:
    """Describe them."""
    objects = {"type": "array", "items": {"type": "object"}}
    return {
        "/v1/decisions": {
            "post": {
                "summary": "May the holder of this certificate do this?",
                "requestBody": body(_QUESTION, ["action", "certificate_pem", "resource"]),
                "responses": {
                    "200": answer("permit or deny, with the reasons", DECISION),
                    "403": problem("the holder's certificate is refused"),
                    "422": problem("a field is wrong"),
                    "429": problem("too many questions from this address"),
                    "503": problem("could not be checked; treat it as deny"),
                },
            },
            **_operators(
                "get",
                "The newest decisions of some days, for auditors; audited",
                {
                    "parameters": [
                        query("from", "first day, UTC; default: today"),
                        query("to", "last day; default: today"),
                        query("entity", "canonical id of the holder"),
                        query("action", "its name"),
                        query("result", "permit, deny, not_applicable, indeterminate"),
                        query("resource", "Type::id"),
                        query("rule", "id of a rule that determined it"),
                        query("policy_sha256", "of the policy"),
                        query("per_page", "at most 1000"),
                    ],
                    "responses": {"200": answer("newest first", {"decisions": objects}), **REFUSED},
                },
            ),
        },
        "/v1/decisions/past": _operators(
            "post",
            "Might the holder have done this then? For auditors",
            {
                "requestBody": body(
                    {**_QUESTION, "at": MOMENT}, ["action", "at", "certificate_pem", "resource"]
                ),
                "responses": {"200": answer("permit or deny, with the reasons", DECISION), **REFUSED},
            },
        ),
        "/v1/decisions/{decision_id}": _operators(
            "get",
            "One decision and the facts it was made by; audited",
            {
                "parameters": [path("decision_id")],
                "responses": {
                    "200": answer("the decision", {"line": {"type": "object"}, "facts": {"type": "object"}}),
                    **REFUSED,
                },
            },
        ),
        "/v1/decisions/{decision_id}/replay": _operators(
            "post",
            "Decide it again by what is on record; audited",
            {
                "parameters": [path("decision_id")],
                "responses": {"200": answer("equal, or what differs", _REPLAY), **REFUSED},
            },
        ),
        "/v1/who-can": _operators(
            "post",
            "Who can do this, or could then, and why",
            {
                "requestBody": body(
                    {
                        "action": TEXT,
                        "resource": _RESOURCE,
                        "context": PLAIN,
                        "target": _TARGET,
                        "at": _AT,
                        "after": TEXT,
                        "per_page": {"type": "integer", "minimum": 1, "maximum": 1000},
                    },
                    ["action", "resource"],
                ),
                "responses": {"200": answer("one page", _WHO), **REFUSED},
            },
        ),
        "/v1/what-can": _operators(
            "post",
            "What a holder can do, or could then; name a certificate or an entity",
            {
                "requestBody": body(
                    {
                        "certificate_pem": TEXT,
                        "entity": TEXT,
                        "at": _AT,
                        "target": _TARGET,
                        "use_roles": _USE_ROLES,
                    },
                    [],
                ),
                "responses": {
                    "200": answer("for each certificate", {"holders": {"type": "array", "items": _WHAT}}),
                    **REFUSED,
                },
            },
        ),
        "/v1/policies": _operators(
            "get",
            "Every version, newest first",
            {
                "responses": {
                    "200": answer(
                        "the versions",
                        {"policies": {"type": "array", "items": {"type": "object", "properties": _VERSION}}},
                    ),
                    **REFUSED,
                }
            },
        ),
        "/v1/policies/{name}/{version}": _operators(
            "get",
            "One version with its content",
            {
                "parameters": [path("name"), path("version")],
                "responses": {
                    "200": answer(
                        "the version",
                        {
                            "name": TEXT,
                            "version": {"type": "integer"},
                            "sha256": TEXT,
                            "content": {"type": "object"},
                        },
                    ),
                    **REFUSED,
                },
            },
        ),
        "/v1/decision-rules": {
            "get": {
                "summary": "What is in force, signed by the policy key, for who decides in their own process",
                "responses": {
                    "200": {"description": "JWS (JSON), typ onecert-decision-rules+json"},
                    "503": problem("there is no policy in force, or it cannot be signed now"),
                },
            }
        },
    }
