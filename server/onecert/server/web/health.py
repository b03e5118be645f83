"""/healthz (the process lives), /readyz (the service can work now), /metrics (Prometheus), of one service.

Who may read the last two is decided by the dispatcher in front; see [server] monitors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, Response, jsonify

from onecert.server import metrics
from onecert.server.health import examine
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
    results, problems = examine(current_frame().name, current_frame().checks)
    body = {"status": "not ready" if problems else "ready", "checks": results}
    response = jsonify(body | {"problems": problems} if problems else body)
    response.status_code = 503 if problems else 200
    return response


@public
def _metrics() -> Response:
    return Response(metrics.exposition(), content_type=metrics.CONTENT_TYPE)
