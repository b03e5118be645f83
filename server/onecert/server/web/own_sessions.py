"""Where an operator is signed in: the open sessions of the account, each of which can be ended from here."""

from __future__ import annotations

from flask import Response, make_response, redirect, render_template, request, url_for

from onecert.server.languages import _
from onecert.server.web.access import current_operator, current_session, notify
from onecert.server.web.frame import current_frame

__all__ = ["end", "show"]


def show() -> str:
    """The page; a caller without a session, by certificate alone, sees all of them."""
    operator, session = current_operator(), current_session()
    return render_template(
        "sessions.html",
        sessions=current_frame().sign_in.own_sessions(operator),
        mine=None if session is None else session.token_sha256,
    )


def end() -> Response:
    """End one of the others, or all others."""
    current_operator()
    session = current_session()
    if session is not None:
        name = request.form.get("session", "")[:64]
        # A form without a name ends none; `all` is said in words.
        count = current_frame().sign_in.end_own(session, "" if name == "all" else name or "-")
        notify(_("Sessions ended: %(count)s."), count=count)
    return make_response(redirect(url_for("frame.sessions"), 303))
