"""REST for emergencies: proposed by one officer, approved by another person, paused, resumed; drills too."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from onecert.ra.emergency.parts import Part, list_parts
from onecert.ra.emergency.records import Emergency, Item, count_items, list_emergencies, list_items
from onecert.ra.emergency.selection import Selection
from onecert.ra.errors import BodyError
from onecert.ra.operators.roles import AUDITOR, SECURITY
from onecert.ra.pages.common import new_key, the_operator, the_ra
from onecert.ra.rest.common import moment, read_body, read_limit, read_text
from onecert.server.operators import check_role

__all__ = ["add_to"]


def add_to(api: Blueprint) -> None:
    """Add the endpoints of emergencies."""
    one = "/emergencies/<uuid:emergency_id>"
    api.add_url_rule("/emergencies", "list_emergencies", _list)
    api.add_url_rule("/emergencies", "propose_emergency", _propose, methods=["POST"])
    api.add_url_rule(one, "get_emergency", _get)
    api.add_url_rule(f"{one}/items", "emergency_items", _items)
    api.add_url_rule(f"{one}/<act>", "act_on_emergency", _act, methods=["POST"])


def _list() -> Response:
    ra, operator = the_ra(), the_operator()
    check_role(operator, SECURITY, AUDITOR)
    with ra.database.reading() as connection:
        found = list_emergencies(connection, ra.reach.scope(connection, operator))
    return jsonify({"items": [_json(each) for each in found]})


def _propose() -> tuple[Response, int]:
    ra, operator, body = the_ra(), the_operator(), read_body()
    check_role(operator, SECURITY)
    is_drill = body.get("drill", False)
    if not isinstance(is_drill, bool):
        raise BodyError("drill")
    selection = Selection(
        kind=read_text(body, "kind"),
        authority=read_text(body, "authority", default="")[:64],
        value=read_text(body, "value", default="")[:2_000_000],
        read_as=read_text(body, "read_as", default="")[:16],
        issued_from=_moment(body, "issued_from"),
        issued_until=_moment(body, "issued_until"),
    )
    made = ra.emergencies.propose(
        operator,
        selection,
        reason=read_text(body, "reason"),
        why=read_text(body, "why"),
        invalidity_date=_moment(body, "invalidity_date"),
        is_drill=is_drill,
        request_key=request.headers.get("Idempotency-Key", "")[:64] or new_key(),
    )
    return jsonify(_detail(made)), 201


def _get(emergency_id: Any) -> Response:
    return jsonify(_detail(the_ra().emergencies.find(the_operator(), str(emergency_id))))


def _items(emergency_id: Any) -> Response:
    """Each certificate with what became of it; `next` is the number to go on after."""
    ra = the_ra()
    found = ra.emergencies.find(the_operator(), str(emergency_id))
    after, limit = request.args.get("after", "0"), read_limit()
    if not after.isascii() or not after.isdigit() or len(after) > 9:
        raise BodyError("after")
    state = request.args.get("state")
    with ra.database.reading() as connection:
        if state is not None and state not in count_items(connection, found.id):
            raise BodyError("state")
        states = [state] if state else []
        items = list_items(connection, found.id, states=states, after=int(after), limit=limit + 1)
    following = items[limit - 1].number if len(items) > limit else None
    return jsonify({"items": [_item(item) for item in items[:limit]], "next": following})


def _act(emergency_id: Any, act: str) -> Response:
    ra, operator, target, body = the_ra(), the_operator(), str(emergency_id), read_body()
    # What cannot be reached is not found, whatever the body says.
    ra.emergencies.find(operator, target)
    if act == "approve":
        count = body.get("certificates")
        if type(count) is not int:
            raise BodyError("certificates")
        made = ra.emergencies.approve(
            operator, target, content_sha256=read_text(body, "content_sha256"), certificates=count
        )
    else:
        acts = {
            "refuse": ra.emergencies.refuse,
            "pause": ra.emergencies.pause,
            "resume": ra.emergencies.resume,
        }
        if act not in acts:
            raise BodyError("act")
        made = acts[act](operator, target, note=read_text(body, "note"))
    return jsonify(_detail(made))


def _moment(body: Mapping[str, Any], name: str) -> datetime | None:
    text = read_text(body, name, default="")
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise BodyError(name) from None
    if at is not None and at.tzinfo is None:
        raise BodyError(name)
    return at


def _json(found: Emergency) -> dict[str, Any]:
    selection = {name: value for name, value in found.selection.items() if name != "places"}
    return {
        "id": found.id,
        "number": found.seq,
        "drill": found.is_drill,
        "selection": selection,
        "reason": found.reason,
        "invalidity_date": moment(found.invalidity_date),
        "why": found.why,
        "state": found.state,
        "certificates": found.certificates,
        "holders": found.holders,
        "left_out": found.left_out,
        "content_sha256": found.content_sha256,
        "proposed_by": found.proposed_by,
        "proposed_at": moment(found.proposed_at),
        "expires_at": moment(found.expires_at),
        "decided_by": found.decided_by,
        "decided_at": moment(found.decided_at),
        "note": found.note,
        "began_at": moment(found.began_at),
        "finished_at": moment(found.finished_at),
    }


def _detail(found: Emergency) -> dict[str, Any]:
    with the_ra().database.reading() as connection:
        counts = count_items(connection, found.id)
        parts = list_parts(connection, found.id)
    return {**_json(found), "counts": counts, "parts": [_part(part) for part in parts]}


def _part(part: Part) -> dict[str, Any]:
    return {
        "authority": part.authority,
        "certificates": part.certificates,
        "mass_revocation": part.mass_revocation,
        "state": part.state,
        "at_authority": part.at_authority,
        "gone_through": part.gone_through,
        "frozen_at": moment(part.frozen_at),
        "confirmed_at": moment(part.confirmed_at),
        "finished_at": moment(part.finished_at),
        "crl_number": part.crl_number,
        "problem": part.problem,
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "number": item.number,
        "authority": item.authority,
        "serial": item.serial_hex,
        "name": item.name,
        "state": item.state,
        "answered_at": moment(item.answered_at),
        "problem": item.problem,
    }
