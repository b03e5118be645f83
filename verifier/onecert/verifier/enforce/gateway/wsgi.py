"""WSGI middleware: only requests that the gateway has signed for reach the application. For Flask as well:

    application = GatewayMiddleware(application, verifier)
    app.wsgi_app = GatewayMiddleware(app.wsgi_app, verifier)        # Flask

``environ["onecert.privileges"]`` is the ``Privileges``; ``REMOTE_USER`` its subject.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from onecert.verifier.enforce.gateway.header import GatewayVerifier
from onecert.verifier.enforce.gateway.lookalikes import from_wsgi, only_header
from onecert.verifier.errors import VerifyError
from onecert.verifier.web.gate import now
from onecert.verifier.web.wsgi import refuse

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["PRIVILEGES", "GatewayMiddleware"]

PRIVILEGES = "onecert.privileges"

log = logging.getLogger(__name__)


class GatewayMiddleware:
    """Lets signed requests through.

    Args:
        exempt: paths that need no header, such as ``/health``; one that ends in / covers all below it. Nobody
            is named there.
        clock: gives the time of a request; the machine's clock by default.
    """

    def __init__(
        self,
        application: WSGIApplication,
        verifier: GatewayVerifier,
        *,
        exempt: Iterable[str] = (),
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._application, self._verifier = application, verifier
        self._exempt, self._clock = tuple(exempt), clock or now

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        inner = {name: value for name, value in environ.items() if name not in {PRIVILEGES, "REMOTE_USER"}}
        path = _path(environ)
        if not is_exempt(path, self._exempt):
            try:
                found = self._verifier.verify(
                    only_header(from_wsgi(environ)),
                    method=str(environ["REQUEST_METHOD"]),
                    path=path,
                    at=self._clock(),
                )
            except VerifyError as error:
                log.info("request without a good gateway header", extra={"code": error.code})
                return refuse(environ, start_response, error)
            inner |= {PRIVILEGES: found, "REMOTE_USER": found.subject}
        return self._application(inner, start_response)


def is_exempt(path: str, exempt: Iterable[str]) -> bool:
    """Tell whether a path needs no header; what climbs up again is no path below."""
    if ".." in path.split("/"):
        return False
    return any(path == each or (each.endswith("/") and path.startswith(each)) for each in exempt)


def _path(environ: WSGIEnvironment) -> str:
    # PEP 3333: text of WSGI holds octets; what they are in UTF-8 is what the gateway signed.
    path = str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", ""))
    return path.encode("latin-1", "replace").decode("utf-8", "replace")
