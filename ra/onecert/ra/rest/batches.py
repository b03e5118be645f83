"""REST for batches: upload, look at the report, choose rows, submit, judge, fetch the result.

The table comes as the body of the request, as it is; what else there is to say stands in the query.
"""

import json
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, request

from onecert.ra.batches.acts import POLICIES, Batches, Upload
from onecert.ra.batches.downloads import Downloads
from onecert.ra.batches.records import Batch, ReportRow, RowState, list_batches, list_rows
from onecert.ra.content.fields import CONSENTS, Kind
from onecert.ra.errors import BodyError
from onecert.ra.life.machine import State
from onecert.ra.operators.roles import ENTRY, REVIEW
from onecert.ra.pages.common import find_idcard, new_key, the_operator, the_ra
from onecert.ra.rest.common import moment, read_body, read_limit, read_text
from onecert.server.languages import gettext
from onecert.server.operators import check_role

__all__ = ["add_to"]

_ROWS_MAX = 5_000


def add_to(api: Blueprint) -> None:
    """Add the endpoints."""
    api.app_url_value_preprocessor(_allow_large)
    api.add_url_rule("/batches", "list_batches", _list)
    api.add_url_rule("/batches", "upload_batch", _upload, methods=["POST"])
    api.add_url_rule("/batches/<uuid:batch_id>", "get_batch", _get)
    api.add_url_rule("/batches/<uuid:batch_id>/report", "get_batch_report", _report)
    api.add_url_rule("/batches/<uuid:batch_id>/result", "get_batch_result", _result)
    api.add_url_rule("/batches/<uuid:batch_id>/<act>", "act_on_batch", _act, methods=["POST"])


def _allow_large(endpoint: str | None, _values: object) -> None:
    if endpoint == "api.upload_batch":
        request.max_content_length = the_ra().batches.max_octets + 1024


def _list() -> Response:
    ra, operator = the_ra(), the_operator()
    states = request.args.getlist("state")
    if not set(states) <= set(State):
        raise BodyError("state")
    with ra.database.reading() as connection:
        page = list_batches(
            connection,
            ra.reach.scope(connection, operator),
            states=[State(state) for state in states],
            cursor=request.args.get("cursor"),
            limit=read_limit(),
        )
    return jsonify({"items": [_json(batch) for batch in page.items], "next": page.next})


def _upload() -> tuple[Response, int]:
    ra, operator = the_ra(), the_operator()
    check_role(operator, ENTRY)
    kind, policy = request.args.get("type", ""), request.args.get("policy", "good")
    consent = request.args.get("consent", "paper")
    if kind not in set(Kind) or policy not in POLICIES or consent not in CONSENTS:
        raise BodyError("type, policy, consent")
    upload = Upload(
        kind=Kind(kind),
        authority=_said("authority"),
        file=request.get_data(),
        file_name=_said("file_name"),
        title=_said("title"),
        policy=policy,
        consent=consent,
        point=_said("point")[:32] or None,
        project=_said("project")[:32] or None,
    )
    key = request.headers.get("Idempotency-Key", "")[:64] or new_key()
    return jsonify(_json(ra.batches.upload(operator, upload, request_key=key))), 201


def _said(name: str) -> str:
    text = request.args.get(name, "")[:128]
    if "\0" in text or find_idcard(text):
        raise BodyError(name)
    return text


def _get(batch_id: Any) -> Response:
    return jsonify(_json(the_ra().batches.batch(the_operator(), str(batch_id))))


def _report(batch_id: Any) -> Response:
    ra = the_ra()
    batch = ra.batches.batch(the_operator(), str(batch_id))
    states, after = request.args.getlist("state"), request.args.get("cursor", "0")
    if not set(states) <= set(RowState) or not (after.isascii() and after.isdigit() and len(after) < 8):
        raise BodyError("state, cursor")
    with ra.database.reading() as connection:
        page = list_rows(connection, batch.id, states=states, after=int(after), limit=read_limit())
    following = None if page.next is None else str(page.next)
    return jsonify({"items": [_row_json(row) for row in page.items], "next": following})


