"""REST for cases: hold, release, revoke, unlock and key recovery, asked for by a clerk."""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from onecert.ra.applications.records import list_events
from onecert.ra.cases.acts import content_of
from onecert.ra.cases.handover import find_handover
from onecert.ra.cases.records import Case, list_cases
from onecert.ra.certificates.records import load_certificate
from onecert.ra.errors import BodyError, NotFoundError
from onecert.ra.evidence import records as evidence
from onecert.ra.life.machine import Business, State
from onecert.ra.operators.roles import AUDITOR, SECURITY
from onecert.ra.pages.common import new_key, the_operator, the_ra
from onecert.ra.rest.common import moment, read_body, read_limit, read_text
from onecert.server.operators import check_role

__all__ = ["add_to"]


def add_to(api: Blueprint) -> None:
    """Add the endpoints."""
    api.add_url_rule("/cases", "list_cases", _list)
    api.add_url_rule("/cases", "open_case", _open, methods=["POST"])
    api.add_url_rule("/cases/<uuid:case_id>", "get_case", _get)
    api.add_url_rule("/cases/<uuid:case_id>/handover", "get_handover", _handover)
    api.add_url_rule("/cases/<uuid:case_id>/<act>", "act_on_case", _act, methods=["POST"])


def _list() -> Response:
    ra, operator = the_ra(), the_operator()
    states, business = request.args.getlist("state"), request.args.get("business")
    if not set(states) <= set(State) or (business is not None and business not in set(Business)):
        raise BodyError("state, business")
    with ra.database.reading() as connection:
        page = list_cases(
            connection,
            ra.reach.scope(connection, operator),
            states=[State(state) for state in states],
            business=Business(business) if business else None,
            cursor=request.args.get("cursor"),
            limit=read_limit(),
        )
    return jsonify({"items": [_json(case) for case in page.items], "next": page.next})


def _open() -> tuple[Response, int]:
    ra, operator, body = the_ra(), the_operator(), read_body()
    since = read_text(body, "invalidity_date", default="")
    try:
        business = Business(read_text(body, "business"))
        invalidity_date = datetime.fromisoformat(since) if since else None
    except ValueError:
        raise BodyError("business, invalidity_date") from None
    if invalidity_date is not None and invalidity_date.tzinfo is None:
        raise BodyError("invalidity_date")
    case = ra.cases.open(
        operator,
        business,
        read_text(body, "authority"),
        read_text(body, "serial"),
        reason=read_text(body, "reason", default=""),
        note=read_text(body, "note", default=""),
        invalidity_date=invalidity_date,
        request_key=request.headers.get("Idempotency-Key", "")[:64] or new_key(),
    )
    return jsonify(_detail(case)), 201


def _get(case_id: Any) -> Response:
    return jsonify(_detail(the_ra().reach.case(the_operator(), str(case_id))))


def _act(case_id: Any, act: str) -> Response:
    ra, operator, target, body = the_ra(), the_operator(), str(case_id), read_body()
    match act:
        case "approve":
            case = ra.cases.approve(operator, target, content_sha256=read_text(body, "content_sha256"))
            if case.revocation_id is not None:
                ra.revoking.carry_out(case.revocation_id)
        case "consent":
            ra.cases.consent(operator, target)
        case "complete":
            ra.cases.complete(operator, target)
        case "reject":
            ra.cases.reject(operator, target, reason=read_text(body, "reason", default=""))
        case "withdraw":
            ra.cases.withdraw(operator, target)
        case _:
            raise BodyError("act")
    return jsonify(_detail(ra.reach.case(operator, target)))


def _handover(case_id: Any) -> Response:
    """The signed document for the key centre, byte for byte."""
    ra, operator = the_ra(), the_operator()
    check_role(operator, SECURITY, AUDITOR)
    case = ra.reach.case(operator, str(case_id))
    with ra.database.reading() as connection:
        document = find_handover(connection, case.id)
    if document is None:
        raise NotFoundError(case.number)
    return Response(document, content_type="application/jose+json")


def _json(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "number": case.number,
        "business": case.business.value,
        "state": case.state.value,
        "state_since": moment(case.state_since),
        "point": case.point,
        "authority": case.authority,
        "serial": case.serial_hex,
        "type": case.kind.value,
        "name": case.name,
        "reason": case.reason,
        "note": case.note,
        "invalidity_date": moment(case.invalidity_date),
        "content_sha256": case.content_sha256,
        "created_at": moment(case.created_at),
        "created_by": case.created_by,
        "reviewed_by": case.reviewed_by,
        "answer": case.answer,
        "revocation": case.revocation_id,
    }


def _detail(case: Case) -> dict[str, Any]:
    with the_ra().database.reading() as connection:
        events = list_events(connection, case.id)
        certificate = load_certificate(connection, case.authority, case.serial_hex)
        shown = content_of(case, certificate, evidence.frozen(connection, case.id))
    return {
        **_json(case),
        "content_sha256": shown,  # with the evidence, as an approval names it
        "events": [
            {
                "at": moment(event.at),
                "by": event.actor,
                "event": event.event,
                "state": event.state.value,
                "note": event.note,
                "certificate_sha256": event.certificate_sha256,
            }
            for event in events
        ],
    }
