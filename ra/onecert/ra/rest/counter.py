"""REST for the program on the counter's PC (`onecert counter`): by application number, for media clerks.

The program comes with a pass, got once for a code from the page "Tokens" (`Authorization: Bearer …`), or with
the clerk's own client certificate. Nothing else takes a pass.
"""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from onecert.ra.applications.records import Application
from onecert.ra.cases.records import Case, load_case_by_number
from onecert.ra.certificates.records import find_by_application, load_certificate
from onecert.ra.content.csr import MAX_OCTETS
from onecert.ra.delivery.numbers import find_by_number
from onecert.ra.errors import CounterCodeError, MediumRefusedError, NotFoundError
from onecert.ra.keys.origins import find_origin
from onecert.ra.life.machine import Business, State
from onecert.ra.media.stock import normal_token_number
from onecert.ra.operators.acting import ActingOperator
from onecert.ra.operators.roles import MEDIA
from onecert.ra.pages.common import the_operator, the_ra
from onecert.ra.pages.public import source
from onecert.ra.points.points import list_points
from onecert.ra.rest.common import moment, read_body, read_text
from onecert.ra.rest.openapi_parts import MAYBE, MOMENT, TEXT, operation, parameter, record
from onecert.server.operators import check_role
from onecert.server.web import public

__all__ = ["add_to", "paths", "schemas"]

_SCHEME = "Bearer "


def add_to(api: Blueprint) -> None:
    """Add the endpoints."""
    api.add_url_rule("/counter/pass", "counter_pass", _pass, methods=["POST"])
    api.add_url_rule("/counter/sign-out", "counter_sign_out", _sign_out, methods=["POST"])
    path = "/counter/applications/<number>"
    api.add_url_rule(path, "counter_application", _show)
    api.add_url_rule(f"{path}/request", "counter_request", _request, methods=["POST"])
    api.add_url_rule(f"{path}/certificate", "counter_certificate", _certificate)
    api.add_url_rule(f"{path}/written", "counter_written", _written, methods=["POST"])
    api.add_url_rule("/counter/tokens/<token>/spoiled", "counter_spoiled", _spoiled, methods=["POST"])
    api.add_url_rule("/counter/unlocks/<number>", "counter_unlock", _unlock)
    api.add_url_rule("/counter/unlocks/<number>/done", "counter_unlocked", _unlocked, methods=["POST"])


@public
def _pass() -> Response:
    ra = the_ra()
    given, until = ra.passes.exchange(read_text(read_body(), "code")[:64], source=source())
    operator = ra.passes.operator(given)
    return jsonify(
        {"pass": given, "until": moment(until), "operator": operator.id, "operator_name": operator.name}
    )


@public
def _sign_out() -> Response:
    given = _given_pass()
    if given is None:
        raise CounterCodeError
    the_ra().passes.end(given)
    return jsonify({"done": True})


@public
def _show(number: str) -> Response:
    return jsonify(_json(_application(_clerk(), number)))


@public
def _request(number: str) -> Response:
    """The request of a key on a token becomes part of the draft; the same again changes nothing."""
    operator, body = _clerk(), read_body()
    application = _application(operator, number)
    csr = read_text(body, "csr_pem")[: 2 * MAX_OCTETS]
    token = normal_token_number(read_text(body, "token_number")[:64])
    done = the_ra().key_making.bring(operator, application.id, csr, token_number=token)
    return jsonify(_json(done))


@public
def _certificate(number: str) -> Response:
    application = _application(_clerk(), number)
    with the_ra().database.reading() as connection:
        found = find_by_application(connection, application.id)
    if found is None:
        raise MediumRefusedError("MEDIUM_NOT_ISSUED", "-")
    return jsonify(
        {
            "authority": found.authority,
            "serial": found.serial_hex,
            "certificate_pem": found.certificate_pem,
            "chain_pem": found.chain_pem,
        }
    )


@public
def _written(number: str) -> Response:
    operator, body = _clerk(), read_body()
    application = _application(operator, number)
    the_ra().stock.written(operator, application.id, read_text(body, "token_number")[:64])
    return jsonify(_json(application))


@public
def _spoiled(token: str) -> Response:
    operator, body = _clerk(), read_body()
    the_ra().stock.put_aside(operator, token, event="spoiled", note=read_text(body, "note"))
    return jsonify({"done": True})


@public
def _unlock(number: str) -> Response:
    case = _case(_clerk(), number)
    return jsonify(_case_json(case))


@public
def _unlocked(number: str) -> Response:
    """The token has a new PIN: the case is done. It must be the token that the certificate is on."""
    operator, body = _clerk(), read_body()
    ra, case = the_ra(), _case(operator, number)
    token = normal_token_number(read_text(body, "token_number")[:64])
    if _token_of(case) not in {None, token}:
        raise MediumRefusedError("MEDIUM_OTHER_KEY", token)
    if case.state is not State.DONE:
        case = ra.cases.complete(operator, case.id)
        ra.stock.note_unlocked(operator, token, case.id)
    return jsonify(_case_json(case))


