"""`/v1/grants`: asked for, read, approved, refused."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from onecert.pmi.authorities.states import ADMINISTRATOR
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER, Grant
from onecert.pmi.grants.request import STATES, GrantRequest
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import load_certificate
from onecert.pmi.rest.body import (
    read_body,
    read_field,
    read_flag,
    read_moment,
    read_object,
    read_page,
    read_state,
    read_texts,
)
from onecert.pmi.rest.certificates import certificate_json
from onecert.pmi.rest.grant_json import grant_json
from onecert.server.languages import _
from onecert.server.web import current_operator, requires_role

__all__ = ["add_grants", "grant_json", "read_request"]

READERS = (OFFICER, APPROVER, ADMINISTRATOR, AUDITOR)
_OPTIONAL = {
    "id",
    "attributes",
    "roles",
    "targets",
    "target_groups",
    "holder_form",
    "short_lived",
    "audit_identity",
    "recipient_pem",
    "not_before",
    "not_after",
    "preview",
}


def add_grants(api: Blueprint, parts: Parts) -> None:
    """Add the views of grants."""

    @api.get("/grants")
    @requires_role(*READERS)
    def list_grants() -> Response:
        page, per_page = read_page()
        found, total = parts.grants.page(state=read_state(STATES), page=page, per_page=per_page)
        return jsonify({"total": total, "grants": [grant_json(each) for each in found]})

    @api.post("/grants")
    @requires_role(OFFICER)
    def request_grant() -> tuple[Response, int]:
        body = read_body({"authority", "holder_pem"}, _OPTIONAL)
        asked = read_request(body)
        if read_flag(body, "preview"):
            return jsonify(grant_json(parts.grants.preview(asked, current_operator()))), 200
        grant = parts.grants.request(asked, current_operator())
        return jsonify(_with_certificate(parts, grant)), 201 if grant.serial else 202

    @api.get("/grants/<grant_id>")
    @requires_role(*READERS)
    def read_grant(grant_id: str) -> Response:
        return jsonify(_with_certificate(parts, parts.grants.load(grant_id)))

    @api.post("/grants/<grant_id>/approve")
    @requires_role(APPROVER, ADMINISTRATOR)
    def approve_grant(grant_id: str) -> Response:
        shown = read_field(read_body({"content_sha256"}), "content_sha256")
        grant = parts.grants.approve(grant_id, current_operator(), content_sha256=shown)
        return jsonify(_with_certificate(parts, grant))

    @api.post("/grants/<grant_id>/refuse")
    @requires_role(APPROVER)
    def refuse_grant(grant_id: str) -> Response:
        why = read_field(read_body({"why"}), "why")
        return jsonify(grant_json(parts.grants.refuse(grant_id, current_operator(), why)))

    @api.post("/grants/<grant_id>/withdraw")
    @requires_role(OFFICER)
    def withdraw_grant(grant_id: str) -> Response:
        why = read_field(read_body(set(), {"why"}), "why", "")
        return jsonify(grant_json(parts.grants.withdraw(grant_id, current_operator(), why)))


def read_request(body: Any) -> GrantRequest:
    """Take over what is asked for. Raises RequestWrongError."""
    attributes = read_object(body, "attributes")
    for name, values in attributes.items():
        if not isinstance(values, list):
            raise RequestWrongError(name[:64], _("not a list"))
    return GrantRequest(
        id=read_field(body, "id", ""),
        authority=read_field(body, "authority"),
        holder=read_field(body, "holder_pem").encode(),
        attributes=attributes,
        roles=read_texts(body, "roles"),
        targets=read_texts(body, "targets"),
        target_groups=read_texts(body, "target_groups"),
        holder_form=read_field(body, "holder_form", "certificate"),
        short_lived=read_flag(body, "short_lived"),
        audit_identity=read_field(body, "audit_identity", ""),
        recipient=read_field(body, "recipient_pem", "").encode(),
        not_before=read_moment(body, "not_before"),
        not_after=read_moment(body, "not_after"),
    )


def _with_certificate(parts: Parts, grant: Grant) -> dict[str, Any]:
    content = grant_json(grant)
    if grant.serial:
        with parts.context.database.reading() as connection:
            record = load_certificate(connection, grant.serial)
        content["certificate"] = certificate_json(record, parts.context.clock.now())
    return content
