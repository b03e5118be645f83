"""OCSP over plain HTTP at /<authority>/ocsp (RFC 6960, appendix A.1): POST, and GET with base64 in the path.

Everything else goes to the application behind it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol
from urllib.parse import unquote

from onecert.pmi.status.ocsp import OcspResponder
from onecert.pmi.status.ocsp_messages import MAX_REQUEST

__all__ = ["OcspApp"]

_PATH = re.compile(r"/([a-z][a-z0-9-]{0,62})/ocsp(?:/(.*))?", re.ASCII | re.DOTALL)
_MAX_AGE_S = 60


class _App(Protocol):
    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]: ...


class OcspApp:
    """WSGI application in front of the lists."""

    def __init__(self, responder: OcspResponder, behind: _App) -> None:
        self._responder = responder
        self._behind = behind

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        match = _PATH.fullmatch(environ.get("PATH_INFO", ""))
        if match is None:
            return self._behind(environ, start_response)
        method = environ.get("REQUEST_METHOD", "GET")
        if method == "POST" and not match[2]:
            request, cache = _read(environ), "no-store"
        elif method == "GET" and match[2]:
            # An answer may be asked for again after a minute: a revocation is not kept back by a cache.
            request, cache = _decode(match[2]), f"public, max-age={_MAX_AGE_S}, must-revalidate"
        else:
            start_response("405 Method Not Allowed", [("Allow", "GET, POST"), ("Content-Length", "0")])
            return [b""]
        content = self._responder.answer(match[1], request)
        headers = [
            ("Content-Type", "application/ocsp-response"),
            ("Content-Length", str(len(content))),
            ("Cache-Control", cache),
        ]
        start_response("200 OK", headers)
        return [content]


def _read(environ: dict[str, Any]) -> bytes:
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return b""
    if not 0 < length <= MAX_REQUEST:
        return b""
    data: bytes = environ["wsgi.input"].read(length)
    return data


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(unquote(text), validate=True)
    except (ValueError, binascii.Error):
        return b""
