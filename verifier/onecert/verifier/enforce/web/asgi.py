"""ASGI middleware: addresses of an application, each with the action that it does; see ``wsgi``.

``scope["onecert.granted"]`` is what let a connection through. Deciding runs in a thread, since a source of
attribute certificates may block. Web sockets are asked for as ``GET``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from onecert.verifier.attribute_certificate.extensions import TargetIdentity
from onecert.verifier.enforce.web.answers import denied_answer
from onecert.verifier.enforce.web.guard import CREDENTIALS_HEADER, Granted, Guard
from onecert.verifier.enforce.web.wsgi import GRANTED, Address, Addresses
from onecert.verifier.errors import VerifyError
from onecert.verifier.web.asgi import refuse
from onecert.verifier.web.wsgi import CERTIFICATE

__all__ = ["GRANTED", "PrivilegeMiddleware"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger(__name__)


class PrivilegeMiddleware:
    """Lets connections through whose action is permitted."""

    def __init__(
        self,
        application: Application,
        guard: Guard,
        addresses: Iterable[Address],
        *,
        target: TargetIdentity | None = None,
    ) -> None:
        self._application, self._addresses = application, Addresses(guard, addresses, target)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        inner = {name: value for name, value in scope.items() if name != GRANTED}
        if scope["type"] not in {"http", "websocket"}:
            await self._application(inner, receive, send)
            return
        try:
            inner[GRANTED] = await asyncio.to_thread(self._check, scope)
        except VerifyError as error:
            log.info("request refused", extra={"code": error.code})
            accept, language = (", ".join(_values(scope, each)) for each in ("accept", "accept-language"))
            answer = denied_answer(error, accept=accept, accept_language=language)
            await refuse(scope, error, receive, send, answer=answer)
            return
        await self._application(inner, receive, send)

    def _check(self, scope: Scope) -> Granted | None:
        return self._addresses.check(
            str(scope.get("method", "GET")),
            str(scope.get("path", "")),
            scope.get(CERTIFICATE),
            _values(scope, CREDENTIALS_HEADER.lower()),
        )


def _values(scope: Scope, name: str) -> list[str]:
    wanted = name.encode()
    return [value.decode("latin-1") for each, value in scope.get("headers", ()) if each.lower() == wanted]
