"""`/v1/authorities`: listed, read, as a tree; delegations asked for; suspended, resumed, revoked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify

from onecert.pmi.authorities.states import ADMINISTRATOR, Outcome
from onecert.pmi.authorities.tree import read_tree
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER, GrantRequest
from onecert.pmi.grants.request import DELEGATION
from onecert.pmi.parts import Parts
from onecert.pmi.rest.authority_json import (
    authority_detail,
    authority_json,
    certificate_pem,
    outcome_json,
    survey_json,
)
from onecert.pmi.rest.body import read_body, read_field, read_flag, read_moment, read_object, read_texts
from onecert.pmi.rest.grant_json import grant_json
from onecert.server.languages import _
from onecert.server.web import current_operator, requires_role

__all__ = ["add_authorities"]

READERS = (OFFICER, APPROVER, ADMINISTRATOR, AUDITOR)
_DELEGATION = {
    "to",
    "holder_pem",
    "roles",
    "attributes",
    "depth",
    "permitted",
    "excluded",
    "holder_form",
    "not_before",
    "not_after",
    "id",
}


def add_authorities(api: Blueprint, parts: Parts) -> None:
    """Add the views of authorities."""
    database, clock = parts.context.database, parts.context.clock

    @api.get("/authorities")
    @requires_role(*READERS)
    def list_authorities() -> Response:
        with database.reading() as connection:
            known = parts.authorities.all(connection)
            rows = [authority_json(connection, parts, each) for each in known]
            requested = parts.authorities.requested(connection)
        return jsonify({"authorities": rows, "requested": requested})

    @api.get("/authorities/tree")
    @requires_role(*READERS)
    def show_tree() -> Response:
        with database.reading() as connection:
            tree, given = read_tree(connection, clock.now())
        rows = {name: [each.as_dict() for each in nodes] for name, nodes in tree.items()}
        return jsonify({"tree": rows, "certificates": given})

    @api.get("/authorities/<name>")
    @requires_role(*READERS)
    def read_authority(name: str) -> Response:
        with database.reading() as connection:
            return jsonify(authority_detail(connection, parts, name))

    @api.post("/authorities/<name>/delegations")
    @requires_role(ADMINISTRATOR)
    def delegate(name: str) -> tuple[Response, int]:
        body = read_body(set(), _DELEGATION)
        asked = GrantRequest(
            kind=DELEGATION,
            id=read_field(body, "id", ""),
            authority=name,
            holder=_receiver(parts, body),
            attributes=read_object(body, "attributes"),
            roles=read_texts(body, "roles"),
            holder_form=read_field(body, "holder_form", "key"),
            constraints={each: body[each] for each in ("depth", "permitted", "excluded") if each in body},
            not_before=read_moment(body, "not_before"),
            not_after=read_moment(body, "not_after"),
        )
        grant = parts.grants.request(asked, current_operator())
        return jsonify(grant_json(grant)), 201 if grant.serial else 202

    @api.post("/authorities/<name>/<any(suspend, resume, revoke):act>")
    @requires_role(ADMINISTRATOR)
    def change(name: str, act: str) -> tuple[Response, int]:
        body = read_body(set(), {"content_sha256", "reason", "each"})
        reason, each = read_field(body, "reason", ""), read_flag(body, "each")
        if "content_sha256" not in body:
            survey = parts.authority_states.survey(name, act, reason=reason, each=each)
            return jsonify(survey_json(survey)), 200
        outcome = _do(parts, name, act, reason=reason, each=each, shown=read_field(body, "content_sha256"))
        return jsonify(outcome_json(outcome)), 200 if outcome.is_done else 202


def _do(parts: Parts, name: str, act: str, *, reason: str, each: bool, shown: str) -> Outcome:
    states, operator = parts.authority_states, current_operator()
    if act == "suspend":
        return states.suspend(name, operator, content_sha256=shown, each=each)
    if act == "resume":
        return states.resume(name, operator, content_sha256=shown)
    return states.revoke(name, operator, content_sha256=shown, reason=reason, each=each)


def _receiver(parts: Parts, body: Mapping[str, Any]) -> bytes:
    """Take the certificate of the sub-authority: of one of ours by name, of another one by its PEM."""
    if ("to" in body) == ("holder_pem" in body):
        raise RequestWrongError("to", _("either the name of an authority of ours, or holder_pem"))
    if "holder_pem" in body:
        return read_field(body, "holder_pem").encode()
    with parts.context.database.reading() as connection:
        return certificate_pem(parts.authorities.load(connection, read_field(body, "to"))).encode()
