"""`/v1/decisions`: anybody asks, about certificates that they present; auditors ask about a time before."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from onecert.pmi.decisions.decide import Asked
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import AUDITOR
from onecert.pmi.parts import Parts
from onecert.pmi.rest.body import read_body, read_field, read_moment, read_texts
from onecert.pmi.throttle import Throttle
from onecert.server.languages import _, current_language
from onecert.server.web import public, requires_role
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.decision import Act, QuestionWrongError, read_plain, read_resource, read_text

__all__ = ["add_decisions", "read_act", "read_past", "read_target", "read_use_roles"]


def add_decisions(api: Blueprint, parts: Parts) -> None:
    """Add the views of decisions."""
    throttle = Throttle(parts.config.decisions_per_minute)
    clock = parts.context.clock
    needed = {"certificate_pem", "action", "resource"}
    optional = {"attribute_certificates", "target", "context", "use_roles"}

    @api.post("/decisions")
    @public
    def decide() -> Response:
        throttle.check(request.remote_addr or "", clock.now())
        asked = _asked(read_body(needed, optional), parts.config.decision_max_certificates)
        return jsonify(parts.decider.decide(asked).as_dict(current_language()))

    @api.post("/decisions/past")
    @requires_role(AUDITOR)
    def decide_then() -> Response:
        body = read_body(needed | {"at"}, optional)
        at = read_past(body, clock.now())
        if at is None:
            raise RequestWrongError("at", _("missing"))
        asked = _asked(body, parts.config.decision_max_certificates)
        return jsonify(parts.decider.decide_then(asked, at).as_dict(current_language()))


def read_act(body: Mapping[str, Any]) -> Act:
    """Take action, resource, context, target and use_roles. Raises RequestWrongError."""
    try:
        return Act(
            action=read_text(body["action"], "action"),
            resource=read_resource(body["resource"]),
            target=read_target(body),
            context=read_plain(body.get("context", {}), "context"),
            use_roles=read_use_roles(body),
        )
    except QuestionWrongError as exc:
        raise RequestWrongError("body", str(exc.facts["detail"])[:200]) from exc


def read_target(body: Mapping[str, Any]) -> TargetIdentity | None:
    """Take the URI of the relying party. Raises RequestWrongError."""
    target = read_field(body, "target", "")
    try:
        return TargetIdentity.from_uris(target) if target else None
    except ValueError as exc:
        raise RequestWrongError("target", str(exc)[:200]) from exc


def read_use_roles(body: Mapping[str, Any]) -> frozenset[str] | None:
    """Take the roles that are to be active; None for all. Raises RequestWrongError."""
    return frozenset(read_texts(body, "use_roles")) if "use_roles" in body else None


def read_past(body: Mapping[str, Any], now: datetime) -> datetime | None:
    """Take a time that is over; None for now. Raises RequestWrongError."""
    at = read_moment(body, "at")
    if at is not None and at > now:
        raise RequestWrongError("at", _("a time that is not over"))
    return at


def _asked(body: Mapping[str, Any], most: int) -> Asked:
    pushed = body.get("attribute_certificates")
    if pushed is not None and (not isinstance(pushed, list) or len(pushed) > most):
        raise RequestWrongError("attribute_certificates", _("not a list, or too long"))
    act = read_act(body)
    return Asked(
        certificate=read_field(body, "certificate_pem").encode(),
        attribute_certificates=None if pushed is None else [_der(each) for each in pushed],
        action=act.action,
        resource=act.resource,
        target=act.target,
        context=act.context,
        use_roles=act.use_roles,
    )


def _der(value: object) -> bytes:
    if not isinstance(value, str):
        raise RequestWrongError("attribute_certificates", _("not base64"))
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise RequestWrongError("attribute_certificates", _("not base64")) from exc
