"""REST under /ra/v1/: the same acts as the pages, as JSON; errors are problem documents (RFC 9457).

A caller is a signed-in session or a client certificate that is bound to an account. Lists have cursors.
Creating takes an `Idempotency-Key`. `openapi.py` describes it; a test compares the two.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from onecert.ra.certificates import (
    Certificate,
    find_by_application,
    list_revocations,
    load_certificate,
    search_certificates,
)
from onecert.ra.csr import MAX_OCTETS
from onecert.ra.entries import Entry
from onecert.ra.errors import BodyError, InvalidApplicationError, SearchByPostError
from onecert.ra.fields import Kind
from onecert.ra.openapi import document
from onecert.ra.pages.common import find_idcard, new_key, the_ra
from onecert.ra.reasons import HOLD, RELEASE
from onecert.ra.records import Application, list_applications, list_events, load_application
from onecert.ra.states import ENTRY, State
from onecert.server.operators import check_role
from onecert.server.web import current_operator, public

__all__ = ["blueprint"]


def blueprint() -> Blueprint:
    """All REST endpoints."""
    api = Blueprint("api", __name__)
    api.add_url_rule("/openapi.json", "openapi", _openapi)
    api.add_url_rule("/authorities", "authorities", _authorities)
    api.add_url_rule("/applications", "list_applications", _list)
    api.add_url_rule("/applications", "create_application", _create, methods=["POST"])
    api.add_url_rule("/applications/<uuid:application_id>", "get_application", _get)
    api.add_url_rule("/applications/<uuid:application_id>/<act>", "act", _act, methods=["POST"])
    api.add_url_rule("/certificates", "list_certificates", _certificates)
    api.add_url_rule("/certificates/search", "search_certificates", _search, methods=["POST"])
    api.add_url_rule("/certificates/<authority>/<serial>", "get_certificate", _certificate)
    api.add_url_rule(
        "/certificates/<authority>/<serial>/<act>", "change_certificate", _change, methods=["POST"]
    )
    return api


@public
def _openapi() -> Response:
    return jsonify(document(request.script_root + "/v1"))


def _authorities() -> Response:
    current_operator()
    listing = the_ra().directory.listing()
    return jsonify(
        {
            "stale": listing.stale,
            "as_of": _moment(listing.at),
            "authorities": [
                {
                    "name": authority.name,
                    "title": dict(authority.title),
                    "profiles": [
                        {"name": profile.name, "version": profile.version, "title": dict(profile.title)}
                        for profile in authority.profiles.values()
                    ],
                }
                for authority in listing.authorities.values()
            ],
        }
    )


def _list() -> Response:
    current_operator()
    ra = the_ra()
    search = request.args.get("q", "")[:128]
    _keep_idcards_out(search)
    states = []
    for name in request.args.getlist("state"):
        if name not in set(State):
            raise BodyError("state")
        states.append(State(name))
    with ra.database.reading() as connection:
        page = list_applications(
            connection,
            states=states,
            authority=request.args.get("authority"),
            search=search,
            cursor=request.args.get("cursor"),
            limit=_limit(),
        )
    return jsonify({"items": [_application_json(item) for item in page.items], "next": page.next})


def _create() -> tuple[Response, int]:
    """Enter an application. It is kept as a draft only when `draft` is true; otherwise faults refuse it."""
    ra, operator, body = the_ra(), current_operator(), _body()
    check_role(operator, ENTRY)
    try:
        kind = Kind(_text(body, "type"))
    except ValueError:
        raise BodyError("type") from None
    fields = body.get("fields", {})
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise BodyError("fields")
    entry = Entry(
        kind=kind,
        authority=_text(body, "authority"),
        fields={str(name)[:64]: value[:2000] for name, value in list(fields.items())[:64]},
        csr=_text(body, "csr_pem", default="")[: 2 * MAX_OCTETS],
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
        collision = ra.entries.find_collision(entry, besides=None)
        if collision is not None:
            raise collision
    made = ra.applications.create(operator, entry, request_key=key)
    if submit and made.state is State.DRAFT:
        made = ra.applications.submit(operator, made.id)
    return jsonify(_detail(made)), 201


def _get(application_id: Any) -> Response:
    current_operator()
    with the_ra().database.reading() as connection:
        application = load_application(connection, str(application_id))
    return jsonify(_detail(application))


def _act(application_id: Any, act: str) -> Response:
    ra, operator, target, body = the_ra(), current_operator(), str(application_id), _body()
    match act:
        case "submit":
            done = ra.applications.submit(operator, target)
        case "approve":
            ra.applications.approve(operator, target, content_sha256=_text(body, "content_sha256"))
            done = ra.dispatch.carry_out(target)
        case "return":
            done = ra.applications.send_back(operator, target, reason=_text(body, "reason", default=""))
        case "reject":
            done = ra.applications.reject(operator, target, reason=_text(body, "reason", default=""))
        case "withdraw":
            done = ra.applications.withdraw(operator, target)
        case "reopen":
            done = ra.applications.reopen(operator, target)
        case _:
            raise BodyError("act")
    return jsonify(_detail(done))


def _certificates() -> Response:
    current_operator()
    search = request.args.get("q", "")[:128]
    _keep_idcards_out(search)
    return _found(search, None)


def _search() -> Response:
    """Search with the question in the body, for id-card numbers."""
    current_operator()
    search = _text(_body(), "q", default="")[:128]
    idcard = find_idcard(search)
    hashed = the_ra().vault.idcard_hmac(idcard) if idcard else None
    return _found("" if idcard else search, hashed)


def _found(search: str, idcard_hmac: str | None) -> Response:
    ra = the_ra()
    with ra.database.reading() as connection:
        page = search_certificates(
            connection,
            search=search,
            idcard_hmac=idcard_hmac,
            authority=request.args.get("authority"),
            cursor=request.args.get("cursor"),
            limit=_limit(),
        )
    return jsonify({"items": [_certificate_json(item) for item in page.items], "next": page.next})


def _certificate(authority: str, serial: str) -> Response:
    current_operator()
    with the_ra().database.reading() as connection:
        found = load_certificate(connection, authority, serial)
    return jsonify(_certificate_detail(found))


def _change(authority: str, serial: str, act: str) -> tuple[Response, int]:
    """Revoke, hold or release; 202 when the request is on record but the authority has not answered yet."""
    ra, operator, body = the_ra(), current_operator(), _body()
    if act not in {"revoke", "hold", "release"}:
        raise BodyError("act")
    reason = {"hold": HOLD, "release": RELEASE}.get(act) or _text(body, "reason")
    since = _text(body, "invalidity_date", default="")
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
        note=_text(body, "note", default=""),
        invalidity_date=invalidity_date,
        request_key=request.headers.get("Idempotency-Key", "")[:64] or new_key(),
    )
    state = ra.revoking.carry_out(revocation)
    with ra.database.reading() as connection:
        found = load_certificate(connection, authority, serial)
    return jsonify(
        {**_certificate_detail(found), "revocation": revocation}
    ), 202 if state == "pending" else 200


def _application_json(application: Application) -> dict[str, Any]:
    """An application in a list: no personal data beyond the name."""
    return {
        "id": application.id,
        "number": application.number,
        "type": application.kind.value,
        "authority": application.authority,
        "profile": application.profile,
        "profile_version": application.profile_version,
        "state": application.state.value,
        "state_since": _moment(application.state_since),
        "revision": application.revision,
        "name": application.name,
        "uscc": application.uscc,
        "idcard_masked": application.idcard_masked,
        "content_sha256": application.content_sha256,
        "created_at": _moment(application.created_at),
        "created_by": application.created_by,
        "submitted_by": application.submitted_by,
        "reviewed_by": application.reviewed_by,
        "reason": application.reason,
        "order": application.order_id,
    }


def _detail(application: Application) -> dict[str, Any]:
    with the_ra().database.reading() as connection:
        events = list_events(connection, application.id)
        certificate = find_by_application(connection, application.id)
    return {
        **_application_json(application),
        "certificate": _certificate_json(certificate) if certificate else None,
        "events": [
            {
                "at": _moment(event.at),
                "by": event.actor,
                "event": event.event,
                "state": event.state.value,
                "note": event.note,
            }
            for event in events
        ],
    }


def _certificate_json(certificate: Certificate) -> dict[str, Any]:
    return {
        "authority": certificate.authority,
        "serial": certificate.serial_hex,
        "type": certificate.kind.value,
        "name": certificate.name,
        "uscc": certificate.uscc,
        "idcard_masked": certificate.idcard_masked,
        "sha256": certificate.sha256,
        "not_before": _moment(certificate.not_before),
        "not_after": _moment(certificate.not_after),
        "issued_at": _moment(certificate.issued_at),
        "status": certificate.shown_status(the_ra().clock.now()),
        "status_since": _moment(certificate.status_since),
        "reason": certificate.reason,
        "application": certificate.application_id,
        "certificate_pem": certificate.certificate_pem,
        "chain_pem": certificate.chain_pem,
    }


def _certificate_detail(certificate: Certificate) -> dict[str, Any]:
    with the_ra().database.reading() as connection:
        changes = list_revocations(connection, certificate.authority, certificate.serial_hex)
    return {
        **_certificate_json(certificate),
        "changes": [
            {
                "id": change.id,
                "reason": change.reason,
                "state": change.state,
                "requested_by": change.requested_by,
                "created_at": _moment(change.created_at),
                "answered_at": _moment(change.answered_at),
                "crl_number": change.crl_number,
                "last_error": change.last_error,
            }
            for change in changes
        ],
    }


def _body() -> Mapping[str, Any]:
    """The JSON object of the request; an empty body is an empty object."""
    if not request.data:
        return {}
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise BodyError("body")
    return body


def _text(body: Mapping[str, Any], name: str, *, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or "\0" in value:
        raise BodyError(name)
    return value


def _limit() -> int:
    text = request.args.get("limit", "50")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 200:
        raise BodyError("limit")
    return int(text)


def _keep_idcards_out(search: str) -> None:
    """A person's number in an address would stand in every log on the way."""
    if find_idcard(search):
        raise SearchByPostError


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
