"""REST for applications: list, enter, show, act."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from onecert.ra.applications.entries import Entry
from onecert.ra.applications.records import list_applications
from onecert.ra.content.csr import MAX_OCTETS
from onecert.ra.content.fields import ALL_FIELDS, Kind
from onecert.ra.errors import BodyError, InvalidApplicationError
from onecert.ra.life.machine import Business, State
from onecert.ra.operators.roles import ENTRY
from onecert.ra.pages.common import new_key, the_operator, the_ra
from onecert.ra.rest.answers import application_detail, application_json
from onecert.ra.rest.common import (
    keep_idcards_out,
    read_body,
    read_consent,
    read_fields,
    read_limit,
    read_text,
)
from onecert.ra.review.filing import Filing
from onecert.ra.review.reasons import RETURN_REASONS, Remark, reasons_at
from onecert.server.languages import gettext
from onecert.server.operators import check_role

__all__ = ["add_to"]


def add_to(api: Blueprint) -> None:
    """Add the endpoints of applications."""
    api.add_url_rule("/applications", "list_applications", _list)
    api.add_url_rule("/applications", "create_application", _create, methods=["POST"])
    api.add_url_rule("/return-reasons", "list_return_reasons", _reasons)
    api.add_url_rule("/applications/<uuid:application_id>", "get_application", _get)
    api.add_url_rule("/consent-texts", "consent_texts", _consent_texts)
    api.add_url_rule("/applications/<uuid:application_id>/<act>", "act", _act, methods=["POST"])


def _list() -> Response:
    ra, operator = the_ra(), the_operator()
    search = request.args.get("q", "")[:128]
    keep_idcards_out(search)
    states = []
    for name in request.args.getlist("state"):
        if name not in set(State):
            raise BodyError("state")
        states.append(State(name))
    business = request.args.get("business")
    if business is not None and business not in set(Business):
        raise BodyError("business")
    with ra.database.reading() as connection:
        page = list_applications(
            connection,
            ra.reach.scope(connection, operator),
            states=states,
            business=Business(business) if business else None,
            authority=request.args.get("authority"),
            search=search,
            cursor=request.args.get("cursor"),
            limit=read_limit(),
        )
    return jsonify({"items": [application_json(item) for item in page.items], "next": page.next})


def _create() -> tuple[Response, int]:
    """Enter an application. It is kept as a draft only when `draft` is true; otherwise faults refuse it."""
    ra, operator, body = the_ra(), the_operator(), read_body()
    check_role(operator, ENTRY)
    try:
        kind = Kind(read_text(body, "type"))
    except ValueError:
        raise BodyError("type") from None
    entry = Entry(
        kind=kind,
        authority=read_text(body, "authority"),
        fields={**read_fields(body), **read_consent(body)},
        csr=read_text(body, "csr_pem", default="")[: 2 * MAX_OCTETS],
        point=read_text(body, "point", default="")[:32] or None,
        project=read_text(body, "project", default="")[:32] or None,
    )
    is_draft, submit = body.get("draft", False), body.get("submit", False)
    if not isinstance(is_draft, bool) or not isinstance(submit, bool) or (is_draft and submit):
        raise BodyError("draft")
    if not is_draft:
        outcome = ra.entries.check(entry)
        if outcome.faults:
            raise InvalidApplicationError(outcome.faults)
    key = request.headers.get("Idempotency-Key", "")[:64] or new_key()
    if not is_draft and not ra.applications.is_known(operator, key):
        collision = ra.entries.find_collision(entry, operator, besides=None)
        if collision is not None:
            raise collision
    made = ra.applications.create(operator, entry, request_key=key)
    if submit and made.state is State.DRAFT:
        made = ra.applications.submit(operator, made.id)
    return jsonify(application_detail(made)), 201


def _consent_texts() -> Response:
    """The texts in force, in both languages, each with its hash."""
    the_operator()
    texts = the_ra().entries.findings.texts
    shown = [
        {
            "name": text.name,
            "sha256": text.sha256,
            "title": dict(text.title),
            "clauses": {language: list(clauses) for language, clauses in text.clauses.items()},
        }
        for text in texts.in_force()
    ]
    return jsonify({"version": texts.present, "texts": shown})


def _get(application_id: Any) -> Response:
    application = the_ra().reach.application(the_operator(), str(application_id))
    return jsonify(application_detail(application))


def _act(application_id: Any, act: str) -> Response:
    ra, operator, target, body = the_ra(), the_operator(), str(application_id), read_body()
    match act:
        case "submit":
            done = ra.applications.submit(operator, target)
        case "approve":
            ra.applications.approve(operator, target, content_sha256=read_text(body, "content_sha256"))
            done = ra.dispatch.carry_out(target)
        case "return":
            done = ra.applications.send_back(
                operator, target, reason=read_text(body, "reason", default=""), remarks=_remarks(body)
            )
        case "reject":
            done = ra.applications.reject(operator, target, reason=read_text(body, "reason", default=""))
        case "withdraw":
            done = ra.applications.withdraw(operator, target)
        case "deliver":
            delivered = ra.applications.deliver(operator, target)
            ra.dispatch.tell_delivery(delivered.order_id)
            done = delivered
        case "archive":
            done = ra.applications.archive(operator, target, filing=_filing(body))
        case "reopen":
            done = ra.applications.reopen(operator, target)
        case _:
            raise BodyError("act")
    return jsonify(application_detail(done))


def _remarks(body: Mapping[str, Any]) -> list[Remark]:
    """`remarks`: [{code, field?, words?}], reasons of the list at their fields."""
    given = body.get("remarks", [])
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise BodyError("remarks")
    return [
        Remark(
            code=read_text(item, "code"),
            field=read_text(item, "field", default=""),
            words=read_text(item, "words", default=""),
        )
        for item in given[:100]
    ]


def _filing(body: Mapping[str, Any]) -> Filing | None:
    """`place`, `papers` and `note`; without any of them nothing is written down."""
    if not {"place", "papers", "note"} & set(body):
        return None
    papers = body.get("papers", [])
    if not isinstance(papers, list) or not all(isinstance(name, str) for name in papers):
        raise BodyError("papers")
    return Filing(place=read_text(body, "place"), papers=papers, note=read_text(body, "note", default=""))


def _reasons() -> Response:
    """The reasons of a return, each with the fields it may stand at, in the caller's language."""
    return jsonify(
        {
            "reasons": [
                {
                    "code": reason.code,
                    "text": gettext(reason.text),
                    "fields": [name for name in ("", "csr", *ALL_FIELDS) if reason in reasons_at(name)],
                }
                for reason in RETURN_REASONS.values()
            ]
        }
    )
