"""The part of the OpenAPI description about searches and histories."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from onecert.ca.search.search import LIMIT_MAX
from onecert.ca.search.terms import Query

__all__ = ["certificate_paths"]

_TEXT = {"type": "string"}
_MOMENT = {"type": "string", "format": "date-time"}
_MAYBE = {"type": ["string", "null"]}
_JWS = {
    "application/jose+json": {
        "schema": {"type": "object", "required": ["payload", "signatures"], "description": "JWS (RFC 7515)"}
    }
}
_FOUND = {
    "authority": _TEXT,
    "serial": _TEXT,
    "subject": _TEXT,
    "entity": {"type": "string", "description": "numbers of people are masked"},
    "profile": _TEXT,
    "profile_version": {"type": "integer"},
    "state": {"enum": ["intended", "issued", "abandoned"]},
    "status": {"enum": ["good", "hold", "revoked"]},
    "not_before": _MOMENT,
    "not_after": _MOMENT,
    "revoked_at": _MAYBE,
    "reason": _MAYBE,
    "invalidity_date": _MAYBE,
    "partition": {"type": "integer"},
    "order": _TEXT,
    "ordered_by": _TEXT,
    "key_sha256": _TEXT,
    "key_id": _TEXT,
    "sha256": _TEXT,
    "sha1": _TEXT,
}
_PAGE = {
    "certificates": {
        "type": "array",
        "items": {"type": "object", "properties": _FOUND, "required": sorted(_FOUND)},
    },
    "sorted_by": {
        "enum": ["few", "revoked", "expires", "begins", "issued"],
        "description": "the order of the answer",
    },
    "next": _MAYBE | {"description": "the “after” of the next page, which may be short; null: that was all"},
}
_LINK = {
    "type": ["object", "null"],
    "properties": {
        "order": _TEXT,
        "kind": {"enum": ["renew", "rekey", "change", "replace"]},
        "authority": _MAYBE,
        "serial": _MAYBE,
        "revocation": {"enum": ["waiting", "done", "void", "nothing"]},
    },
}
_EVENT = {
    "type": "object",
    "properties": {"at": _MOMENT, "event": _TEXT, "actor": _TEXT, "details": {"type": "object"}},
    "required": ["actor", "at", "details", "event"],
}
_HISTORY = {
    "certificate": {"type": "object", "properties": _FOUND, "required": sorted(_FOUND)},
    "certificate_pem": _MAYBE,
    "chain_pem": {"type": "array", "items": _TEXT, "description": "issuing authority first, root last"},
    "follows": _LINK,
    "followed_by": {"type": "array", "items": _LINK},
    "events": {
        "type": "array",
        "description": "oldest first",
        "items": _EVENT,
    },
    "readings": {
        "type": "object",
        "description": "how often somebody read this, and the last time",
        "properties": {"count": {"type": "integer"}, "last": {"anyOf": [_EVENT, {"type": "null"}]}},
        "required": ["count", "last"],
    },
}


def _answer(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problems(*codes: str) -> dict[str, Any]:
    texts = {
        "400": "a field is unknown or of the wrong form",
        "401": "not signed by a registered key, or not signed in",
        "403": "out of scope, too old, or without the role",
        "404": "never issued",
        "422": "too much fits",
        "503": "not now",
    }
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {code: {"description": texts[code], "content": problem} for code in codes}


def certificate_paths() -> dict[str, Any]:
    """The paths of searches and histories."""
    signed = {"required": True, "content": _JWS}
    limit = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": 100}
    asked = [
        {
            "name": field.name,
            "in": "query",
            "schema": {"type": "integer"} if field.name == "partition" else _TEXT,
        }
        for field in fields(Query)
    ]
    paging = [
        {"name": "limit", "in": "query", "schema": limit},
        {"name": "after", "in": "query", "schema": _TEXT},
    ]
    place = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in ("authority", "serial")
    ]
    return {
        "/v1/searches": {
            "post": {
                "summary": "Search within the scope of the registration authority that signs the question.",
                "requestBody": signed,
                "responses": {
                    "200": _answer("a page", _PAGE),
                    **_problems("400", "401", "403", "422", "503"),
                },
            }
        },
        "/v1/histories": {
            "post": {
                "summary": "The life line of one certificate, for the registration authority that signs.",
                "requestBody": signed,
                "responses": {
                    "200": _answer("all of it", _HISTORY),
                    **_problems("400", "401", "403", "404", "503"),
                },
            }
        },
        "/v1/certificates": {
            "get": {
                "summary": "Search, for signed-in operators of the CA.",
                "parameters": [*asked, *paging],
                "responses": {
                    "200": _answer("a page", _PAGE),
                    **_problems("400", "401", "403", "422", "503"),
                },
            }
        },
        "/v1/certificates/{authority}/{serial}/history": {
            "get": {
                "summary": "The life line of one certificate, for signed-in operators of the CA.",
                "parameters": place,
                "responses": {"200": _answer("all of it", _HISTORY), **_problems("401", "403", "404", "503")},
            }
        },
    }
