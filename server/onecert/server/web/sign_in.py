"""Pages of signing in and out, and the home page of a service that has none of its own.

A one-time link shows whose it is and is used up by the button on that page, not by opening it: previews and
prefetching by browsers would otherwise burn it.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID
from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, request, url_for

from onecert.server.operators.errors import OperatorError
from onecert.server.operators.peer import is_local_browser, read_peer_certificate
from onecert.server.operators.sign_in_errors import TooManyAttemptsError
from onecert.server.web import assets, own_sessions
from onecert.server.web.access import current_operator, current_session, public
from onecert.server.web.csrf import csrf_token
from onecert.server.web.errors import note_refusal, wants_json
from onecert.server.web.frame import Frame, current_frame
from onecert.server.web.sign_in_help import help_for, help_without_certificate

__all__ = ["blueprint", "render_home", "safe_next"]

MAX_NEXT = 500


def blueprint() -> Blueprint:
    """The frame's own pages, mounted into every service."""
    pages = Blueprint("frame", __name__)
    pages.add_url_rule("/frame/<path:filename>", "static", assets.serve)
    pages.add_url_rule("/session", "session", _session)
    pages.add_url_rule("/sessions", "sessions", own_sessions.show)
    pages.add_url_rule("/sessions/end", "end_sessions", own_sessions.end, methods=["POST"])
    pages.add_url_rule("/sign-in", "sign_in", _page)
    pages.add_url_rule("/sign-in/certificate", "sign_in_certificate", _by_certificate, methods=["POST"])
    pages.add_url_rule("/sign-in/<token>", "sign_in_link", _link_page, methods=["GET"])
    pages.add_url_rule("/sign-in/<token>", "use_link", _by_link, methods=["POST"])
    pages.add_url_rule("/sign-out", "sign_out", _sign_out, methods=["POST"])
    return pages


def render_home() -> str:
    """A home page made of the navigation."""
    current_operator()
    return render_template("home.html")


def safe_next(given: str | None) -> str:
    """Where to go after sign-in: a path inside this service, otherwise its home.

    Anything that a browser might read as another host ("//evil", "/\\evil", "https:…") goes home instead.
    """
    home = request.script_root + "/"
    if not given or len(given) > MAX_NEXT or not given.isprintable() or "\\" in given:
        return home
    if not given.startswith("/") or given.startswith("//"):
        return home
    return request.script_root + given


def _session() -> Response:
    """Who is signed in now, for a page whose session ended under it: the operator and the new form token."""
    return jsonify({"operator": current_operator().id, "csrf_token": csrf_token()})


@public
def _page() -> Response:
    if current_session() is not None:
        return make_response(redirect(safe_next(request.args.get("next")), 303))
    return _sign_in_page()


def _sign_in_page(error: OperatorError | None = None) -> Response:
    """The page with both ways in; after a refusal with the reason and what to do about it."""
    config = current_frame().sign_in.config
    certificate = read_peer_certificate(request.environ, config)
    help_texts = help_for(error) if error is not None else [] if certificate else help_without_certificate()
    page = render_template(
        "sign_in.html",
        certificate_name=None if certificate is None else _display_name(certificate),
        is_local=is_local_browser(request.environ, config),
        next=(request.form.get("next") or request.args.get("next") or "")[:MAX_NEXT],
        signed_out="signed_out" in request.args,
        help_texts=help_texts,
        error=error,
    )
    return make_response(page, 200 if error is None else error.status)


@public
def _by_certificate() -> Response:
    frame = current_frame()
    try:
        token = frame.sign_in.by_certificate(
            request.environ, old_session=request.cookies.get(frame.session_cookie)
        )
    except OperatorError as error:
        if wants_json():
            raise
        return _refused(error)
    return _enter(frame, token, safe_next(request.form.get("next")))


@public
def _link_page(token: str) -> Response:
    operator = current_frame().sign_in.preview_link(request.environ, token)
    return make_response(render_template("sign_in_link.html", token=token, invited=operator))


@public
def _by_link(token: str) -> Response:
    frame = current_frame()
    session = frame.sign_in.by_link(
        request.environ, token, old_session=request.cookies.get(frame.session_cookie)
    )
    return _enter(frame, session, safe_next(None))


@public
def _sign_out() -> Response:
    frame = current_frame()
    session = current_session()
    if session is not None:
        frame.sign_in.sign_out(session)
    response = make_response(redirect(url_for("frame.sign_in", signed_out=1), 303))
    response.delete_cookie(
        frame.session_cookie, path=request.script_root or "/", secure=True, httponly=True, samesite="Strict"
    )
    return response


def _refused(error: OperatorError) -> Response:
    note_refusal(error.code)
    response = _sign_in_page(error)
    if isinstance(error, TooManyAttemptsError):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _enter(frame: Frame, token: str, target: str) -> Response:
    response = make_response(redirect(target, 303))
    # No expiry: the browser forgets it when it closes; the server's own limits count in any case.
    response.set_cookie(
        frame.session_cookie,
        token,
        path=request.script_root or "/",
        secure=True,
        httponly=True,
        samesite="Strict",
    )
    return response


def _display_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    text = str(names[0].value) if names else certificate.subject.rfc4514_string()
    return text[:80]
