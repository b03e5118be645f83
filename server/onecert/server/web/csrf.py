"""Forms are only taken from our own pages.

Three independent checks (OWASP: synchroniser token, Fetch metadata, Origin), on top of SameSite=Strict
cookies:

1. A browser that says the request comes from another site (``Sec-Fetch-Site``, ``Origin``) is refused.
2. A form must bring the token of its own session. The token is an HMAC under the session's cookie value,
   so nothing has to be stored, and it changes with every sign-in. Before sign-in a random cookie stands
   in for the session.
3. On REST paths a content type that no HTML form can send (JSON, JOSE) does instead of the token: another
   site's script needs our leave by CORS for that, and we never give it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from flask import Response, g, request

from onecert.server.errors import ServiceError
from onecert.server.operators.errors import SignInRequiredError
from onecert.server.web.access import is_public, is_rest, is_signed_api
from onecert.server.web.frame import current_frame

__all__ = [
    "FIELD",
    "FORM_COOKIE",
    "HEADER",
    "FormRefusedError",
    "check_form",
    "csrf_token",
    "set_form_cookie",
    "token_for",
]

FIELD = "csrf_token"
HEADER = "X-CSRF-Token"
# The prefix makes browsers insist on Secure, Path=/ and no Domain, so a neighbouring host cannot plant it.
FORM_COOKIE = "__Host-onecert-form"
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
_FORM_TYPES = {"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}
_LABEL = b"onecert form token v1"


class FormRefusedError(ServiceError):
    """A form came from another site, from an old page, or without its token."""

    def __init__(self) -> None:
        super().__init__(
            "FORM_REFUSED",
            status=403,
            text="This form was not accepted: it is out of date or does not come from this service.",
            hint="Nothing was changed. Go back, reload the page and send the form again.",
        )


def csrf_token() -> str:
    """The token that a form of this page sends back as ``csrf_token``."""
    value = _binding()
    if value is None:
        value = g.new_form_cookie = secrets.token_urlsafe(32)
    return token_for(value)


def check_form() -> None:
    """Let our own forms through.

    Raises:
        FormRefusedError: an unsafe request that is not one of them.
        SignInRequiredError: it is one, but its session has ended.
    """
    if request.method in _SAFE_METHODS or is_signed_api():
        return
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise FormRefusedError
    origin = request.headers.get("Origin")
    if origin is not None and origin != request.host_url.rstrip("/"):
        raise FormRefusedError
    if is_rest() and request.mimetype not in _FORM_TYPES:
        return
    given = request.headers.get(HEADER) or request.form.get(FIELD, "")
    value = _binding()
    if value is not None and hmac.compare_digest(given.encode(), token_for(value).encode()):
        return
    if not is_public() and g.get("session") is None and _is_of_ended_session(given):
        # Our own form, sent after its session had ended: that is no forgery, and is said as what it is.
        raise SignInRequiredError
    raise FormRefusedError


def _is_of_ended_session(given: str) -> bool:
    cookie = request.cookies.get(current_frame().session_cookie)
    return cookie is not None and hmac.compare_digest(given.encode(), token_for(cookie).encode())


def set_form_cookie(response: Response) -> Response:
    """Give an anonymous visitor who got a form the cookie that its token is bound to."""
    if "new_form_cookie" in g:
        response.set_cookie(FORM_COOKIE, g.new_form_cookie, secure=True, httponly=True, samesite="Strict")
    return response


def _binding() -> str | None:
    # The cookie counts only when its session is alive: after sign-out an old page's form is refused.
    if g.get("session") is not None:
        return str(g.session_token)
    return g.get("new_form_cookie") or request.cookies.get(FORM_COOKIE)


def token_for(value: str) -> str:
    """The form token that goes with this value of the session's (or the form) cookie."""
    digest = hmac.new(value.encode("utf-8", "replace"), _LABEL, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
