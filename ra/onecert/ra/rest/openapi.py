"""The OpenAPI 3.1 document of /ra/v1/, made from the same tables as the forms."""

from typing import Any

from onecert.ra.content.fields import CONSENTS, FIELDS, Kind
from onecert.ra.life.machine import CERTIFICATE, State
from onecert.ra.rest import (
    counter,
    openapi_batches,
    openapi_cases,
    openapi_emergencies,
    openapi_evidence,
    openapi_organisation,
    openapi_reports,
    openapi_review,
    search,
)
from onecert.ra.rest.openapi_parts import (
    MAYBE,
    MAYBE_MOMENT,
    MOMENT,
    NUMBER,
    TEXT,
    array,
    operation,
    parameter,
    query,
    record,
    ref,
)
from onecert.ra.revocation.reasons import REASONS

__all__ = ["document"]


_CONSENT = {
    "type": "object",
    "description": "The applicant's consent to the service agreement and to the processing of personal data; "
    "without it nothing is submitted. A renewal, change or replacement goes on under the one given before "
    "while that version is in force. `GET /consent-texts` has the texts.",
    "properties": {
        "version": {"type": "string", "description": "of the texts that were agreed to"},
        "how": {"enum": list(CONSENTS)},
    },
    "required": ["version", "how"],
    "additionalProperties": False,
}


