"""The description of attribute certificates in the repository and of their life."""

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
    problem,
    query,
)

__all__ = ["CERTIFICATE", "life_paths"]

_SERIALS = {"type": "array", "items": SERIAL}
_FLAG = {"type": "boolean"}
CERTIFICATE = {
    "serial": SERIAL,
    "kind": {"enum": ["grant", "delegation"]},
    "status": {"enum": ["valid", "held", "revoked", "expired", "intended", "abandoned"]},
    "authority": TEXT,
    "grant": TEXT,
    "holder_sha256": TEXT,
    "holder_form": {"enum": ["certificate", "key", "digest", "name", "entity"]},
    "holder_name": TEXT,
    "entity": TEXT,
    "roles": TEXTS,
    "attributes": {"type": "object", "additionalProperties": {"type": "array"}},
    "short_lived": _FLAG,
    "under": {"type": ["string", "null"], "description": "serial of the delegation of its authority"},
    "not_before": MOMENT,
    "not_after": MOMENT,
    "revoked_at": MAYBE,
    "reason": MAYBE,
    "replaced_by": MAYBE,
    "certificate_pem": MAYBE,
}
_CHANGED = {**CERTIFICATE, "acrl_number": {"type": ["integer", "null"]}}
_ROWS = {"type": "array", "items": {"type": "object", "properties": CERTIFICATE}}
_OBJECTS = {"type": "array", "items": {"type": "object"}}
_WHO = {
    "certificate": {"type": "string", "description": "PEM, or the SHA-256 in hexadecimal; one of the three"},
    "entity": {"type": "string", "description": "canonical id of an entity: everybody in it"},
    "person": {"type": "string", "description": "canonical id of a person: in every entity"},
}
_DEPARTURE = {
    "id": TEXT,
    "who": {"type": "object"},
    "name": TEXT,
    "state": {"enum": ["scheduled", "done", "withdrawn"]},
    "content_sha256": TEXT,
    "effective_at": MOMENT,
    "requested_by": TEXT,
    "requested_at": MOMENT,
    "done_at": MAYBE,
    "receipt": {"type": "object", "description": "what was revoked and refused"},
}
_BASE64 = {"type": "string", "contentEncoding": "base64"}


def life_paths() -> dict[str, Any]:
    """Paths of certificates, of what happens to them, and of the repository."""
    return {**_certificates(), **_acts(), **_departures(), **_replacements(), **_pull()}


def _one(summary: str, properties: dict[str, Any], request: Any = None) -> Any:
    described = {
        "summary": summary,
        "security": SESSION,
        "parameters": [path("serial")],
        "responses": {"200": answer("the certificate", properties), **REFUSED},
    }
    return described if request is None else {**described, "requestBody": request}


def _certificates() -> dict[str, Any]:
    return {
        "/v1/attribute-certificates": {
            "get": {
                "summary": "Search the repository",
                "security": SESSION,
                "parameters": [
                    query(
                        "holder", "any part of a name, canonical id, serial, or SHA-256 of the certificate"
                    ),
                    query("authority", "name of an authority"),
                    query("role", "URI of a role"),
                    query("attribute", "name of an attribute, with value"),
                    query("value", "one of its values"),
                    query("kind", "grant, delegation"),
                    query("status", "valid, held, revoked, expired, intended, abandoned"),
                    query("expiring_days", "valid, and ends within so many days; the first to end first"),
                    query("after", "next of the page before"),
                    query("per_page", "at most 100"),
                ],
                "responses": {
                    "200": answer(
                        "one page, newest first",
                        {
                            "certificates": _ROWS,
                            "next": MAYBE,
                            "is_cut": {
                                "type": "boolean",
                                "description": "not all could be looked at for one page; it goes on at next",
                            },
                        },
                    ),
                    **REFUSED,
                },
            }
        },
        "/v1/attribute-certificates/{serial}": {"get": _one("One attribute certificate", CERTIFICATE)},
    }


def _acts() -> dict[str, Any]:
    single = "/v1/attribute-certificates/{serial}"
    nothing = {"required": False, "content": {}}
    return {
        f"{single}/revoke": {
            "post": _one(
                "Revoke it; a second time changes nothing", _CHANGED, body({"reason": TEXT}, ["reason"])
            )
        },
        f"{single}/hold": {"post": _one("Put it on hold", _CHANGED, nothing)},
        f"{single}/release": {"post": _one("Let it count again", _CHANGED, nothing)},
        "/v1/attribute-certificates/acts": {
            "post": {
                "summary": "Revoke, hold or release many: shown without content_sha256, done with it",
                "security": SESSION,
                "requestBody": body(
                    {
                        "act": {"enum": ["revoke", "hold", "release"]},
                        "serials": _SERIALS,
                        "reason": TEXT,
                        "content_sha256": TEXT,
                    },
                    ["act", "serials"],
                ),
                "responses": {
                    "200": answer(
                        "all of them, and which were changed",
                        {"content_sha256": TEXT, "certificates": _ROWS, "changed": _SERIALS},
                    ),
                    **REFUSED,
                },
            }
        },
    }


