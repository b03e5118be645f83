"""/healthz (the process lives), /readyz (the service can work now), /metrics (Prometheus), of one service.

Who may read the last two is decided by the dispatcher in front; see [server] monitors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, Response, jsonify

from onecert.server import metrics
from onecert.server.errors import ServiceError
from onecert.server.web.access import public
from onecert.server.web.frame import current_frame, frame_of

if TYPE_CHECKING:
    from onecert.server.members import Context

__all__ = ["install"]


def install(app: Flask, context: Context) -> None:
    """Add the three addresses. Members add checks of their own to ``frame_of(app).checks``."""
    frame_of(app).checks["database"] = context.database.check
    app.add_url_rule("/healthz", "healthz", _healthz)
    app.add_url_rule("/readyz", "readyz", _readyz)
    app.add_url_rule("/metrics", "metrics", _metrics)


@public
def _healthz() -> Response:
    return Response("ok\n", mimetype="text/plain")


@public
def _readyz() -> Response:
    results: dict[str, str] = {}
    for name, check in current_frame().checks.items():
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
    return Response(metrics.exposition(), content_type=metrics.CONTENT_TYPE)
