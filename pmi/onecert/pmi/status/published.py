"""The status service over plain HTTP: /<authority>.acrl and /<authority>.cer, of a later
key /<authority>.<number>.acrl; small WSGI, no framework.

RFC 5755, section 6, and RFC 5280, section 4.2.1.13. What was read last is served while the database is away.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from onecert.pmi.authorities.directory import Authorities
from onecert.pmi.status.acrl import AcrlPublisher
from onecert.server.database import Database
from onecert.server.errors import ServiceError

__all__ = ["StatusApp"]

log = logging.getLogger(__name__)

_FILE = re.compile(r"/([a-z][a-z0-9-]{0,62}(?:\.[1-9][0-9]{0,3})?)\.(acrl|cer)", re.ASCII)
_TYPES = {"acrl": "application/pkix-crl", "cer": "application/pkix-cert"}
_MAX_AGE_S = {"acrl": 60, "cer": 86400}


class StatusApp:
    """WSGI application; nothing here needs the token."""

    def __init__(self, database: Database, authorities: Authorities, publisher: AcrlPublisher) -> None:
        self._database = database
        self._authorities = authorities
        self._publisher = publisher
        self._last: dict[tuple[str, str], bytes] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method = environ.get("REQUEST_METHOD", "GET")
        if method not in {"GET", "HEAD"}:
            return _plain(start_response, HTTPStatus.METHOD_NOT_ALLOWED, [("Allow", "GET, HEAD")])
        match = _FILE.fullmatch(environ.get("PATH_INFO", ""))
        content = self._content(match[1], match[2]) if match else None
        if match is None or content is None:
            return _plain(start_response, HTTPStatus.NOT_FOUND)
        kind = match[2]
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = [("ETag", etag), ("Cache-Control", f"public, max-age={_MAX_AGE_S[kind]}, must-revalidate")]
        if etag in {part.strip() for part in environ.get("HTTP_IF_NONE_MATCH", "").split(",")}:
            start_response("304 Not Modified", headers)
            return [b""]
        headers += [("Content-Type", _TYPES[kind]), ("Content-Length", str(len(content)))]
        start_response("200 OK", headers)
        return [b"" if method == "HEAD" else content]

    def _content(self, name: str, kind: str) -> bytes | None:
        try:
            found = self._read(name, kind)
        except ServiceError:
            # A list that verifiers find too old is theirs to refuse; nothing is gained by serving none.
            log.exception("status served from memory", extra={"authority": name})
            return self._last.get((name, kind))
        if found is not None:
            self._last[name, kind] = found
        return found

    def _read(self, name: str, kind: str) -> bytes | None:
        # Each key of an authority has its list and its certificate: tax-office.acrl, then tax-office.2.acrl.
        name, _dot, number = name.partition(".")
        generation = int(number or 1)
        with self._database.reading() as connection:
            if kind == "acrl":
                newest = self._publisher.newest(connection, name, generation)
                return None if newest is None else newest.der
            for authority in self._authorities.every_key(connection):
                if (authority.name, authority.generation) == (name, generation):
                    return authority.certificate.der
        return None


def _plain(
    start_response: Callable[..., Any], status: HTTPStatus, headers: list[tuple[str, str]] | None = None
) -> Iterable[bytes]:
    content = f"{status.phrase}\n".encode()
    start_response(
        f"{status.value} {status.phrase}",
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
            *(headers or []),
        ],
    )
    return [content]