# --- who asks, and about what ---------------------------------------------------------------------


def _clerk() -> ActingOperator:
    given = _given_pass()
    operator = the_operator() if given is None else the_ra().passes.operator(given)
    check_role(operator, MEDIA)
    return operator


def _given_pass() -> str | None:
    header = request.headers.get("Authorization", "")
    return header.removeprefix(_SCHEME)[:128] if header.startswith(_SCHEME) else None


def _application(operator: ActingOperator, number: str) -> Application:
    ra = the_ra()
    with ra.database.reading() as connection:
        found = find_by_number(connection, number)
    if found is None:
        raise NotFoundError(number[:32])
    try:
        return ra.reach.application(operator, found.id)
    except NotFoundError:
        # Word for word as if it did not exist: neither that it does, nor its id.
        raise NotFoundError(number[:32]) from None


def _case(operator: ActingOperator, number: str) -> Case:
    ra = the_ra()
    running = number.strip().upper().partition("-C")[2]
    found = None
    if running.isascii() and running.isdigit() and len(running) < 18:
        with ra.database.reading() as connection:
            found = load_case_by_number(connection, int(running), ra.reach.scope(connection, operator))
    if found is None or found.number != number.strip().upper() or found.business is not Business.UNLOCK:
        raise NotFoundError(number[:32])
    return found


def _json(application: Application) -> dict[str, Any]:
    with the_ra().database.reading() as connection:
        origin = find_origin(connection, application.id, application.key_sha256)
    return {
        "id": application.id,
        "number": application.number,
        "type": application.kind.value,
        "business": application.business.value,
        "state": application.state.value,
        "name": application.name,
        "authority": application.authority,
        "point": application.point,
        "point_name": _point_name(application.point),
        "key_sha256": application.key_sha256,
        "token_number": None if origin is None else origin.token_number,
    }


def _point_name(point: str) -> str:
    with the_ra().database.reading() as connection:
        names = {each.id: each.name for each in list_points(connection)}
    return names.get(point, point)


def _token_of(case: Case) -> str | None:
    with the_ra().database.reading() as connection:
        return load_certificate(connection, case.authority, case.serial_hex).token_number


def _case_json(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "number": case.number,
        "state": case.state.value,
        "name": case.name,
        "point_name": _point_name(case.point),
        "authority": case.authority,
        "serial": case.serial_hex,
        "token_number": _token_of(case),
    }


# --- the document ---------------------------------------------------------------------------------


def paths() -> dict[str, Any]:
    """Path -> method -> operation."""
    number, token = [parameter("number")], [parameter("token")]
    place = "/counter/applications/{number}"
    found: dict[str, Any] = {
        "/counter/pass": {
            "post": operation("Exchange a code for a pass", "CounterPass", None, "CounterCode")
        },
        "/counter/sign-out": {"post": operation("End the pass", "CounterDone")},
        place: {"get": operation("An application at the counter", "CounterApplication", number)},
        f"{place}/request": {
            "post": operation("Bring a key's request", "CounterApplication", number, "CounterRequest")
        },
        f"{place}/certificate": {"get": operation("What is written", "CounterCertificate", number)},
        f"{place}/written": {
            "post": operation("It is on the token", "CounterApplication", number, "CounterToken")
        },
        "/counter/tokens/{token}/spoiled": {
            "post": operation("Put a token aside", "CounterDone", token, "CounterNote")
        },
        "/counter/unlocks/{number}": {"get": operation("An unlocking", "CounterUnlock", number)},
        "/counter/unlocks/{number}/done": {
            "post": operation("The token has a new PIN", "CounterUnlock", number, "CounterToken")
        },
    }
    for path, methods in found.items():
        for described in methods.values():
            described["security"] = [] if path == "/counter/pass" else [{"counter": []}, {"certificate": []}]
    return found


def schemas() -> dict[str, Any]:
    """Name -> schema."""
    texts = ("id", "number", "type", "business", "state", "name", "authority", "point", "point_name")
    unlock = ("id", "number", "state", "name", "point_name", "authority", "serial")
    return {
        "CounterCode": record({"code": TEXT}),
        "CounterPass": record({"pass": TEXT, "until": MOMENT, "operator": TEXT, "operator_name": TEXT}),
        "CounterDone": record({"done": {"type": "boolean"}}),
        "CounterNote": record({"note": TEXT}),
        "CounterToken": record({"token_number": TEXT}),
        "CounterRequest": record({"csr_pem": TEXT, "token_number": TEXT}),
        "CounterApplication": record(
            {**dict.fromkeys(texts, TEXT), "key_sha256": MAYBE, "token_number": MAYBE}
        ),
        "CounterCertificate": record(
            dict.fromkeys(("authority", "serial", "certificate_pem", "chain_pem"), TEXT)
        ),
        "CounterUnlock": record({**dict.fromkeys(unlock, TEXT), "token_number": MAYBE}),
    }
