"""Renewal and `/v1/rebindings`: one attribute certificate takes the place of another."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify

from onecert.pmi.errors import PmiError, RequestWrongError
from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER
from onecert.pmi.life.rebinding import Proposal, Rebound
from onecert.pmi.parts import Parts
from onecert.pmi.rest.body import read_body, read_field, read_moment, read_texts
from onecert.pmi.rest.certificates import certificate_json
from onecert.pmi.rest.grant_json import grant_json
from onecert.server.errors import ServiceError
from onecert.server.languages import _, current_language
from onecert.server.web import current_operator, requires_role
from onecert.verifier.errors import VerifyError

__all__ = ["add_replacements"]

RENEWED_AT_ONCE = 500


def add_replacements(api: Blueprint, parts: Parts) -> None:
    """Add the views of renewals and rebindings."""
    clock = parts.context.clock

    @api.post("/attribute-certificates/renew")
    @requires_role(OFFICER)
    def renew() -> Response:
        body = read_body({"serials"}, {"not_after", "supersede"})
        serials, until = read_texts(body, "serials"), read_moment(body, "not_after")
        supersede = body.get("supersede", False)
        if not isinstance(supersede, bool):
            raise RequestWrongError("supersede", _("not true or false"))
        if not 0 < len(serials) <= RENEWED_AT_ONCE:
            raise RequestWrongError("serials", _("choose one at least, and 500 at most"))
        rows: list[dict[str, Any]] = []
        for serial in serials:
            try:
                done = parts.renewals.renew(serial, current_operator(), until=until, supersede=supersede)
            except (PmiError, VerifyError) as exc:
                rows.append({"serial": serial, "grant": None, "error": _error(exc)})
            else:
                rows.append({"serial": serial, "grant": grant_json(done.grant), "error": None})
        return jsonify({"renewals": rows})

    @api.get("/rebindings")
    @requires_role(OFFICER, APPROVER, AUDITOR)
    def list_rebindings() -> Response:
        found = parts.rebindings.proposals()
        rows = [_proposal(each, clock.now()) for each in found.proposals]
        return jsonify({"content_sha256": found.sha256, "rebindings": rows})

    @api.post("/rebindings")
    @requires_role(OFFICER)
    def confirm_rebindings() -> Response:
        body = read_body({"serials", "content_sha256"})
        done = parts.rebindings.confirm(
            read_texts(body, "serials"),
            current_operator(),
            content_sha256=read_field(body, "content_sha256"),
        )
        return jsonify({"rebindings": [_rebound(each) for each in done]})

    @api.post("/attribute-certificates/<serial>/rebind")
    @requires_role(OFFICER)
    def rebind(serial: str) -> Response:
        certificate = read_field(read_body({"holder_pem"}), "holder_pem").encode()
        grant = parts.rebindings.rebind(serial, certificate, current_operator())
        return jsonify(grant_json(grant))


def _proposal(each: Proposal, at: datetime) -> dict[str, Any]:
    return {
        "certificate": certificate_json(each.record, at),
        "holder_sha256": each.holder.sha256,
        "holder_not_after": each.holder.not_after.isoformat(),
        "proposed_at": each.proposed_at.isoformat(),
    }


def _rebound(each: Rebound) -> dict[str, Any]:
    error = None if each.error is None else _error(each.error)
    return {"serial": each.serial, "grant": grant_json(each.grant) if each.grant else None, "error": error}


def _error(exc: ServiceError | VerifyError) -> dict[str, str]:
    text = exc.text(current_language()) if isinstance(exc, VerifyError) else str(exc)
    return {"code": exc.code, "text": text}
