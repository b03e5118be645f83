"""The description of the service (OpenAPI 3.1); a test compares it with what the service does."""

from __future__ import annotations

from typing import Any

from onecert.verifier.service.calls import PURPOSES

__all__ = ["describe"]

_BASE64 = {"type": "string", "contentEncoding": "base64"}
_CERTIFICATE = {"type": "string", "description": "PEM, or base64 of DER"}
_SESSION = {"type": "string", "maxLength": 1024, "description": "a secret that only this session has"}
_BOTH = {"type": "object", "properties": {"zh": {"type": "string"}, "en": {"type": "string"}}}


def describe() -> dict[str, Any]:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OneCert verifier",
            "version": "1",
            "description": "Verdicts have status 200; a status from 400 on says that nothing was judged.",
        },
        "paths": {
            "/v1/certificates": _call(
                "Whose certificate is this, and may it be relied upon?",
                {"certificate": _CERTIFICATE, "purpose": {"enum": list(PURPOSES), "default": "login"}},
                ["certificate"],
            ),
            "/v1/explanations": _call(
                "Every path that was tried for this certificate, and why it was accepted or not",
                {"certificate": _CERTIFICATE, "purpose": {"enum": list(PURPOSES), "default": "login"}},
                ["certificate"],
            ),
            "/v1/login/challenges": _call(
                "Something to sign, good once for this session",
                {
                    "session": _SESSION,
                    "client": {**_BASE64, "description": "16 to 64 random octets, for mutual login"},
                },
                ["session"],
                made=True,
            ),
            "/v1/login/answers": _call(
                "Who has signed the challenge?",
                {
                    "challenge": {"type": "string"},
                    "session": _SESSION,
                    "certificate": _CERTIFICATE,
                    "signature": _BASE64,
                    "algorithm": {"type": "string"},
                },
                ["challenge", "session", "certificate", "signature"],
            ),
            "/v1/forms": _call(
                "Who has signed this form?",
                {
                    "document": _BASE64,
                    "signature": {**_BASE64, "description": "CMS; raw when there is a certificate"},
                    "certificate": _CERTIFICATE,
                    "several_signers": {"type": "boolean", "default": False},
                    "evidence": {"type": "boolean", "default": False},
                },
                ["signature"],
            ),
            "/v1/evidence": _call(
                "Does this evidence record still hold?", {"record": _BASE64, "document": _BASE64}, ["record"]
            ),
            "/v1/trust-list": _page("The trust list in use", can_fail=True),
            "/openapi.json": _page("This description"),
            "/healthz": _page("The process answers"),
            "/readyz": _page("Certificates can be accepted; 503 says why not", can_fail=True),
            "/metrics": _page("Figures for Prometheus", "text/plain"),
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Verdict": _VERDICT, "Challenge": _CHALLENGE, "Problem": _PROBLEM},
        },
        "security": [{"token": []}, {}],
    }


_VERDICT = {
    "type": "object",
    "required": ["verdict"],
    "properties": {
        "verdict": {"enum": ["accepted", "refused", "could-not-check"]},
        "id": {"type": "string", "description": "canonical identity, such as uscc:91440300MA5DEM004J"},
        "code": {"type": "string", "description": "stable reason of a refusal"},
        "text": _BOTH,
        "hint": _BOTH,
    },
}
_CHALLENGE = {
    "type": "object",
    "required": ["verdict", "id", "data", "expires_at"],
    "properties": {
        "verdict": {"const": "accepted"},
        "id": {"type": "string", "description": "to be sent back with the answer"},
        "data": {**_BASE64, "description": "what the holder's key signs, octet for octet"},
        "expires_at": {"type": "string", "format": "date-time"},
        "server": {"type": "object", "description": "its signature, for mutual login"},
    },
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}
_REFUSALS = {
    status: {
        "description": about,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, about in {
        "400": "the request is wrong",
        "401": "the token is missing or wrong",
        "403": "only this machine is served",
        "413": "too large",
        "415": "not JSON",
        "503": "nothing can be judged now",
    }.items()
}


def _call(about: str, fields: dict[str, Any], required: list[str], *, made: bool = False) -> dict[str, Any]:
    request = {
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }
    verdict = {
        "description": "the verdict",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Verdict"}}},
    }
    challenge = {
        "description": "the challenge",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Challenge"}}},
    }
    return {
        "post": {
            "summary": about,
            "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
            # A refusal is an answer, also where something would be made.
            "responses": {"200": verdict, **({"201": challenge} if made else {}), **_REFUSALS},
        }
    }


def _page(about: str, kind: str = "application/json", *, can_fail: bool = False) -> dict[str, Any]:
    answers = {"200": {"description": about, "content": {kind: {}}}}
    answers |= {status: _REFUSALS[status] for status in (("401", "403", "503") if can_fail else ())}
    return {"get": {"summary": about, "responses": answers}}