def document(base: str) -> dict[str, Any]:
    """The whole document; `base` is where it is served."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OneCert registration authority",
            "version": "1",
            "description": "Applications, two-person approval, certificates. "
            "The caller is a signed-in session "
            "or a client certificate bound to an account; with a session, send JSON or X-CSRF-Token.",
        },
        "servers": [{"url": base}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "responses": {
                "problem": {
                    "description": "Refused (4xx) or could not (503)",
                    "content": {"application/problem+json": {"schema": ref("Problem")}},
                }
            },
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "__Secure-onecert-ra"},
                "certificate": {"type": "mutualTLS"},
                "counter": {"type": "http", "scheme": "bearer"},
            },
        },
        "security": [{"session": []}, {"certificate": []}],
    }


def _paths() -> dict[str, Any]:
    listing = [query("q"), query("authority"), query("cursor"), query("limit")]
    identifier = [parameter("id")]
    place = [parameter("authority"), parameter("serial")]
    idempotent = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 64}}
    paths: dict[str, Any] = {
        "/authorities": {"get": operation("List authorities and profiles", "Authorities")},
        "/applications": {
            "get": operation(
                "List applications", "ApplicationPage", [*listing, query("state"), query("business")]
            ),
            "post": operation("Enter an application", "Application", [idempotent], "Entry", status="201"),
        },
        "/consent-texts": {"get": operation("The texts that applicants agree to", "ConsentTexts")},
        "/applications/{id}": {"get": operation("One application", "Application", identifier)},
        "/certificates": {"get": operation("List certificates", "CertificatePage", listing)},
        "/certificates/search": {
            "post": operation("Search, also by id-card number", "CertificatePage", listing[1:], "Search")
        },
        "/certificates/{authority}/{serial}": {"get": operation("One certificate", "Certificate", place)},
    }
    for act, body in {
        "submit": None,
        "approve": "Approval",
        "return": "Return",
        "reject": "Reason",
        "withdraw": None,
        "reopen": None,
        "deliver": None,
        "archive": "Filing",
    }.items():
        summary = f"{act.capitalize()} an application"
        paths[f"/applications/{{id}}/{act}"] = {"post": operation(summary, "Application", identifier, body)}
    for act in ("renew", "change", "replace"):
        summary = f"Enter an application to {act} a certificate"
        follow = operation(summary, "Application", [*place, idempotent], "Following", status="201")
        paths[f"/certificates/{{authority}}/{{serial}}/{act}"] = {"post": follow}
    for act in ("revoke", "hold", "release"):
        change = operation(
            f"{act.capitalize()} a certificate",
            "Certificate",
            [*place, idempotent],
            "Revocation" if act == "revoke" else "Change",
        )
        change["responses"]["202"] = {
            "description": "On record and signed; sent to the authority until it answers",
            "content": {"application/json": {"schema": ref("Certificate")}},
        }
        paths[f"/certificates/{{authority}}/{{serial}}/{act}"] = {"post": change}
    paths |= openapi_evidence.paths()
    return {
        **paths,
        **openapi_batches.paths(),
        **openapi_cases.paths(),
        **openapi_emergencies.paths(),
        **openapi_review.paths(),
        **openapi_organisation.paths(),
        **counter.paths(),
        **search.paths(),
        **openapi_reports.paths(),
    }


def _schemas() -> dict[str, Any]:
    fields = sorted({field.name for row in FIELDS.values() for field in row})
    application = {
        "id": TEXT,
        "number": TEXT,
        "type": {"enum": [kind.value for kind in Kind]},
        "authority": TEXT,
        "profile": TEXT,
        "profile_version": NUMBER,
        "state": {"enum": [state.value for state in State]},
        "state_since": MOMENT,
        "revision": NUMBER,
        "name": TEXT,
        "uscc": MAYBE,
        "idcard_masked": MAYBE,
        "content_sha256": MAYBE,
        "created_at": MOMENT,
        "created_by": TEXT,
        "submitted_by": MAYBE,
        "reviewed_by": MAYBE,
        "passed_on_by": MAYBE,
        "reason": MAYBE,
        "order": MAYBE,
        "business": {"enum": sorted(CERTIFICATE)},
        "follows": {"oneOf": [ref("Followed"), {"type": "null"}]},
        "point": TEXT,
        "project": MAYBE,
    }
    certificate = {
        "authority": TEXT,
        "serial": TEXT,
        "type": {"enum": [kind.value for kind in Kind]},
        "name": TEXT,
        "uscc": MAYBE,
        "idcard_masked": MAYBE,
        "sha256": TEXT,
        "not_before": MOMENT,
        "not_after": MOMENT,
        "issued_at": MOMENT,
        "status": {"enum": ["good", "hold", "revoked", "expired"]},
        "status_since": MOMENT,
        "reason": MAYBE,
        "application": TEXT,
        "point": TEXT,
        "certificate_pem": TEXT,
        "chain_pem": TEXT,
    }
    return {
        **openapi_batches.schemas(),
        **openapi_cases.schemas(),
        **openapi_emergencies.schemas(),
        **openapi_evidence.schemas(),
        **openapi_reports.schemas(),
        **openapi_review.schemas(),
        **openapi_reports.schemas(),
        **counter.schemas(),
        **openapi_organisation.schemas(),
        **search.schemas(),
        "ApplicationSummary": record(application),
        "Application": record(
            {
                **application,
                "certificate": {"oneOf": [ref("CertificateSummary"), {"type": "null"}]},
                "events": {"type": "array", "items": {"type": "object"}},
            }
        ),
        "ApplicationPage": record({"items": array("ApplicationSummary"), "next": MAYBE}),
        "CertificateSummary": record(certificate),
        "Certificate": {
            **record({**certificate, "changes": {"type": "array", "items": {"type": "object"}}}),
            "additionalProperties": True,
        },
        "CertificatePage": record({"items": array("CertificateSummary"), "next": MAYBE}),
        "Authorities": record(
            {
                "stale": {"type": "boolean"},
                "as_of": MAYBE_MOMENT,
                "authorities": {"type": "array", "items": {"type": "object"}},
            }
        ),
        "Entry": record(
            {
                "type": {"enum": [kind.value for kind in Kind]},
                "authority": TEXT,
                "fields": {
                    "type": "object",
                    "properties": dict.fromkeys(fields, TEXT),
                    "additionalProperties": TEXT,
                },
                "csr_pem": TEXT,
                "consent": _CONSENT,
                "point": {"type": "string", "description": "where; needed by who works at several"},
                "project": TEXT,
                "draft": {"type": "boolean", "description": "keep it although fields are missing or wrong"},
                "submit": {"type": "boolean", "description": "submit it for review at once"},
            },
            required=["type", "authority"],
        ),
        "ConsentTexts": record({"version": TEXT, "texts": {"type": "array", "items": {"type": "object"}}}),
        "Followed": record({"authority": TEXT, "serial": TEXT, "reason": TEXT}),
        "Following": record(
            {
                "fields": {
                    "type": "object",
                    "additionalProperties": TEXT,
                    "description": "what differs from the old application",
                },
                "csr_pem": TEXT,
                "reason": {"enum": ["affiliationChanged", "keyCompromise", "superseded"]},
                "early": {
                    "type": "string",
                    "maxLength": 200,
                    "description": "why it is renewed before its time; for whom the authority permits it",
                },
                "consent": _CONSENT,
                "point": TEXT,
                "project": TEXT,
                "submit": {"type": "boolean"},
            },
            required=["csr_pem"],
        ),
        "Approval": record({"content_sha256": TEXT}),
        "Reason": record({"reason": {"type": "string", "minLength": 2, "maxLength": 500}}),
        "Search": record({"q": TEXT}),
        "Change": record({"note": TEXT}, required=[]),
        "Revocation": record(
            {"reason": {"enum": list(REASONS)}, "invalidity_date": MOMENT, "note": TEXT},
            required=["reason"],
        ),
        "Problem": {
            "type": "object",
            "properties": {
                "type": TEXT,
                "title": TEXT,
                "status": NUMBER,
                "code": TEXT,
                "detail": TEXT,
                "hint": TEXT,
                "errors": {"type": "array", "items": {"type": "object"}},
            },
            "required": ["type", "title", "status", "code", "detail"],
        },
    }
