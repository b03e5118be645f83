"""The applicants' own pages: fetch a certificate, make a key in the browser. No account, one one-time code.

Each request brings the application number and the code again, in the body: nothing is kept in a cookie or an
address, and the page works on a phone without JavaScript, but for making a key.
"""

import base64
import binascii
import ipaddress
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from flask import Blueprint, Response, jsonify, make_response, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.records import load_frozen
from onecert.ra.certificates.records import Certificate
from onecert.ra.delivery.codes import Opened
from onecert.ra.errors import (
    BodyError,
    BrowserKeyRefusedError,
    CodeRefusedError,
    InvalidApplicationError,
    KeyRepeatedError,
    TooManyTriesError,
)
from onecert.ra.keys.browser import assemble, load_browser_key, request_info, request_name
from onecert.ra.keys.origins import BROWSER, find_origin
from onecert.ra.life.machine import Act, acts_possible
from onecert.ra.operators.roles import ENTRY
from onecert.ra.pages.common import the_ra
from onecert.server.errors import ServiceError
from onecert.server.languages import gettext
from onecert.server.operators.peer import source_of
from onecert.server.web import public
from onecert.server.web.frame import current_frame

__all__ = ["blueprint", "source"]

FORMATS = ("pem", "chain", "der", "p7b")


def blueprint() -> Blueprint:
    """The applicants' pages."""
    pages = Blueprint("public", __name__)
    pages.add_url_rule("/fetch", "fetch", _fetch_form)
    pages.add_url_rule("/fetch/<number>", "fetch", _fetch_form)
    pages.add_url_rule("/fetch", "fetched", _fetch, methods=["POST"])
    pages.add_url_rule("/fetch/file", "file", _file, methods=["POST"])
    pages.add_url_rule("/fetch/confirm", "confirm", _confirm, methods=["POST"])
    pages.add_url_rule("/key", "key", _key_form)
    pages.add_url_rule("/key/<number>", "key", _key_form)
    pages.add_url_rule("/key", "key_page", _key, methods=["POST"])
    pages.add_url_rule("/key/draft", "key_draft", _key_draft, methods=["POST"])
    pages.add_url_rule("/key/request", "key_request", _key_request, methods=["POST"])
    return pages


def source() -> str:
    """Where this request comes from, for counting tries: an IPv6 neighbour counts as the same."""
    text = source_of(request.environ, current_frame().sign_in.config)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    return text if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))


# --- fetching -------------------------------------------------------------------------------------


@public
def _fetch_form(number: str = "") -> str:
    return render_template("ra/fetch.html", number=number[:32], refused=None)


@public
def _fetch() -> AnyResponse | str:
    try:
        opened, certificate = _open_fetch()
    except (CodeRefusedError, TooManyTriesError) as refused:
        return _again("ra/fetch.html", refused)
    return _fetch_page(opened, certificate)


