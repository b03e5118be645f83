"""Sends each request of a port to the service that its path begins with, and counts it."""

from __future__ import annotations

import ipaddress
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import perf_counter
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from onecert.server import metrics
from onecert.server.health import respond

__all__ = ["Dispatcher"]

log = logging.getLogger(__name__)

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_HEALTH = {"/healthz", "/readyz", "/metrics"}
_FOR_MONITORS = {"readyz", "metrics"}


class Dispatcher:
    """The application of one port.

    Args:
        port: "https" or "http", for the metrics.
        health: answers /healthz, /readyz, /metrics of the process.
        landing: answers the remaining paths at the root, if there is something to see.
        monitors: addresses besides loopback that may read readiness and metrics; "unix": whoever reaches
            the process by its socket, so that the proxy there must not pass these paths on.
    """

    def __init__(
        self,
        port: str,
        *,
        health: WSGIApplication,
        landing: WSGIApplication | None = None,
        monitors: Sequence[str] = (),
    ) -> None:
        self._port = port
        self._health = health
        self._landing = landing
        self._monitors = frozenset(monitors)
        self._mounts: dict[str, WSGIApplication] = {}

    def mount(self, service: str, app: WSGIApplication) -> None:
        """Answer /<service>/… with this application, which sees SCRIPT_NAME=/<service>."""
        self._mounts[service] = app

    @property
    def mounts(self) -> Mapping[str, WSGIApplication]:
        """What is mounted."""
        return dict(self._mounts)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        started = perf_counter()
        service, app = self._choose(environ)
        method = environ.get("REQUEST_METHOD", "")
        status = "500"

        def start(
            line: str, headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            nonlocal status
            status = line[:3]
            return start_response(line, headers, exc_info)

        try:
            return app(environ, start)
        except Exception:
            log.exception("an application broke", extra={"service": service})
            # With exc_info, the server ends the connection when the answer had begun already (PEP 3333).
            start("500 Internal Server Error", [("Content-Type", "text/plain")], sys.exc_info())
            return [b"internal error\n"]
        finally:
            metrics.requests.labels(
                service, self._port, method if method in _METHODS else "other", status
            ).inc()
            metrics.request_seconds.labels(service, self._port).observe(perf_counter() - started)

    def _choose(self, environ: WSGIEnvironment) -> tuple[str, WSGIApplication]:
        path = environ.get("PATH_INFO", "")
        first, slash, rest = path.lstrip("/").partition("/")
        if (first if not slash else rest) in _FOR_MONITORS and not self._is_monitor(environ):
            return "server", _refuse
        app = self._mounts.get(first)
        if app is not None:
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + f"/{first}"
            environ["PATH_INFO"] = slash + rest
            return first, app
        if path in _HEALTH or self._landing is None:
            return "server", self._health
        return "server", self._landing

    def _is_monitor(self, environ: WSGIEnvironment) -> bool:
        address = environ.get("REMOTE_ADDR") or "unix"
        if address in self._monitors:
            return True
        try:
            return ipaddress.ip_address(address).is_loopback
        except ValueError:
            return False


def _refuse(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return respond(start_response, "403 Forbidden", b"for monitors only\n")
