"""`/v1/holders/<sha256>/attribute-certificates`: what relying parties pull; public, limited in rate."""

from __future__ import annotations

import hashlib
import json
import re

from flask import Blueprint, Response, request

from onecert.pmi.errors import RequestWrongError
from onecert.pmi.parts import Parts
from onecert.pmi.repository.pull import pull_holder
from onecert.pmi.throttle import Throttle
from onecert.server.languages import _
from onecert.server.web import public

__all__ = ["add_repository"]

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MAX_AGE_S = 60


def add_repository(api: Blueprint, parts: Parts) -> None:
    """Add the view of relying parties."""
    throttle = Throttle(parts.config.decisions_per_minute)
    clock, database = parts.context.clock, parts.context.database

    @api.get("/holders/<sha256>/attribute-certificates")
    @public
    def pull(sha256: str) -> Response:
        throttle.check(request.remote_addr or "", clock.now())
        key = request.args.get("key", "")
        for name, value in (("sha256", sha256), ("key", key)):
            if value and not _SHA256.fullmatch(value):
                raise RequestWrongError(name, _("not 64 small hexadecimal digits"))
        with database.reading() as connection:
            pulled = pull_holder(
                connection,
                parts.authorities,
                sha256,
                clock.now(),
                key_sha256=key,
                entity=request.args.get("entity", "")[:128],
            )
        content = json.dumps({"holder_sha256": sha256, **pulled.as_json()}).encode("ascii")
        response = Response(content, mimetype="application/json")
        response.set_etag(hashlib.sha256(content).hexdigest()[:32])
        response.headers["Cache-Control"] = f"public, max-age={_MAX_AGE_S}, must-revalidate"
        response.make_conditional(request)
        return response
