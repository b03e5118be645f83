"""`/v1/batches`: many grants, asked for together, approved as a whole."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER
from onecert.pmi.grants.batches import BATCH_STATES
from onecert.pmi.grants.request import GrantRequest
from onecert.pmi.grants.sheets import request_of
from onecert.pmi.holders.find import holder_finder
from onecert.pmi.parts import Parts
from onecert.pmi.rest.body import (
    PER_PAGE_MAX,
    read_body,
    read_count,
    read_field,
    read_flag,
    read_page,
    read_state,
)
from onecert.pmi.rest.grant_json import batch_json, grant_json
from onecert.server.errors import ServiceError
from onecert.server.languages import _
from onecert.server.web import current_operator, requires_role

__all__ = ["add_batches"]

READERS = (OFFICER, APPROVER, AUDITOR)
# A larger batch is a matter of the command, which reads a file.
MAX_ROWS = 5000


def add_batches(api: Blueprint, parts: Parts) -> None:
    """Add the views of batches."""
    find = holder_finder(parts.context.database)

    @api.get("/batches")
    @requires_role(*READERS)
    def list_batches() -> Response:
        page, per_page = read_page()
        found, total = parts.batches.page(state=read_state(BATCH_STATES), page=page, per_page=per_page)
        return jsonify({"total": total, "batches": [batch_json(each) for each in found]})

    @api.post("/batches")
    @requires_role(OFFICER)
    def request_batch() -> tuple[Response, int]:
        body = read_body({"authority", "rows"}, {"id", "only_good"})
        authority, rows = read_field(body, "authority"), body["rows"]
        if not isinstance(rows, list) or not 0 < len(rows) <= MAX_ROWS:
            raise RequestWrongError("rows", _("not a list of 1 to 5,000"))
        asked: list[GrantRequest | ServiceError] = []
        for row in rows:
            try:
                if not isinstance(row, dict):
                    raise RequestWrongError("row", _("not a JSON object"))
                asked.append(request_of(row, find, authority=authority))
            except ServiceError as exc:
                asked.append(exc)
        batch = parts.batches.request(
            read_field(body, "id", ""),
            authority,
            asked,
            current_operator(),
            only_good=read_flag(body, "only_good"),
        )
        return jsonify(batch_json(batch)), 202 if batch.state else 422

    @api.get("/batches/<batch_id>")
    @requires_role(*READERS)
    def read_batch(batch_id: str) -> Response:
        return jsonify(batch_json(parts.batches.load(batch_id)))

    @api.get("/batches/<batch_id>/grants")
    @requires_role(*READERS)
    def read_grants(batch_id: str) -> Response:
        parts.batches.load(batch_id)
        most = read_count(request.args.get("per_page", "20"), "per_page", PER_PAGE_MAX)
        found = parts.batches.grants_of(
            batch_id, after=request.args.get("after", ""), state=request.args.get("state", ""), most=most
        )
        return jsonify({"grants": [grant_json(each) for each in found]})

    @api.post("/batches/<batch_id>/approve")
    @requires_role(APPROVER)
    def approve_batch(batch_id: str) -> Response:
        shown = read_field(read_body({"content_sha256"}), "content_sha256")
        batch = parts.batches.approve(batch_id, current_operator(), content_sha256=shown)
        return jsonify(batch_json(batch))

    @api.post("/batches/<batch_id>/refuse")
    @requires_role(OFFICER, APPROVER)
    def refuse_batch(batch_id: str) -> Response:
        why = read_field(read_body({"why"}), "why")
        return jsonify(batch_json(parts.batches.refuse(batch_id, current_operator(), why)))
