"""Health of the whole process: /healthz (it lives), /readyz (every service can work now), /metrics.

Each service has the same three under its own path. Who may read the details: this machine, and the monitors
named in the settings.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from onecert.server import metrics
from onecert.server.errors import ServiceError, StoppingError
from onecert.server.languages import gettext
from onecert.server.processes import Processes

__all__ = ["Readiness", "examine", "respond"]

log = logging.getLogger(__name__)


def examine(
    service: str, checks: Mapping[str, Callable[[], None]]
) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Run the checks of a service.

    Returns:
        check -> "ok" or the code of what is wrong; and for each fault the service, the check, its code, a
        sentence and what to do, in the current language.
    """
    results: dict[str, str] = {}
    problems: list[dict[str, str]] = []
    for name, check in checks.items():
        text = hint = ""
        try:
            check()
        except ServiceError as exc:
            log.warning("not ready", extra={"service": service, "check": name, "code": exc.code})
            code, text = exc.code, gettext(exc.text, **exc.facts)
            hint = gettext(exc.hint, **exc.facts) if exc.hint else ""
        except Exception as exc:
            log.exception("a readiness check broke", extra={"service": service, "check": name})
            code = type(exc).__name__
        else:
            results[name] = "ok"
            continue
        results[name] = code
        problems.append({"service": service, "check": name, "code": code, "text": text, "hint": hint})
    return results, problems


class Readiness:
    """The checks of every service of this process."""

    def __init__(self) -> None:
        self._checks: dict[str, Mapping[str, Callable[[], None]]] = {}
        self._processes: dict[str, Processes] = {}
        self._is_stopping = False

    def add(
        self, service: str, checks: Mapping[str, Callable[[], None]], processes: Processes | None = None
    ) -> None:
        """Add a service; a check raises ServiceError when it cannot work now."""
        self._checks[service] = checks
        if processes is not None:
            self._processes[service] = processes

    def stop(self) -> None:
        """Say from now on that this process is on its way out."""
        self._is_stopping = True

    def check_not_stopping(self) -> None:
        """The check `process` of every service.

        Raises:
            StoppingError
        """
        if self._is_stopping:
            raise StoppingError

    def results(self) -> dict[str, dict[str, str]]:
        """Run all checks: service -> check -> "ok" or the code of what is wrong."""
        return {service: examine(service, checks)[0] for service, checks in self._checks.items()}

    def app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer /healthz, /readyz and /metrics of the process (WSGI)."""
        path = environ.get("PATH_INFO", "")
        if path == "/healthz":
            return respond(start_response, "200 OK", b"ok\n")
        if path == "/readyz":
            results = self.results()
            is_ready = all(code == "ok" for checks in results.values() for code in checks.values())
            said = {"status": "ready" if is_ready else "not ready", "services": results}
            body = json.dumps(said | {"processes": self._others()}).encode()
            status = "200 OK" if is_ready else "503 Service Unavailable"
            return respond(start_response, status, body, "application/json")
        if path == "/metrics":
            return respond(start_response, "200 OK", metrics.exposition(), metrics.CONTENT_TYPE)
        return respond(start_response, "404 Not Found", b"not found\n")

    def _others(self) -> dict[str, list[dict[str, Any]]]:
        """The processes of each service, as far as its database tells now."""
        found: dict[str, list[dict[str, Any]]] = {}
        for service, processes in self._processes.items():
            try:
                found[service] = [each.as_json() for each in processes.everyone()]
            except ServiceError:
                found[service] = []
        return found


def respond(
    start_response: StartResponse, status: str, body: bytes, content_type: str = "text/plain; charset=utf-8"
) -> Iterable[bytes]:
    """Send a small answer that nobody stores."""
    start_response(
        status,
        [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ],
    )
    return [body]
