"""`/v1/decisions`: anybody asks, about certificates that they present."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from onecert.pmi.decisions.decide import Asked
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.parts import Parts
from onecert.pmi.rest.body import read_body, read_field, read_texts
from onecert.pmi.throttle import Throttle
from onecert.server.languages import _, current_language
from onecert.server.web import public
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.decision import QuestionWrongError, read_plain, read_resource, read_text

__all__ = ["add_decisions"]


def add_decisions(api: Blueprint, parts: Parts) -> None:
    """Add the views of decisions."""
    throttle = Throttle(parts.config.decisions_per_minute)
    clock = parts.context.clock

    @api.post("/decisions")
    @public
    def decide() -> Response:
        throttle.check(request.remote_addr or "", clock.now())
        optional = {"attribute_certificates", "target", "context", "use_roles"}
        body = read_body({"certificate_pem", "action", "resource"}, optional)
        decision = parts.decider.decide(_asked(body, parts.config.decision_max_certificates))
        return jsonify(decision.as_dict(current_language()))


def _asked(body: Mapping[str, Any], most: int) -> Asked:
    pushed = body.get("attribute_certificates")
    if pushed is not None and (not isinstance(pushed, list) or len(pushed) > most):
        raise RequestWrongError("attribute_certificates", _("not a list, or too long"))
    target = read_field(body, "target", "")
    try:
        return Asked(
            certificate=read_field(body, "certificate_pem").encode(),
            attribute_certificates=None if pushed is None else [_der(each) for each in pushed],
            action=read_text(body["action"], "action"),
            resource=read_resource(body["resource"]),
            target=TargetIdentity.from_uris(target) if target else None,
            context=read_plain(body.get("context", {}), "context"),
            use_roles=frozenset(read_texts(body, "use_roles")) if "use_roles" in body else None,
        )
    except QuestionWrongError as exc:
        raise RequestWrongError("body", str(exc.facts["detail"])[:200]) from exc


def _der(value: object) -> bytes:
    if not isinstance(value, str):
        raise RequestWrongError("attribute_certificates", _("not base64"))
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise RequestWrongError("attribute_certificates", _("not base64")) from exc