@public
def _file() -> AnyResponse:
    try:
        _opened, certificate = _open_fetch()
    except (CodeRefusedError, TooManyTriesError) as refused:
        return _again("ra/fetch.html", refused)
    wanted = request.form.get("format", "")
    if wanted not in FORMATS:
        raise BodyError("format")
    body, mimetype, name = _encoded(certificate, wanted)
    return Response(
        body, mimetype=mimetype, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@public
def _confirm() -> AnyResponse | str:
    ra = the_ra()
    try:
        opened, certificate = _open_fetch()
    except (CodeRefusedError, TooManyTriesError) as refused:
        return _again("ra/fetch.html", refused)
    if request.form.get("received") != "yes":
        return _fetch_page(opened, certificate, unticked=True)
    done = ra.delivery.confirm(opened)
    ra.dispatch.tell_delivery(done.order_id)
    return render_template("ra/fetched.html", application=done, certificate=certificate, done=True)


def _fetch_page(opened: Opened, certificate: Certificate, *, unticked: bool = False) -> AnyResponse:
    ra = the_ra()
    with ra.database.reading() as connection:
        origin = find_origin(connection, opened.application.id, opened.application.key_sha256)
    page = render_template(
        "ra/fetched.html",
        application=opened.application,
        certificate=certificate,
        code=request.form.get("code", ""),
        from_browser=origin is not None and origin.origin == BROWSER,
        unticked=unticked,
        done=False,
    )
    return make_response(page, 422 if unticked else 200)


def _open_fetch() -> tuple[Opened, Certificate]:
    form = request.form
    return the_ra().delivery.open_fetch(form.get("number", ""), form.get("code", ""), source=source())


def _encoded(certificate: Certificate, wanted: str) -> tuple[bytes, str, str]:
    """Octets, media type and file name of a download."""
    own = x509.load_pem_x509_certificate(certificate.certificate_pem.encode())
    name = f"{certificate.authority}-{certificate.serial_hex[:16]}"
    if wanted == "der":
        return own.public_bytes(Encoding.DER), "application/pkix-cert", f"{name}.cer"
    chain = x509.load_pem_x509_certificates(certificate.chain_pem.encode()) if certificate.chain_pem else []
    if wanted == "p7b":
        both = pkcs7.serialize_certificates([own, *chain], Encoding.DER)
        return both, "application/x-pkcs7-certificates", f"{name}.p7b"
    pem = own.public_bytes(Encoding.PEM)
    if wanted == "chain":
        pem, name = pem + b"".join(one.public_bytes(Encoding.PEM) for one in chain), f"{name}-chain"
    return pem, "application/x-pem-file", f"{name}.pem"


# --- a key in the browser ---------------------------------------------------------------------------


@public
def _key_form(number: str = "") -> str:
    return render_template("ra/key.html", number=number[:32], refused=None)


@public
def _key() -> AnyResponse | str:
    try:
        opened = _open_key(request.form)
    except (CodeRefusedError, TooManyTriesError, BrowserKeyRefusedError) as refused:
        return _again("ra/key.html", refused)
    application = opened.application
    with the_ra().database.reading() as connection:
        origin = find_origin(connection, application.id, application.key_sha256)
    return render_template(
        "ra/key_make.html",
        application=application,
        code=request.form.get("code", ""),
        origin=origin,
        possible=_is_possible(opened),
    )


def _is_possible(opened: Opened) -> bool:
    application = opened.application
    return Act.BRING_KEY in acts_possible(application.business, application.state, frozenset({ENTRY}))


@public
def _key_draft() -> Response:
    """Browser's public key -> the octets that it signs (CertificationRequestInfo), base64."""
    body = _json_body()
    key = load_browser_key(_octets(body, "spki"))
    info = request_info(key, _subject(_open_key(body)))
    return jsonify({"info": base64.b64encode(info).decode()})


@public
def _key_request() -> AnyResponse:
    """Public key and signature -> the request is part of the draft."""
    body = _json_body()
    key = load_browser_key(_octets(body, "spki"))
    opened = _open_key(body)
    csr = assemble(key, request_info(key, _subject(opened)), _octets(body, "signature"))
    try:
        done = the_ra().delivery.bring_browser_key(opened, csr)
    except InvalidApplicationError as exc:
        raise BrowserKeyRefusedError("BROWSER_KEY_FORM") from exc
    except KeyRepeatedError as exc:
        # Whose it is, is not for strangers.
        raise BrowserKeyRefusedError("BROWSER_KEY_FORM") from exc
    return jsonify({"number": done.number, "key_sha256": done.key_sha256})


def _open_key(given: Any) -> Opened:
    number, code = given.get("number", ""), given.get("code", "")
    if not isinstance(number, str) or not isinstance(code, str):
        raise BodyError("number, code")
    return the_ra().delivery.open_key(number, code, source=source())


def _subject(opened: Opened) -> x509.Name:
    ra = the_ra()
    with ra.database.reading() as connection:
        frozen = load_frozen(connection, ra.vault, opened.application.id)
    return request_name(frozen.application.name, frozen.values)


def _json_body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise BodyError("body")
    return body


def _octets(body: dict[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(body[name], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise BodyError(name) from None


def _again(template: str, refused: ServiceError) -> AnyResponse:
    """The form once more, with what was wrong; the code is not shown again."""
    page = render_template(
        template,
        number=request.form.get("number", "")[:32],
        refused={
            "text": gettext(refused.text, **refused.facts),
            "hint": gettext(refused.hint, **refused.facts),
        },
    )
    return make_response(page, refused.status)
