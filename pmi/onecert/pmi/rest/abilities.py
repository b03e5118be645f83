"""`/v1/who-can` and `/v1/what-can`: who can do something, what somebody can do; or could then."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from onecert.pmi.decisions.what_can import Look
from onecert.pmi.decisions.who_can import PER_PAGE_MAX
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER
from onecert.pmi.parts import Parts
from onecert.pmi.rest.body import read_body, read_field
from onecert.pmi.rest.decisions import read_act, read_past, read_target, read_use_roles
from onecert.server.languages import _
from onecert.server.web import requires_role

__all__ = ["add_abilities"]


def add_abilities(api: Blueprint, parts: Parts) -> None:
    """Add the views of who can and what can."""
    clock = parts.context.clock

    @api.post("/who-can")
    @requires_role(OFFICER, APPROVER, AUDITOR)
    def who_can() -> Response:
        body = read_body({"action", "resource"}, {"context", "target", "at", "after", "per_page"})
        per_page = body.get("per_page", 100)
        if type(per_page) is not int or not 1 <= per_page <= PER_PAGE_MAX:
            raise RequestWrongError("per_page", _("not a number of the right size"))
        page = parts.who_can.page(
            read_act(body),
            at=read_past(body, clock.now()),
            after=read_field(body, "after", ""),
            per_page=per_page,
        )
        return jsonify(page.as_dict())

    @api.post("/what-can")
    @requires_role(OFFICER, APPROVER, AUDITOR)
    def what_can() -> Response:
        body = read_body(set(), {"certificate_pem", "entity", "at", "target", "use_roles"})
        at = read_past(body, clock.now())
        look = Look(target=read_target(body), use_roles=read_use_roles(body))
        if ("certificate_pem" in body) == ("entity" in body):
            raise RequestWrongError("certificate_pem", _("name either a certificate or an entity"))
        if "entity" in body:
            found = parts.what_can.of_entity(read_field(body, "entity"), at=at, look=look)
        else:
            certificate = read_field(body, "certificate_pem").encode()
            found = [parts.what_can.of_certificate(certificate, at=at, look=look)]
        return jsonify({"holders": [each.as_dict() for each in found]})
