"""The REST interface under /v1/: grants and certificates for operators, decisions for anybody.

Described in ``openapi.py``, served at /v1/openapi.json. Every body is a JSON object with known fields only.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from onecert.pmi.decisions.decide import Asked
from onecert.pmi.decisions.policy import read_plain, read_resource, read_text
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER, Grant, GrantRequest
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import STATUSES, Record, Search, find_certificates, load_certificate
from onecert.pmi.rest import openapi
from onecert.pmi.throttle import Throttle
from onecert.server.languages import _, current_language
from onecert.server.web import current_operator, public, requires_role
from onecert.verifier.attribute_certificate import TargetIdentity

__all__ = ["blueprint", "certificate_json", "grant_json", "pem"]

PER_PAGE_MAX = 100
READERS = (OFFICER, APPROVER, AUDITOR)


def blueprint(parts: Parts) -> Blueprint:
    """Build the views on these parts."""
    api = Blueprint("rest", __name__, url_prefix="/v1")
    throttle = Throttle(parts.config.decisions_per_minute)
    clock, database = parts.context.clock, parts.context.database

    @api.post("/grants")
    @requires_role(OFFICER)
    def request_grant() -> tuple[Response, int]:
        body = _body({"authority", "holder_pem", "roles"}, {"id", "targets", "not_before", "not_after"})
        asked = GrantRequest(
            id=_text(body, "id", ""),
            authority=_text(body, "authority"),
            holder=_text(body, "holder_pem").encode(),
            roles=_texts(body, "roles"),
            targets=_texts(body, "targets"),
            not_before=_moment(body, "not_before"),
            not_after=_moment(body, "not_after"),
        )
        grant = parts.grants.request(asked, current_operator())
        return jsonify(_with_certificate(parts, grant)), 201 if grant.serial else 202

    @api.get("/grants/<grant_id>")
    @requires_role(*READERS)
    def read_grant(grant_id: str) -> Response:
        return jsonify(_with_certificate(parts, parts.grants.load(grant_id)))

    @api.post("/grants/<grant_id>/approve")
    @requires_role(APPROVER)
    def approve_grant(grant_id: str) -> Response:
        shown = _text(_body({"content_sha256"}), "content_sha256")
        grant = parts.grants.approve(grant_id, current_operator(), content_sha256=shown)
        return jsonify(_with_certificate(parts, grant))

    @api.get("/attribute-certificates")
    @requires_role(*READERS)
    def search() -> Response:
        with database.reading() as connection:
            found, total = find_certificates(connection, read_search(), clock.now())
        rows = [certificate_json(record, clock.now()) for record in found]
        return jsonify({"total": total, "certificates": rows})

    @api.get("/attribute-certificates/<serial>")
    @requires_role(*READERS)
    def read_certificate(serial: str) -> Response:
        with database.reading() as connection:
            record = load_certificate(connection, serial)
        return jsonify(certificate_json(record, clock.now()))

    @api.post("/attribute-certificates/<serial>/revoke")
    @requires_role(OFFICER, APPROVER)
    def revoke(serial: str) -> Response:
        reason = _text(_body({"reason"}), "reason")
        record, acrl = parts.revocations.revoke(serial, reason=reason, operator=current_operator())
        number = None if acrl is None else acrl.number
        return jsonify({**certificate_json(record, clock.now()), "acrl_number": number})

    @api.post("/decisions")
    @public
    def decide() -> Response:
        throttle.check(request.remote_addr or "", clock.now())
        body = _body(
            {"certificate_pem", "action", "resource"}, {"attribute_certificates", "target", "context"}
        )
        decided = parts.decider.decide(_asked(body, parts.config.decision_max_certificates))
        language = current_language()
        return jsonify(
            {
                "decision": decided.decision,
                "result": decided.answer.result.value,
                "reasons": [reason.as_dict(language) for reason in decided.reasons],
                "obligations": list(decided.answer.obligations),
                "decision_id": decided.id,
                "policy": decided.policy.name,
                "policy_version": decided.policy.version,
                "policy_sha256": decided.policy.sha256,
                "subject": decided.identity.entity,
                "roles": list(decided.roles),
                "at": decided.at.isoformat(),
            }
        )

    @api.get("/openapi.json")
    @public
    def describe() -> Response:
        return jsonify(openapi.document())

    return api


def pem(certificate_der: bytes) -> str:
    """Write an attribute certificate as PEM (RFC 7468, section 9)."""
    text = base64.b64encode(certificate_der).decode("ascii")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    label = "ATTRIBUTE CERTIFICATE"
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def grant_json(grant: Grant) -> dict[str, Any]:
    """A grant for programs."""
    return {
        "id": grant.id,
        "state": grant.state,
        "authority": grant.authority,
        "holder_name": grant.holder_name,
        "entity": grant.entity,
        "roles": list(grant.roles),
        "targets": list(grant.targets),
        "not_before": grant.not_before.isoformat(),
        "not_after": grant.not_after.isoformat(),
        "needs_approval": grant.needs_approval,
        "content_sha256": grant.content_sha256,
        "requested_by": grant.requested_by,
        "approved_by": grant.approved_by,
        "serial": grant.serial,
    }


def certificate_json(record: Record, at: datetime) -> dict[str, Any]:
    """An attribute certificate for programs."""
    return {
        "serial": record.serial,
        "status": record.status(at),
        "authority": record.authority,
        "grant": record.grant_id,
        "holder_sha256": record.holder_sha256,
        "holder_name": record.holder_name,
        "entity": record.entity,
        "roles": list(record.roles),
        "not_before": record.not_before.isoformat(),
        "not_after": record.not_after.isoformat(),
        "revoked_at": record.revoked_at.isoformat() if record.revoked_at else None,
        "reason": record.reason,
        "certificate_pem": pem(record.certificate_der) if record.certificate_der else None,
    }


def read_search(*, per_page: int = 20) -> Search:
    """Take a search from the query of this request. Raises RequestWrongError."""
    query = request.args
    status = query.get("status", "")
    if status and status not in STATUSES:
        raise RequestWrongError("status", _("unknown"))
    return Search(
        holder=query.get("holder", "").strip()[:512],
        authority=query.get("authority", "")[:64],
        role=query.get("role", "")[:512],
        status=status,
        page=_count(query.get("page", "1"), "page", 1_000_000),
        per_page=_count(query.get("per_page", str(per_page)), "per_page", PER_PAGE_MAX),
    )


def _with_certificate(parts: Parts, grant: Grant) -> dict[str, Any]:
    content = grant_json(grant)
    if grant.serial:
        with parts.context.database.reading() as connection:
            record = load_certificate(connection, grant.serial)
        content["certificate"] = certificate_json(record, parts.context.clock.now())
    return content


def _asked(body: Mapping[str, Any], most: int) -> Asked:
    pushed = body.get("attribute_certificates")
    if pushed is not None and (not isinstance(pushed, list) or len(pushed) > most):
        raise RequestWrongError("attribute_certificates", _("not a list, or too long"))
    target = _text(body, "target", "")
    try:
        return Asked(
            certificate=_text(body, "certificate_pem").encode(),
            attribute_certificates=None if pushed is None else [_der(each) for each in pushed],
            action=read_text(body["action"], "action"),
            resource=read_resource(body["resource"]),
            target=TargetIdentity.from_uris(target) if target else None,
            context=read_plain(body.get("context", {}), "context"),
        )
    except ValueError as exc:
        raise RequestWrongError("body", str(exc)[:200]) from exc


def _der(value: object) -> bytes:
    if not isinstance(value, str):
        raise RequestWrongError("attribute_certificates", _("not base64"))
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise RequestWrongError("attribute_certificates", _("not base64")) from exc


def _body(needed: set[str], optional: set[str] | None = None) -> Mapping[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise RequestWrongError("body", _("not a JSON object"))
    unknown = body.keys() - needed - (optional or set())
    missing = needed - body.keys()
    if unknown or missing:
        raise RequestWrongError(min(unknown or missing)[:64], _("unknown") if unknown else _("missing"))
    return body


def _text(body: Mapping[str, Any], field: str, default: str | None = None) -> str:
    value = body.get(field, default)
    if not isinstance(value, str):
        raise RequestWrongError(field, _("not a text"))
    return value


def _texts(body: Mapping[str, Any], field: str) -> tuple[str, ...]:
    value = body.get(field, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RequestWrongError(field, _("not a list of texts"))
    return tuple(value)


def _moment(body: Mapping[str, Any], field: str) -> datetime | None:
    value = body.get(field)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError) as exc:
        raise RequestWrongError(field, _("not a time such as 2026-11-21T09:00:00Z")) from exc
    if found.tzinfo is None:
        raise RequestWrongError(field, _("a time without its zone"))
    return found


def _count(text: str, field: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise RequestWrongError(field, _("not a number of the right size"))
    return int(text)