def _result(batch_id: Any) -> Response:
    """JSON lines: row, application, serial, certificate, or why there is none."""
    ra, operator = the_ra(), the_operator()
    check_role(operator, ENTRY, REVIEW)
    batch = ra.batches.batch(operator, str(batch_id))
    rows = Downloads(ra.database, ra.vault, ra.batches).result_rows(operator, batch)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    answer = make_response("".join(lines))
    answer.headers["Content-Type"] = "application/jsonl; charset=utf-8"
    return answer


def _act(batch_id: Any, act: str) -> Response:
    ra, operator, target, body = the_ra(), the_operator(), str(batch_id), read_body()
    batches = ra.batches
    match act:
        case "accept":
            batch = _accept(batches, operator, target, body)
        case "submit":
            batch = batches.submit(operator, target)
        case "approve":
            batch = batches.approve(operator, target, content_sha256=read_text(body, "content_sha256"))
        case "return":
            batch = batches.send_back(operator, target, reason=read_text(body, "reason", default=""))
        case "reject":
            batch = batches.reject(operator, target, reason=read_text(body, "reason", default=""))
        case "withdraw":
            batch = batches.withdraw(operator, target)
        case _:
            raise BodyError("act")
    return jsonify(_json(batch))


def _accept(batches: Batches, operator: Any, target: str, body: Any) -> Batch:
    """Which rows go in: the policy, rows to leave out, rows to take in again."""
    numbers = {}
    for name in ("exclude", "include"):
        rows = body.get(name, [])
        is_list = isinstance(rows, list) and len(rows) <= _ROWS_MAX
        if not is_list or not all(type(row) is int and 0 < row < 10_000_000 for row in rows):
            raise BodyError(name)
        numbers[name] = rows
    policy = body.get("policy")
    if policy is not None and policy not in POLICIES:
        raise BodyError("policy")
    batch = batches.choose(operator, target, **numbers)
    return batch if policy is None else batches.set_policy(operator, target, policy)


def _json(batch: Batch) -> dict[str, Any]:
    failure = batch.failure
    return {
        "id": batch.id,
        "number": batch.number,
        "state": batch.state.value,
        "state_since": moment(batch.state_since),
        "phase": batch.phase.value,
        "revision": batch.revision,
        "point": batch.point,
        "project": batch.project,
        "authority": batch.authority,
        "type": batch.kind.value,
        "title": batch.title,
        "file_sha256": batch.file_sha256,
        "policy": batch.policy,
        "failure": None if failure is None else gettext(failure["text"], **failure["facts"]),
        "unknown_columns": list(batch.columns.get("unknown", ())),
        "rows": batch.rows,
        "checked": batch.checked,
        "good": batch.good,
        "warning": batch.warning,
        "duplicate": batch.duplicate,
        "error": batch.error,
        "entered": batch.entered,
        "refused": batch.refused,
        "accepted": batch.accepted,
        "content_sha256": batch.content_sha256,
        "created_at": moment(batch.created_at),
        "created_by": batch.created_by,
        "submitted_by": batch.submitted_by,
        "reviewed_by": batch.reviewed_by,
        "reason": batch.reason,
    }


def _row_json(row: ReportRow) -> dict[str, Any]:
    return {
        "row": row.row,
        "state": row.state.value,
        "excluded": row.excluded,
        "name": row.name,
        "masked": row.masked,
        "content_sha256": row.content_sha256,
        "outcome": row.outcome,
        "application": row.application_id,
        "remarks": [
            {
                "level": remark.level,
                "field": remark.field,
                "code": remark.code,
                "detail": gettext(remark.text, **remark.facts),
                "hint": gettext(remark.hint, **remark.facts) if remark.hint else "",
            }
            for remark in row.remarks
        ],
    }
