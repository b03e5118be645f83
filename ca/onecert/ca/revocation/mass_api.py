"""The REST API of mass revocations: a signed proposal, its lines, the second signature, a stop."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

from onecert.ca.parts import Parts
from onecert.ca.revocation.mass_documents import LINES_MAX_BYTES
from onecert.server.web import public, signed_api

__all__ = ["add_mass_revocation_views"]


def add_mass_revocation_views(app: Flask, parts: Parts) -> None:
    """Add the views to the application of the CA."""
    service = parts.mass_revocations

    @app.post("/v1/mass-revocations")
    @signed_api
    def post_mass_revocation() -> tuple[Response, int]:
        made, is_new = service.propose(request.get_data())
        return jsonify(made.as_json()), 201 if is_new else 200

    @app.put("/v1/mass-revocations/<number>/lines")
    @signed_api
    def put_mass_revocation_lines(number: str) -> Response:
        # The signed proposal says by hash what the lines are; who brings them does not matter.
        request.max_content_length = LINES_MAX_BYTES
        return jsonify(service.add_lines(number, request.get_data()).as_json())

    @app.get("/v1/mass-revocations/<number>")
    @public
    def get_mass_revocation(number: str) -> Response:
        # Numbers, reason and who decided; no holder and no serial.
        return jsonify(service.show(number).as_json())

    @app.post("/v1/mass-revocations/confirmations")
    @signed_api
    def post_mass_revocation_confirmation() -> Response:
        return jsonify(service.confirm(request.get_data()).as_json())

    @app.post("/v1/mass-revocations/stops")
    @signed_api
    def post_mass_revocation_stop() -> Response:
        return jsonify(service.stop(request.get_data()).as_json())

    @app.post("/v1/mass-revocations/resumptions")
    @signed_api
    def post_mass_revocation_resumption() -> Response:
        return jsonify(service.resume(request.get_data()).as_json())
