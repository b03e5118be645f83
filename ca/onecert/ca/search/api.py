"""The REST API of searches and histories: signed questions of registration authorities, and operators."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

from onecert.ca.errors.search import SearchFieldError
from onecert.ca.parts import Parts
from onecert.ca.search.certificate_desk import READERS, CertificateDesk
from onecert.ca.search.history import history
from onecert.ca.search.questions import LIMIT
from onecert.server.web import current_operator, requires_role, signed_api

__all__ = ["add_certificate_views"]


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

    # Pages and REST ask the same desk: whoever sees a person masked there sees the same here.
    people = CertificateDesk(parts.database, parts.audit, authorities=parts.authorities, ledger=parts.ledger)

    @app.get("/v1/certificates")
    @requires_role(*READERS)
    def get_certificates() -> Response:
        asked = request.args.to_dict()
        if len(asked) != len(list(request.args.items(multi=True))):
            raise SearchFieldError("twice")
        limit, after = asked.pop("limit", str(LIMIT)), asked.pop("after", None)
        number = int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 5 else 0
        return jsonify(people.search(current_operator(), asked, limit=number, after=after).as_json())

    @app.get("/v1/certificates/<authority>/<serial>/history")
    @requires_role(*READERS)
    def get_history(authority: str, serial: str) -> Response:
        return jsonify(people.view(current_operator(), authority, serial).as_json())
