"""ASGI middleware: only requests that the gateway has signed for reach the application.

``scope["onecert.privileges"]`` is the ``Privileges``. Web sockets are signed for as ``GET``.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import datetime
from typing import Any

from onecert.verifier.enforce.gateway.header import GatewayVerifier
from onecert.verifier.enforce.gateway.lookalikes import only_header
from onecert.verifier.enforce.gateway.wsgi import PRIVILEGES, is_exempt
from onecert.verifier.errors import VerifyError
from onecert.verifier.web.asgi import refuse
from onecert.verifier.web.gate import now

__all__ = ["PRIVILEGES", "GatewayMiddleware"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger(__name__)


class GatewayMiddleware:
    """Lets signed requests through; see the one for WSGI for the arguments."""

    def __init__(
        self,
        application: Application,
        verifier: GatewayVerifier,
        *,
        exempt: Iterable[str] = (),
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._application, self._verifier = application, verifier
        self._exempt, self._clock = tuple(exempt), clock or now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        inner = {name: value for name, value in scope.items() if name != PRIVILEGES}
        path = str(scope.get("path", ""))
        if scope["type"] not in {"http", "websocket"} or is_exempt(path, self._exempt):
            await self._application(inner, receive, send)
            return
        headers = [(name.decode("latin-1"), v.decode("latin-1")) for name, v in scope.get("headers", ())]
        try:
            inner[PRIVILEGES] = self._verifier.verify(
                only_header(headers), method=str(scope.get("method", "GET")), path=path, at=self._clock()
            )
        except VerifyError as error:
            log.info("request without a good gateway header", extra={"code": error.code})
            await refuse(scope, error, receive, send)
            return
        await self._application(inner, receive, send)
