"""A test client for the apps of ``create_frame``: signs in, sends forms with their token. For tests only.

client = FrameClient(app)
client.sign_in("clerk1")
client.submit("/applications", {"name": "…"})
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask.testing import FlaskClient

from onecert.server.operators.store import Operators
from onecert.server.web import csrf
from onecert.server.web.frame import frame_of

if TYPE_CHECKING:
    from onecert.server.members import Context

__all__ = ["FrameClient", "foreign_scripts"]

_OWN = r'src="/[a-z]+/(?:frame|assets)/[\w.-]+\?v=[0-9a-f]+" defer></script>'
_SCRIPT = re.compile(rf"<script(?! {_OWN})[^>]*>?", re.I)


def foreign_scripts(page: str) -> list[str]:
    """Each script tag of a page (HTML) that is not one of the frame's or the member's own files."""
    return _SCRIPT.findall(page)


class FrameClient(FlaskClient):
    """Like Flask's client, on https and mounted at ``/<service>`` as in life; paths leave that out."""

    def __init__(self, app: Flask, context: Context) -> None:
        super().__init__(app, app.response_class, use_cookies=True)
        self._context = context

    @property
    def _operators(self) -> Operators:
        return self._context.operators

    def sign_in(self, operator_id: str) -> None:
        """Open a session for this operator, as a one-time link would."""
        frame = frame_of(self.application)
        with self._context.database.transaction() as connection:
            operator = self._operators.load(connection, operator_id)
            token = frame.sign_in.sessions.open(connection, operator, method="link")
        self.set_cookie(frame.session_cookie, token, path=f"/{frame.name}", secure=True)

    def submit(self, path: str, data: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """POST a form as a page would, with the token of this client's session."""
        return self.post(path, data={**(data or {}), csrf.FIELD: self.form_token()}, **options)

    def form_token(self) -> str:
        """The token that a page of this client would hold; before sign-in the client gets its cookie."""
        frame = frame_of(self.application)
        cookie = self.get_cookie(frame.session_cookie, path=f"/{frame.name}")
        if cookie is None:
            cookie = self.get_cookie(csrf.FORM_COOKIE)
        if cookie is None:
            self.set_cookie(csrf.FORM_COOKIE, "form-cookie-of-a-test", secure=True)
            return csrf.token_for("form-cookie-of-a-test")
        return csrf.token_for(cookie.value)
