"""`/v1/grants`: asked for, read, approved."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER, Grant, GrantRequest
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import load_certificate
from onecert.pmi.rest.body import read_body, read_field, read_moment, read_texts
from onecert.pmi.rest.certificates import certificate_json
from onecert.server.web import current_operator, requires_role

__all__ = ["add_grants", "grant_json"]

READERS = (OFFICER, APPROVER, AUDITOR)


def add_grants(api: Blueprint, parts: Parts) -> None:
    """Add the views of grants."""

    @api.post("/grants")
    @requires_role(OFFICER)
    def request_grant() -> tuple[Response, int]:
        body = read_body({"authority", "holder_pem", "roles"}, {"id", "targets", "not_before", "not_after"})
        asked = GrantRequest(
            id=read_field(body, "id", ""),
            authority=read_field(body, "authority"),
            holder=read_field(body, "holder_pem").encode(),
            roles=read_texts(body, "roles"),
            targets=read_texts(body, "targets"),
            not_before=read_moment(body, "not_before"),
            not_after=read_moment(body, "not_after"),
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
        shown = read_field(read_body({"content_sha256"}), "content_sha256")
        grant = parts.grants.approve(grant_id, current_operator(), content_sha256=shown)
        return jsonify(_with_certificate(parts, grant))


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


def _with_certificate(parts: Parts, grant: Grant) -> dict[str, Any]:
    content = grant_json(grant)
    if grant.serial:
        with parts.context.database.reading() as connection:
            record = load_certificate(connection, grant.serial)
        content["certificate"] = certificate_json(record, parts.context.clock.now())
    return content