def _departures() -> dict[str, Any]:
    shown = {"content_sha256": TEXT, "who": {"type": "object"}, "name": TEXT}
    return {
        "/v1/holders/leaving": {
            "post": {
                "summary": "Everything that somebody holds, over all authorities",
                "security": SESSION,
                "requestBody": body(_WHO, []),
                "responses": {
                    "200": answer("it, with its hash", {**shown, "certificates": _ROWS, "grants": _OBJECTS}),
                    **REFUSED,
                },
            }
        },
        "/v1/departures": {
            "post": {
                "summary": "End of office: revoke all that was shown, at once or at a time",
                "security": SESSION,
                "requestBody": body(
                    {**_WHO, "content_sha256": TEXT, "effective_at": MOMENT, "id": TEXT}, ["content_sha256"]
                ),
                "responses": {
                    "201": answer("done", _DEPARTURE),
                    "202": answer("scheduled", _DEPARTURE),
                    **REFUSED,
                },
            },
            "get": {
                "summary": "The newest ends of office",
                "security": SESSION,
                "parameters": [query("state", "scheduled, done, withdrawn")],
                "responses": {"200": answer("100 at most", {"departures": _OBJECTS}), **REFUSED},
            },
        },
        "/v1/departures/{departure_id}": {
            "get": {
                "summary": "One end of office, with its receipt",
                "security": SESSION,
                "parameters": [path("departure_id")],
                "responses": {"200": answer("it", _DEPARTURE), **REFUSED},
            }
        },
        "/v1/departures/{departure_id}/withdraw": {
            "post": {
                "summary": "Give up one that is still to come",
                "security": SESSION,
                "parameters": [path("departure_id")],
                "requestBody": body({}, []),
                "responses": {"200": answer("withdrawn", _DEPARTURE), **REFUSED},
            }
        },
    }


def _replacements() -> dict[str, Any]:
    many = {"security": SESSION}
    return {
        "/v1/attribute-certificates/renew": {
            "post": {
                **many,
                "summary": "Ask for the same again for a new period; approved as the catalogue says",
                "requestBody": body(
                    {"serials": _SERIALS, "not_after": MOMENT, "supersede": _FLAG}, ["serials"]
                ),
                "responses": {
                    "200": answer("a grant or an error for each", {"renewals": _OBJECTS}),
                    **REFUSED,
                },
            }
        },
        "/v1/attribute-certificates/{serial}/rebind": {
            "post": _one(
                "Issue it anew for a newer certificate of its holder; the old one is superseded",
                {"id": TEXT, "state": TEXT, "serial": MAYBE},
                body({"holder_pem": TEXT}, ["holder_pem"]),
            )
        },
        "/v1/rebindings": {
            "get": {
                **many,
                "summary": "Live certificates whose holder has a newer certificate",
                "responses": {
                    "200": answer("proposals", {"content_sha256": TEXT, "rebindings": _OBJECTS}),
                    **REFUSED,
                },
            },
            "post": {
                **many,
                "summary": "Carry out what is proposed for these",
                "requestBody": body(
                    {"serials": _SERIALS, "content_sha256": TEXT}, ["content_sha256", "serials"]
                ),
                "responses": {
                    "200": answer("a grant or an error for each", {"rebindings": _OBJECTS}),
                    **REFUSED,
                },
            },
        },
    }


def _pull() -> dict[str, Any]:
    delegation = {"type": "object", "properties": {"certificate": _BASE64, "holder_certificate": _BASE64}}
    authority = {
        "type": "object",
        "properties": {"name": TEXT, "kind": TEXT, "certificate": _BASE64, "acrl": TEXT, "ocsp": TEXT},
    }
    return {
        "/v1/holders/{sha256}/attribute-certificates": {
            "get": {
                "summary": "For relying parties: what is live for the holder of this certificate, unverified",
                "parameters": [
                    path("sha256"),
                    query("key", "SHA-256 of its SubjectPublicKeyInfo"),
                    query("entity", "canonical id of the legal entity itself"),
                ],
                "responses": {
                    "200": answer(
                        "certificates, delegations above them, authorities, where their status is",
                        {
                            "holder_sha256": TEXT,
                            "certificates": {"type": "array", "items": _BASE64, "maxItems": 64},
                            "delegations": {"type": "array", "items": delegation},
                            "authorities": {"type": "array", "items": authority},
                        },
                    ),
                    "304": {"description": "as before (ETag)"},
                    "422": problem("a field is wrong"),
                    "429": problem("too many questions from this address"),
                    "503": problem("not now"),
                },
            }
        },
    }
