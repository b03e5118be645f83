"""ASGI middleware (version 3): the application behind it is told who the holder of the certificate is.

    application = CertificateMiddleware(application, verifier)

``scope["onecert.identity"]`` is the ``Identity``, ``scope["onecert.certificate"]`` the whole
``VerifiedCertificate``. Verification runs in a thread, since a source of revocation lists may block.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from onecert.verifier.errors import VerifyError
from onecert.verifier.verifier import VerifiedCertificate
from onecert.verifier.web.answers import Answer, answer_for
from onecert.verifier.web.gate import Gated
from onecert.verifier.web.wsgi import CERTIFICATE, IDENTITY

__all__ = ["CertificateMiddleware", "refuse"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# RFC 6455, section 7.4.1: a message of a type or content that breaks a policy.
_POLICY_VIOLATION = 1008


class CertificateMiddleware(Gated[Application]):
    """Lets HTTP requests and web sockets through whose client certificate verifies; see ``Gated``."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._application(scope, receive, send)
            return
        try:
            verified = await asyncio.to_thread(self._check, scope)
        except VerifyError as error:
            self._gate.note(error)
            await refuse(scope, error, receive, send)
            return
        inner = self._gate.certificates.clean_scope(scope)
        for name in (IDENTITY, CERTIFICATE):
            inner.pop(name, None)
        if verified is not None:
            inner |= {IDENTITY: verified.identity, CERTIFICATE: verified}
        await self._application(inner, receive, send)

    def _check(self, scope: Scope) -> VerifiedCertificate | None:
        return self._gate.check(self._gate.certificates.from_scope(scope), required=self._required)


async def refuse(
    scope: Scope, error: VerifyError, receive: Receive, send: Send, *, answer: Answer | None = None
) -> None:
    """Answer a connection that is not let in: a page or a problem document, or the end of a web socket."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": error.code})
        return
    if answer is None:
        answer = answer_for(
            error, accept=_header(scope, b"accept"), accept_language=_header(scope, b"accept-language")
        )
    await _send(answer, send)


async def _send(answer: Answer, send: Send) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _header(scope: Scope, name: bytes) -> str:
    values = [value.decode("latin-1") for each, value in scope.get("headers", ()) if each.lower() == name]
    return ", ".join(values)
