"""The REST API of batches: a signed head, its parts, progress, results, cancellation."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

from onecert.ca.batches.documents import PART_MAX_BYTES
from onecert.ca.parts import Parts
from onecert.server.web import public, signed_api

__all__ = ["add_batch_views"]


def add_batch_views(app: Flask, parts: Parts) -> None:
    """Add the views to the application of the CA."""

    @app.post("/v1/batches")
    @signed_api
    def post_batch() -> tuple[Response, int]:
        progress, is_new = parts.batches.open(request.get_data())
        return jsonify(progress.as_json()), 201 if is_new else 200

    @app.put("/v1/batches/<batch>/parts/<int:part>")
    @signed_api
    def put_part(batch: str, part: int) -> Response:
        # The signed head says by hash what a part is; who brings it does not matter.
        request.max_content_length = PART_MAX_BYTES
        return jsonify(parts.batches.add_part(batch, part, request.get_data()).as_json())

    @app.get("/v1/batches/<batch>")
    @public
    def get_batch(batch: str) -> Response:
        # Counts only; like that of an order, the number is known to its registration authority and to us.
        return jsonify(parts.batches.progress(batch).as_json())

    @app.post("/v1/batches/results")
    @signed_api
    def post_results() -> Response:
        lines = parts.batches.results_as_asked(request.get_data())
        return Response(b"".join(lines), mimetype="application/jsonl")

    @app.post("/v1/batches/cancellations")
    @signed_api
    def post_cancellation() -> Response:
        return jsonify(parts.batches.cancel_as_ordered(request.get_data()).as_json())
