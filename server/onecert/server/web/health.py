"""/healthz (the process lives), /readyz (it can work now), /metrics (Prometheus)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import Flask, Response, current_app, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

from onecert.server.errors import ServiceError
from onecert.server.web.access import public

if TYPE_CHECKING:
    from onecert.server.members import Context
    from onecert.server.web.frame import Frame

__all__ = ["install"]


def install(app: Flask, context: Context) -> None:
    """Add the three addresses and count requests."""
    frame: Frame = app.extensions["onecert"]
    frame.checks["database"] = context.database.check
    requests = Counter(
        "onecert_http_requests", "Requests answered", ["endpoint", "method", "status"], registry=frame.metrics
    )
    seconds = Histogram(
        "onecert_http_request_seconds", "Time to answer", ["endpoint"], registry=frame.metrics
    )

    @app.before_request
    def start_watch() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        endpoint = request.endpoint or "none"
        method = request.method if request.method in _METHODS else "other"
        requests.labels(endpoint, method, str(response.status_code)).inc()
        if "started" in g:
            seconds.labels(endpoint).observe(time.perf_counter() - g.started)
        return response

    app.add_url_rule("/healthz", "healthz", _healthz)
    app.add_url_rule("/readyz", "readyz", _readyz)
    app.add_url_rule("/metrics", "metrics", _metrics)


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@public
def _healthz() -> Response:
    return Response("ok\n", mimetype="text/plain")


@public
def _readyz() -> Response:
    frame: Frame = current_app.extensions["onecert"]
    results: dict[str, str] = {}
    for name, check in frame.checks.items():
        try:
            check()
        except ServiceError as exc:
            results[name] = exc.code
        else:
            results[name] = "ok"
    is_ready = all(result == "ok" for result in results.values())
    response = jsonify({"status": "ready" if is_ready else "not ready", "checks": results})
    response.status_code = 200 if is_ready else 503
    return response


@public
def _metrics() -> Response:
    frame: Frame = current_app.extensions["onecert"]
    return Response(generate_latest(frame.metrics), content_type=CONTENT_TYPE_LATEST)
