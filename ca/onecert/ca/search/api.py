"""The REST API of searches and histories: signed questions of registration authorities, and operators."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

from onecert.ca.errors.search import SearchFieldError
from onecert.ca.parts import Parts
from onecert.ca.search.history import history
from onecert.ca.search.questions import LIMIT, page_json
from onecert.ca.search.terms import read_query
from onecert.server.web import current_operator, requires_role, signed_api

__all__ = ["add_certificate_views"]

OPERATOR = "ca.operator"


def add_certificate_views(app: Flask, parts: Parts) -> None:
    """Add the views to the application of the CA."""

    @app.post("/v1/searches")
    @signed_api
    def post_search() -> Response:
        return jsonify(parts.enquiries.search_as_asked(request.get_data()))

    @app.post("/v1/histories")
    @signed_api
    def post_history() -> Response:
        authority, serial = parts.enquiries.open_history(request.get_data())
        return jsonify(history(parts.database, parts.authorities, authority, serial))

    @app.get("/v1/certificates")
    @requires_role(OPERATOR)
    def get_certificates() -> Response:
        asked = request.args.to_dict()
        if len(asked) != len(list(request.args.items(multi=True))):
            raise SearchFieldError("twice")
        limit, after = asked.pop("limit", str(LIMIT)), asked.pop("after", None)
        page = parts.enquiries.search(
            read_query(asked),
            limit=int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 5 else limit,
            after=after,
            actor=current_operator().actor,
        )
        return jsonify(page_json(page))

    @app.get("/v1/certificates/<authority>/<serial>/history")
    @requires_role(OPERATOR)
    def get_history(authority: str, serial: str) -> Response:
        plain = serial[:64].lower().lstrip("0")
        told = history(parts.database, parts.authorities, authority, plain)
        # Numbers are masked, but the certificate itself is in it.
        parts.enquiries.record_reading(
            authority, plain, actor=current_operator().actor, details={"masked": False}
        )
        return jsonify(told)
