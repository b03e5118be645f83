"""`/v1/attribute-certificates`: found, read, revoked."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import STATUSES, Record, Search, find_certificates, load_certificate
from onecert.pmi.rest.body import PER_PAGE_MAX, read_body, read_count, read_field
from onecert.server.languages import _
from onecert.server.web import current_operator, requires_role

__all__ = ["add_certificates", "certificate_json", "pem", "read_search"]

READERS = (OFFICER, APPROVER, AUDITOR)


def add_certificates(api: Blueprint, parts: Parts) -> None:
    """Add the views of attribute certificates."""
    clock, database = parts.context.clock, parts.context.database

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
        reason = read_field(read_body({"reason"}), "reason")
        record, acrl = parts.revocations.revoke(serial, reason=reason, operator=current_operator())
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
        page=read_count(query.get("page", "1"), "page", 1_000_000),
        per_page=read_count(query.get("per_page", str(per_page)), "per_page", PER_PAGE_MAX),
    )
