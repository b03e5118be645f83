"""REST for certificates: list, search, show, revoke, hold, release."""

from datetime import datetime

from flask import Blueprint, Response, jsonify, request

from onecert.ra.applications.entries import Entry
from onecert.ra.applications.following import Followed
from onecert.ra.certificates.records import load_certificate, newest_certificates
from onecert.ra.content.csr import MAX_OCTETS
from onecert.ra.errors import BodyError, SearchByPostError
from onecert.ra.life.machine import Business, State
from onecert.ra.pages.common import new_key, the_operator, the_ra
from onecert.ra.rest.answers import application_detail, certificate_detail, certificate_json
from onecert.ra.rest.common import (
    read_body,
    read_consent,
    read_fields,
    read_limit,
    read_text,
)
from onecert.ra.revocation.reasons import HOLD, RELEASE
from onecert.ra.search.terms import PERSONAL, TEXT_MAX, readings

__all__ = ["add_to"]


def add_to(api: Blueprint) -> None:
    """Add the endpoints of certificates."""
    api.add_url_rule("/certificates", "list_certificates", _certificates)
    api.add_url_rule("/certificates/search", "search_certificates", _search, methods=["POST"])
    api.add_url_rule("/certificates/<authority>/<serial>", "get_certificate", _certificate)
    api.add_url_rule(
        "/certificates/<authority>/<serial>/<act>", "change_certificate", _change, methods=["POST"]
    )


def _certificates() -> Response:
    the_operator()
    search = request.args.get("q", "")[:TEXT_MAX]
    if any(reading.kind in PERSONAL for reading in readings(search)):
        raise SearchByPostError
    return _found(search)


def _search() -> Response:
    """Search with the question in the body, for what a person is found by."""
    the_operator()
    return _found(read_text(read_body(), "q", default="")[:TEXT_MAX])


def _found(text: str) -> Response:
    """The newest, or what a text finds; a page of found ones may be short and still go on."""
    ra, operator, limit = the_ra(), the_operator(), read_limit()
    authority, cursor = request.args.get("authority"), request.args.get("cursor")
    if text.strip():
        answer = ra.search.find(operator, text, cursor=cursor, limit=limit)
        found = [hit.certificate for hit in answer.hits if hit.certificate is not None]
        items = [each for each in found if authority in {None, "", each.authority}]
        return jsonify({"items": [certificate_json(item) for item in items], "next": answer.next})
    with ra.database.reading() as connection:
        page = newest_certificates(
            connection, ra.reach.scope(connection, operator), authority=authority, cursor=cursor, limit=limit
        )
    return jsonify({"items": [certificate_json(item) for item in page.items], "next": page.next})


def _certificate(authority: str, serial: str) -> Response:
    found = the_ra().reach.certificate(the_operator(), authority, serial)
    return jsonify(certificate_detail(found))


def _change(authority: str, serial: str, act: str) -> tuple[Response, int]:
    """Revoke, hold or release; 202 when the request is on record but the authority has not answered yet."""
    ra, operator, body = the_ra(), the_operator(), read_body()
    if act in {"renew", "change", "replace"}:
        return _follow(authority, serial, Business(act))
    if act not in {"revoke", "hold", "release"}:
        raise BodyError("act")
    reason = {"hold": HOLD, "release": RELEASE}.get(act) or read_text(body, "reason")
    since = read_text(body, "invalidity_date", default="")
    try:
        invalidity_date = datetime.fromisoformat(since) if since else None
    except ValueError:
        raise BodyError("invalidity_date") from None
    if invalidity_date is not None and invalidity_date.tzinfo is None:
        raise BodyError("invalidity_date")
    revocation = ra.certificates.request_change(
        operator,
        authority,
        serial,
        reason=reason,
        note=read_text(body, "note", default=""),
        invalidity_date=invalidity_date,
        request_key=request.headers.get("Idempotency-Key", "")[:64] or new_key(),
    )
    state = ra.revoking.carry_out(revocation)
    with ra.database.reading() as connection:
        found = load_certificate(connection, authority, serial)
    return jsonify(
        {**certificate_detail(found), "revocation": revocation}
    ), 202 if state == "pending" else 200


def _follow(authority: str, serial: str, business: Business) -> tuple[Response, int]:
    """Enter a renewal, change or replacement; fields that are not named stay those of the old application."""
    ra, operator, body = the_ra(), the_operator(), read_body()
    certificate = ra.reach.certificate(operator, authority, serial)
    followed = Followed.of(
        business,
        certificate,
        read_text(body, "reason", default=""),
        early=read_text(body, "early", default=""),
    )
    submit = body.get("submit", False)
    if not isinstance(submit, bool):
        raise BodyError("submit")
    entry = Entry(
        kind=certificate.kind,
        authority=certificate.authority,
        fields={**read_fields(body), **read_consent(body)},
        csr=read_text(body, "csr_pem")[: 2 * MAX_OCTETS],
        point=read_text(body, "point", default="")[:32] or None,
        project=read_text(body, "project", default="")[:32] or None,
    )
    key = request.headers.get("Idempotency-Key", "")[:64] or new_key()
    made = ra.applications.follow(operator, followed, entry, request_key=key)
    if submit and made.state is State.DRAFT:
        made = ra.applications.submit(operator, made.id)
    return jsonify(application_detail(made)), 201
