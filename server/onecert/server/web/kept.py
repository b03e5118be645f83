"""A form whose session ended while it was filled in: what was typed comes back on a page; nothing is lost.

The page has the typed fields in hidden fields and asks to sign in in another window; "send again" then sends
the form to where it was going. That takes no script, and the server keeps nothing.

Only for a form that came from our own pages in this very browser, shown by one of two things: the browser
says so (``Sec-Fetch-Site``, ``Origin``), or the form has the token that belongs to the session cookie it came
with, which is proved without the session. So no other site can have its fields shown here as somebody's own.
And nothing is done before the person, signed in again, sends the form with the token of the new session.

Fields that must not lie in a page (PINs, codes, passwords, the number of a person's document) and files are
left out; the page names them.
"""

from __future__ import annotations

import hmac
import re

from flask import Response, make_response, render_template, request

from onecert.server.languages import gettext
from onecert.server.web.access import current_session, is_public, is_rest
from onecert.server.web.csrf import FIELD, FormRefusedError, token_for
from onecert.server.web.frame import current_frame

__all__ = ["MAX_KEPT", "is_kept", "kept_form"]

MAX_KEPT = 256 * 1024  # characters of all fields together; a larger form is refused as before
_SECRET = re.compile(r"(^|[_-])(pin|puk|password|passphrase|secret|code|otp|person)([_-]|$)", re.IGNORECASE)
_FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}


def is_kept() -> bool:
    """Whether this refused request is a form of ours whose content is worth keeping."""
    if request.method != "POST" or request.mimetype not in _FORMS or is_rest() or is_public():
        return False
    if request.headers.get("HX-Request"):
        return False  # the page with the form is still there
    if not any(name != FIELD for name in request.form):
        return False
    size = sum(len(name) + len(value) for name, value in request.form.items(multi=True))
    return size <= MAX_KEPT and _is_ours()


def _is_ours() -> bool:
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None or origin is not None:
        own = request.host_url.rstrip("/")
        return site in {None, "same-origin"} and origin in {None, own}
    cookie = request.cookies.get(current_frame().session_cookie)
    given = request.form.get(FIELD, "")
    return cookie is not None and hmac.compare_digest(given.encode(), token_for(cookie).encode())


def kept_form() -> Response:
    """The page with the fields; 401 while nobody is signed in, 403 (an old token) when somebody is."""
    fields, secret = [], []
    for name, value in request.form.items(multi=True):
        if name == FIELD:
            continue
        if _SECRET.search(name):
            secret.append(name)
        else:
            fields.append((name, value))
    refused = FormRefusedError()
    is_signed_in = current_session() is not None
    page = render_template(
        "kept.html",
        fields=fields,
        action=request.script_root + request.full_path.rstrip("?"),
        is_multipart=request.mimetype == "multipart/form-data",
        is_something_missing=bool(secret) or any(file.filename for file in request.files.values()),
        is_signed_in=is_signed_in,
        code=refused.code if is_signed_in else "SIGN_IN_REQUIRED",
        title=gettext("Nothing is lost"),
    )
    return make_response(page, 403 if is_signed_in else 401)
