"""`/v1/attribute-certificates`: found, read; revoked, held and released, one or many."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER
from onecert.pmi.life.revocation import SECURITY
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import (
    STATUSES,
    Record,
    Search,
    load_certificate,
    search_certificates,
)
from onecert.pmi.rest.body import PER_PAGE_MAX, read_body, read_count, read_field, read_texts
from onecert.pmi.status.acrl import Acrl
from onecert.server.languages import _
from onecert.server.web import current_operator, requires_role

__all__ = ["add_certificates", "certificate_json", "pem", "read_search"]

READERS = (OFFICER, APPROVER, AUDITOR, SECURITY)


def add_certificates(api: Blueprint, parts: Parts) -> None:
    """Add the views of attribute certificates."""
    clock, database = parts.context.clock, parts.context.database

    @api.get("/attribute-certificates")
    @requires_role(*READERS)
    def search() -> Response:
        with database.reading() as connection:
            found = search_certificates(connection, read_search(), clock.now())
        rows = [certificate_json(record, clock.now()) for record in found.records]
        return jsonify({"certificates": rows, "next": found.next, "is_cut": found.is_cut})

    @api.get("/attribute-certificates/<serial>")
    @requires_role(*READERS)
    def read_certificate(serial: str) -> Response:
        with database.reading() as connection:
            record = load_certificate(connection, serial)
        return jsonify(certificate_json(record, clock.now()))

    @api.post("/attribute-certificates/<serial>/revoke")
    @requires_role(OFFICER, APPROVER, SECURITY)
    def revoke(serial: str) -> Response:
        reason = read_field(read_body({"reason"}), "reason")
        return changed(*parts.revocations.revoke(serial, reason=reason, operator=current_operator()))

    @api.post("/attribute-certificates/<serial>/hold")
    @requires_role(OFFICER, APPROVER, SECURITY)
    def hold(serial: str) -> Response:
        return changed(*parts.revocations.hold(serial, operator=current_operator()))

    @api.post("/attribute-certificates/<serial>/release")
    @requires_role(OFFICER, APPROVER)
    def release(serial: str) -> Response:
        return changed(*parts.revocations.release(serial, operator=current_operator()))

    @api.post("/attribute-certificates/acts")
    @requires_role(OFFICER, APPROVER, SECURITY)
    def act_on_many() -> Response:
        body = read_body({"act", "serials"}, {"reason", "content_sha256"})
        act, serials = read_field(body, "act"), read_texts(body, "serials")
        reason, now = read_field(body, "reason", ""), clock.now()
        if "content_sha256" not in body:
            shown = parts.revocations.select(act, serials, reason=reason)
            rows = [certificate_json(record, now) for record in shown.records]
            return jsonify({"content_sha256": shown.sha256, "certificates": rows, "changed": []})
        done = parts.revocations.together(
            act,
            serials,
            reason=reason,
            content_sha256=read_field(body, "content_sha256"),
            operator=current_operator(),
        )
        return jsonify(
            {
                "content_sha256": body["content_sha256"],
                "certificates": [certificate_json(record, now) for record in done.records],
                "changed": [record.serial for record in done.changed],
            }
        )

    def changed(record: Record, acrl: Acrl | None) -> Response:
        number = None if acrl is None else acrl.number
        return jsonify({**certificate_json(record, clock.now()), "acrl_number": number})


def pem(certificate_der: bytes) -> str:
    """Write an attribute certificate as PEM (RFC 7468, section 9)."""
    text = base64.b64encode(certificate_der).decode("ascii")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    label = "ATTRIBUTE CERTIFICATE"
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def certificate_json(record: Record, at: datetime) -> dict[str, Any]:
    """An attribute certificate for programs."""
    return {
        "serial": record.serial,
        "kind": record.kind,
        "status": record.status(at),
        "authority": record.authority,
        "grant": record.grant_id,
        "holder_sha256": record.holder_sha256,
        "holder_form": record.holder_form,
        "holder_name": record.holder_name,
        "entity": record.entity,
        "roles": list(record.roles),
        "attributes": dict(record.attributes),
        "short_lived": record.short_lived,
        "under": record.under,
        "not_before": record.not_before.isoformat(),
        "not_after": record.not_after.isoformat(),
        "revoked_at": record.revoked_at.isoformat() if record.revoked_at else None,
        "reason": record.reason,
        "replaced_by": record.replaced_by,
        "certificate_pem": pem(record.certificate_der) if record.certificate_der else None,
    }


def read_search(*, per_page: int = 20) -> Search:
    """Take a search from the query of this request. Raises RequestWrongError."""
    query = request.args
    status, kind = query.get("status", ""), query.get("kind", "")
    if status and status not in STATUSES:
        raise RequestWrongError("status", _("unknown"))
    if kind not in {"", "grant", "delegation"}:
        raise RequestWrongError("kind", _("unknown"))
    days = query.get("expiring_days", "")
    return Search(
        holder=query.get("holder", "").strip()[:512],
        authority=query.get("authority", "")[:64],
        role=query.get("role", "")[:512],
        attribute=query.get("attribute", "")[:64],
        value=query.get("value", "")[:512],
        status=status,
        kind=kind,
        expiring_days=read_count(days, "expiring_days", 3660) if days else None,
        after=query.get("after", "")[:512],
        per_page=read_count(query.get("per_page", str(per_page)), "per_page", PER_PAGE_MAX),
    )
