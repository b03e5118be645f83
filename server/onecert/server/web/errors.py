"""Errors become answers here, in one table: a page for people, problem JSON (RFC 9457) for programs."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from flask import (
    Flask,
    Response,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.exceptions import HTTPException

from onecert.server.errors import ServiceError
from onecert.server.languages import Message, _, current_language, gettext
from onecert.server.operators.errors import RoleRequiredError, SignInRequiredError
from onecert.server.operators.sign_in_errors import TooManyAttemptsError
from onecert.server.web import kept
from onecert.server.web.access import current_session, is_rest
from onecert.server.web.csrf import FormRefusedError
from onecert.server.web.frame import current_frame
from onecert.verifier.errors import CouldNotCheckError, VerifyError

__all__ = ["install_error_handlers", "is_part", "note_refusal", "wants_json"]

log = logging.getLogger(__name__)
PROBLEM_TYPE = "urn:onecert:problem:"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An error as it is shown, already in the reader's language."""

    status: int
    code: str
    text: str
    hint: str = ""


# What the web framework itself refuses: status -> (code, text, hint).
HTTP_TEXTS: Mapping[int, tuple[str, Message, Message]] = {
    400: (
        "BAD_REQUEST",
        _("The request could not be understood."),
        _("Go back, reload the page and try again."),
    ),
    404: (
        "NOT_FOUND",
        _("There is nothing at this address."),
        _("Check the address, or begin at the home page."),
    ),
    405: (
        "METHOD_NOT_ALLOWED",
        _("This address does not take such a request."),
        _("Begin at the home page."),
    ),
    413: (
        "TOO_LARGE",
        _("What was sent is larger than this service accepts."),
        _("Send a smaller file, or send it in parts."),
    ),
    415: (
        "UNSUPPORTED_TYPE",
        _("What was sent has a type that this service does not accept."),
        _("The guide for this service names the accepted types."),
    ),
}
TITLES: Mapping[int, Message] = {
    401: _("Sign in"),
    403: _("Not allowed"),
    404: _("Not found"),
    429: _("Please wait"),
    500: _("Something went wrong"),
    503: _("Not available at the moment"),
}
OTHER_TITLE = _("Refused")


def install_error_handlers(app: Flask) -> None:
    """Answer every error of this app by the table."""
    app.register_error_handler(ServiceError, _service_error)
    app.register_error_handler(VerifyError, _verify_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected_error)


def wants_json() -> bool:
    """Whether the caller is a program: a REST path, or JSON rather than HTML in Accept."""
    if is_rest():
        return True
    accept = request.accept_mimetypes
    best = accept.best_match(
        ["text/html", "application/json", "application/problem+json"], default="text/html"
    )
    return best != "text/html"


def is_part() -> bool:
    """Whether htmx asks for a part of a page, so that the page around it stays."""
    return bool(request.headers.get("HX-Request")) and not request.headers.get("HX-Boosted")


def _service_error(exc: ServiceError) -> Response:
    if isinstance(exc, (SignInRequiredError, FormRefusedError)) and not wants_json() and kept.is_kept():
        return kept.kept_form()
    if (
        isinstance(exc, SignInRequiredError)
        and not (wants_json() or is_part())
        and request.method in {"GET", "HEAD"}
    ):
        here = request.full_path.rstrip("?") if request.path != "/" else None
        return make_response(redirect(url_for("frame.sign_in", next=here), 303))
    if not exc.is_refusal:
        log.error("could not answer", extra={"code": exc.code, "path": request.path})
    elif exc.status in {401, 403, 429}:
        note_refusal(exc.code)
    facts = dict(exc.facts)
    if isinstance(exc, RoleRequiredError):
        # People know a role by its label; only the frame knows the labels.
        labels = current_frame().role_labels
        facts["roles"] = [Message(labels.get(role, role)) for role in exc.roles]
    response = _show(
        Answer(
            status=exc.status,
            code=exc.code,
            text=gettext(exc.text, **facts),
            hint=gettext(exc.hint, **facts) if exc.hint else "",
        )
    )
    if isinstance(exc, TooManyAttemptsError):
        response.headers["Retry-After"] = str(exc.retry_after_s)
    elif exc.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers.setdefault("Retry-After", "10")
    return response


def note_refusal(code: str) -> None:
    """Who was refused what: an operator without the role, a form from elsewhere, a sign-in that failed.

    The address is left out, because that of a one-time link holds its token.
    """
    session = current_session()
    log.warning(
        "refused",
        extra={
            "code": code,
            "view": request.endpoint,
            "method": request.method,
            "operator": session.operator.id if session is not None else None,
            "remote": request.remote_addr,
        },
    )


def _verify_error(exc: VerifyError) -> Response:
    language = current_language()
    status = 503 if isinstance(exc, CouldNotCheckError) else 403
    return _show(Answer(status=status, code=exc.code, text=exc.text(language), hint=exc.hint(language)))


def _http_error(exc: HTTPException) -> Response:
    status = exc.code or 500
    if 300 <= status < 400:
        return make_response(exc.get_response())
    code, text, hint = HTTP_TEXTS.get(status, HTTP_TEXTS[400])
    response = _show(Answer(status=status, code=code, text=gettext(text), hint=gettext(hint)))
    for name, value in exc.get_headers():
        if name.lower() in {"allow", "retry-after"}:
            response.headers[name] = value
    return response


def _unexpected_error(_exc: Exception) -> Response:
    # The number lets an administrator find the entry in the log that a person saw as this page.
    incident = secrets.token_hex(4)
    log.exception("unexpected error", extra={"incident": incident, "path": request.path})
    return _show(
        Answer(
            status=500,
            code="UNEXPECTED",
            text=gettext(
                _("The service met a fault of its own. It is on record under %(incident)s."),
                incident=incident,
            ),
            hint=gettext(
                _(
                    "Check whether your last step took effect before you repeat it, "
                    "and tell the administrator."
                )
            ),
        )
    )


def _show(answer: Answer) -> Response:
    title = gettext(TITLES.get(answer.status, OTHER_TITLE))
    if not wants_json():
        page = render_template("error_part.html" if is_part() else "error.html", answer=answer, title=title)
        return make_response(page, answer.status)
    problem = {
        "type": PROBLEM_TYPE + answer.code.lower().replace("_", "-"),
        "title": title,
        "status": answer.status,
        "detail": answer.text,
        "instance": request.script_root + request.path,
        "code": answer.code,
    }
    if answer.hint:
        problem["hint"] = answer.hint
    response = jsonify(problem)
    response.status_code = answer.status
    response.content_type = "application/problem+json"
    response.headers["Content-Language"] = current_language()
    return response
