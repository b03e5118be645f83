"""The description of the service (OpenAPI 3.1); a test compares it with what the service does."""

from __future__ import annotations

from typing import Any

from onecert.verifier.service.calls import FORM_KINDS, PURPOSES

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
                    "document": {**_BASE64, "description": "unless the signature carries it"},
                    "signature": {
                        **_BASE64,
                        "description": "of this kind, the whole file for xml and pdf; raw when there is a "
                        "certificate",
                    },
                    "kind": {
                        "enum": list(FORM_KINDS),
                        "default": "cms",
                        "description": "xml and pdf need an extra of the verifier: else FORM_EXTRA_MISSING",
                    },
                    "certificate": {**_CERTIFICATE, "description": "the signer's, for a raw signature"},
                    "element": {
                        "type": "string",
                        "maxLength": 1024,
                        "description": "xml: {namespace}name of the signed element, when it is only a part",
                    },
                    "allow_filling": {
                        "type": "boolean",
                        "default": False,
                        "description": "pdf: fields may have been filled in after the last signature",
                    },
                    "several_signers": {"type": "boolean", "default": False},
                    "evidence": {"type": "boolean", "default": False},
                },
                ["signature"],
                answer="FormVerdict",
            ),
            "/v1/evidence": _call(
                "Does this evidence record still hold?",
                {"record": _BASE64, "document": _BASE64},
                ["record"],
                answer="FormVerdict",
            ),
            "/v1/trust-list": _page("The trust list in use", {"type": "object"}, can_fail=True),
            "/openapi.json": _page("This description", {"type": "object"}),
            "/healthz": _page(
                "The process answers; anybody may ask",
                {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}},
                anybody=True,
            ),
            "/readyz": _page("Certificates can be accepted; 503 says why not", _READY, can_fail=True),
            "/metrics": _page("Figures for Prometheus", {"type": "string"}, kind="text/plain"),
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Verdict": _VERDICT,
                "FormVerdict": _FORM_VERDICT,
                "Challenge": _CHALLENGE,
                "Problem": _PROBLEM,
            },
        },
        "security": [{"token": []}, {}],
    }


_VERDICT_PROPERTIES = {
    "verdict": {"enum": ["accepted", "refused", "could-not-check"]},
    "code": {"type": "string", "description": "stable reason of a refusal"},
    "text": _BOTH,
    "hint": _BOTH,
}
_VERDICT = {
    "type": "object",
    "required": ["verdict"],
    "properties": {
        **_VERDICT_PROPERTIES,
        "id": {"type": "string", "description": "canonical identity, such as uscc:91440300MA5DEM004J"},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "offline": {"type": "boolean", "description": "judged by a bundle"},
        "as_of": {"type": ["string", "null"], "description": "when what the bundle says was true"},
    },
}
_FORM_VERDICT = {
    "type": "object",
    "required": ["verdict"],
    "properties": {
        **_VERDICT_PROPERTIES,
        "signers": {
            "type": "array",
            "items": {"type": "object", "properties": {"identity": {"type": ["object", "null"]}}},
        },
        "record": {**_BASE64, "description": "the evidence record, when it was asked for"},
        "recorded": {"type": "object", "description": "evidence: the verdict in the record"},
        "warnings": {"type": "array", "items": {"type": "string"}},
    },
}
_AGE = {
    "type": "object",
    "required": ["age_s", "left_s"],
    "properties": {name: {"type": "integer"} for name in ("number", "age_s", "left_s")},
}
_READY = {
    "type": "object",
    "required": ["status", "trust_list"],
    "properties": {
        "status": {"const": "ready"},
        "trust_list": {"type": "integer", "description": "its sequence number"},
        **dict.fromkeys(("root", "timestamp", "bundle", "registry"), _AGE),
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
        "405": "another method",
        "413": "too large",
        "415": "not JSON",
        "503": "nothing can be judged now",
    }.items()
}


def _call(
    about: str,
    fields: dict[str, Any],
    required: list[str],
    *,
    made: bool = False,
    answer: str = "Verdict",
) -> dict[str, Any]:
    request = {
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }
    verdict = {
        "description": "the verdict",
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{answer}"}}},
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


def _page(
    about: str,
    schema: dict[str, Any],
    *,
    kind: str = "application/json",
    can_fail: bool = False,
    anybody: bool = False,
) -> dict[str, Any]:
    refused = ["405", *([] if anybody else ["401", "403"]), *(["503"] if can_fail else [])]
    answers = {"200": {"description": about, "content": {kind: {"schema": schema}}}}
    answers |= {status: _REFUSALS[status] for status in sorted(refused)}
    page: dict[str, Any] = {"summary": about, "responses": answers}
    return {"get": page | ({"security": [{}]} if anybody else {})}
