"""Orders past the frame: the one request that has to be quick is answered before Flask sees it.

What the frame does for pages (session, forms, language, template) means nothing to a signed document, and
costs half as much as issuing. Only the plain case goes this way: a POST of known, allowed length whose order
is filled. Everything else, and every refusal, is the frame's: it finds the refusal in the environment and
words it as always.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask

from onecert.ca.issuing.issuance import Issuance
from onecert.ca.issuing.signed_documents import DOCUMENT_MAX_BYTES

__all__ = ["OrderDoor", "raise_refusal"]

PATH = "/v1/orders"
_REFUSAL = "onecert.ca.refusal"
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class OrderDoor:
    """Stands in front of the application of the CA; to be made when that is complete."""

    def __init__(self, app: Flask, issuance: Issuance) -> None:
        self._behind: WSGIApplication = app.wsgi_app
        self._issuance = issuance
        # The headers that the frame gives to every answer of this view.
        with app.test_request_context(PATH, method="POST"):
            answer = app.process_response(app.response_class(mimetype="application/json"))
        self._headers = [(name, value) for name, value in answer.headers if name != "Content-Length"]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST":
            return self._behind(environ, start_response)
        length = _length(environ)
        if length is None:
            return self._behind(environ, start_response)
        document = environ["wsgi.input"].read(length)
        try:
            issued = self._issuance.issue(document, idempotency_key=environ.get("HTTP_IDEMPOTENCY_KEY"))
        except Exception as exc:
            environ[_REFUSAL] = exc
            environ["wsgi.input"] = io.BytesIO(document)
            return self._behind(environ, start_response)
        body = (_encode(issued.as_json()) + "\n").encode("ascii")
        start_response(
            "201 CREATED" if issued.is_new else "200 OK",
            [*self._headers, ("Content-Length", str(len(body)))],
        )
        return [body]


def raise_refusal(environ: WSGIEnvironment) -> None:
    """In the view: raise what the door has met with this very request."""
    refusal = environ.get(_REFUSAL)
    if refusal is not None:
        raise refusal


def _length(environ: WSGIEnvironment) -> int | None:
    """The length of the body; None when it is not said plainly or is more than an order may have."""
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return None
    text = environ.get("CONTENT_LENGTH", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        return None
    length = int(text)
    return length if length <= DOCUMENT_MAX_BYTES else None
