"""The status service: lists, CA certificates, OCSP answers and timestamps over plain HTTP; small WSGI.

    /<authority>.crl   /<authority>-<n>.crl   /<authority>-delta.crl   /<authority>-<n>-delta.crl
    /<authority>.cer   /<authority>.p7c   /<authority>/ocsp   /<authority>/ocsp/<base64>   /<authority>/tsa

Lists and certificates are files, and so are OCSP answers that were signed ahead: they are served when
database and token are gone. The same application serves in the CA's process and in status processes, which
have nothing but the folder (`status_process.py`). RFC 5280 4.2.1.13, RFC 6960 appendix A, RFC 5019 for the
headers; RFC 3161, section 3.4.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, formatdate, parsedate_to_datetime
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, Protocol

from onecert.ca.errors import UnknownAuthorityError
from onecert.ca.lists.crl import next_update_of
from onecert.ca.ocsp.messages import MAX_REQUEST_OCTETS
from onecert.ca.ocsp.stored_answers import OcspAnswer
from onecert.ca.status.files import StatusFiles
from onecert.ca.timestamps.authority import TimestampAuthorities
from onecert.ca.timestamps.messages import MAX_REQUEST_OCTETS as MAX_TIMESTAMP_OCTETS
from onecert.server.clock import Clock

__all__ = ["StatusApp"]

log = logging.getLogger(__name__)

StartResponse = Callable[..., Any]

_FILE = re.compile(r"/([a-z][a-z0-9-]{1,47})\.(crl|cer|p7c)", re.ASCII)
_OCSP = re.compile(r"/([a-z][a-z0-9-]{1,31})/ocsp(?:/(.*))?", re.ASCII | re.DOTALL)
_TIMESTAMP = re.compile(r"/([a-z][a-z0-9-]{1,31})/tsa", re.ASCII)
_TYPES = {
    "crl": "application/pkix-crl",
    "cer": "application/pkix-cert",
    "p7c": "application/pkcs7-mime; smime-type=certs-only",
}
OCSP_REQUEST, OCSP_RESPONSE = "application/ocsp-request", "application/ocsp-response"
TIMESTAMP_QUERY, TIMESTAMP_REPLY = "application/timestamp-query", "application/timestamp-reply"
CERTIFICATE_MAX_AGE_S = 86400
_OK, _OCSP_TYPE, _NO_STORE = "200 OK", ("Content-Type", OCSP_RESPONSE), ("Cache-Control", "no-store")


class OcspSource(Protocol):
    """Answers OCSP requests."""

    def answer(self, authority_name: str, request_der: bytes, /) -> OcspAnswer:
        """Answer one request. Raises UnknownAuthorityError; everything else is an answer."""
        ...


@dataclass(frozen=True)
class _File:
    """A file as it was when last looked at."""

    identity: tuple[int, int, int]
    content: bytes
    etag: str
    modified: datetime
    next_update: datetime | None  # of a list


class StatusApp:
    """WSGI application.

    Args:
        timestamps: None: not here.
        max_age: how long caches may keep a list or an OCSP answer before they ask again.
        prefix: what stands before each path; empty where the server has taken it off.
    """

    def __init__(
        self,
        files: StatusFiles,
        responders: OcspSource,
        timestamps: TimestampAuthorities | None,
        clock: Clock,
        *,
        max_age: timedelta,
        prefix: str = "",
    ) -> None:
        self._files = files
        self._prefix = prefix
        self._asked = lru_cache(maxsize=1024)(partial(_asked, prefix))
        self._responders = responders
        self._timestamps = timestamps
        self._clock = clock
        self._max_age_s = int(max_age.total_seconds())
        self._loaded: dict[str, _File] = {}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD", "GET")
        if "HTTP_TRANSFER_ENCODING" in environ or not (environ.get("CONTENT_LENGTH") or "0").isdigit():
            # A body whose end is not stated is not read, and what is left of it must not be taken for another
            # request: with this status the server ends the connection.
            return _plain(start_response, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            asked = self._asked(path)
            if asked is not None:
                return self._ocsp(environ, start_response, method, *asked)
            if not path.startswith(self._prefix):
                return _plain(start_response, HTTPStatus.NOT_FOUND)
            path = path[len(self._prefix) :]
            match = _FILE.fullmatch(path)
            if match:
                return self._file(environ, start_response, match[1], match[2])
            match = _TIMESTAMP.fullmatch(path)
            if match and self._timestamps is not None:
                return self._timestamp(environ, start_response, match[1], self._timestamps)
        except Exception:
            log.exception("status request failed", extra={"path": path[:200], "method": method})
            return _plain(start_response, HTTPStatus.INTERNAL_SERVER_ERROR)
        return _plain(start_response, HTTPStatus.NOT_FOUND)

    # ------------------------------------------------------------------ files

    def _file(
        self, environ: dict[str, Any], start_response: StartResponse, authority: str, kind: str
    ) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _plain(start_response, HTTPStatus.METHOD_NOT_ALLOWED, [("Allow", "GET, HEAD")])
        file = self._load(authority, kind)
        if file is None:
            return _plain(start_response, HTTPStatus.NOT_FOUND)
        headers = [
            ("ETag", file.etag),
            ("Last-Modified", format_datetime(file.modified, usegmt=True)),
            *self._file_caching(file),
        ]
        if _is_known(environ, file.etag, int(file.modified.timestamp())):
            start_response(_line(HTTPStatus.NOT_MODIFIED), headers)
            return [b""]
        headers += [("Content-Type", _TYPES[kind]), ("Content-Length", str(len(file.content)))]
        start_response(_line(HTTPStatus.OK), headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else file.content]

    def _file_caching(self, file: _File) -> list[tuple[str, str]]:
        """No cache keeps a list beyond its next update, however long it may keep lists otherwise."""
        max_age_s = CERTIFICATE_MAX_AGE_S
        expires: list[tuple[str, str]] = []
        if file.next_update is not None:
            left_s = int((file.next_update - self._clock.now()).total_seconds())
            max_age_s = max(0, min(self._max_age_s, left_s))
            expires = [("Expires", format_datetime(file.next_update, usegmt=True))]
        return [("Cache-Control", f"public, max-age={max_age_s}, must-revalidate"), *expires]

    def _load(self, authority: str, kind: str) -> _File | None:
        path = self._files.path(authority, kind)
        try:
            found = path.stat()
            identity = (found.st_ino, found.st_mtime_ns, found.st_size)
            loaded = self._loaded.get(path.name)
            if loaded is None or loaded.identity != identity:
                with path.open("rb") as file:
                    found = os.fstat(file.fileno())
                    content = file.read()
                loaded = _File(
                    identity=(found.st_ino, found.st_mtime_ns, found.st_size),
                    content=content,
                    etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
                    modified=datetime.fromtimestamp(int(found.st_mtime), UTC),
                    next_update=next_update_of(content) if kind == "crl" else None,
                )
                self._loaded[path.name] = loaded
        except FileNotFoundError:
            return None
        except OSError:
            # What was read before is still the newest list that we know of.
            log.exception("status file not readable", extra={"file": path.name})
            return self._loaded.get(path.name)
        return loaded

    # ------------------------------------------------------------------ OCSP

    def _ocsp(
        self,
        environ: dict[str, Any],
        start_response: StartResponse,
        method: str,
        authority: str,
        request_der: bytes | None,
    ) -> Iterable[bytes]:
        if method == "POST" and request_der is None:
            content_type = environ.get("CONTENT_TYPE", "")
            if content_type != OCSP_REQUEST and content_type.split(";")[0].strip() != OCSP_REQUEST:
                return _plain(start_response, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
            request_der = _body(environ, MAX_REQUEST_OCTETS)
        elif method not in {"GET", "HEAD"} or request_der is None:
            return _plain(start_response, HTTPStatus.METHOD_NOT_ALLOWED, [("Allow", "GET, HEAD, POST")])
        try:
            answer = self._responders.answer(authority, request_der)
        except UnknownAuthorityError:
            return _plain(start_response, HTTPStatus.NOT_FOUND)
        answer_der = answer.der
        length = _length(len(answer_der))
        if method == "POST" or answer.next_update is None or answer.this_update is None:
            start_response(_OK, [_OCSP_TYPE, length, _NO_STORE])
            return [answer_der]
        etag = _etag(answer.der)
        left_s = answer.next_update - int(self._clock.now().timestamp())
        caching = [
            ("Cache-Control", f"public, max-age={max(0, min(self._max_age_s, left_s))}, must-revalidate"),
            ("ETag", etag),
            ("Last-Modified", _http_date(answer.this_update)),
            ("Expires", _http_date(answer.next_update)),
        ]
        if _is_known(environ, etag, answer.this_update):
            start_response(_line(HTTPStatus.NOT_MODIFIED), caching)
            return [b""]
        start_response(_OK, [_OCSP_TYPE, length, *caching])
        return [b"" if method == "HEAD" else answer.der]

    # ------------------------------------------------------------------ timestamps

    def _timestamp(
        self,
        environ: dict[str, Any],
        start_response: StartResponse,
        authority: str,
        timestamps: TimestampAuthorities,
    ) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "POST":
            return _plain(start_response, HTTPStatus.METHOD_NOT_ALLOWED, [("Allow", "POST")])
        if environ.get("CONTENT_TYPE", "").split(";")[0].strip() != TIMESTAMP_QUERY:
            return _plain(start_response, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        try:
            answer = timestamps.answer(authority, _body(environ, MAX_TIMESTAMP_OCTETS))
        except UnknownAuthorityError:
            return _plain(start_response, HTTPStatus.NOT_FOUND)
        headers = [
            ("Content-Type", TIMESTAMP_REPLY),
            ("Content-Length", str(len(answer))),
            ("Cache-Control", "no-store"),
        ]
        start_response(_line(HTTPStatus.OK), headers)
        return [answer]


def _asked(prefix: str, path: str) -> tuple[str, bytes | None] | None:
    """Authority and, of a GET, the request that the path of an OCSP request names."""
    match = _OCSP.fullmatch(path, len(prefix)) if path.startswith(prefix) else None
    if match is None:
        return None
    return match[1], _decoded(match[2]) if match[2] else None


def _is_known(environ: dict[str, Any], etag: str, modified: int) -> bool:
    """Tell whether the client has these very bytes (RFC 9110, section 13.2.2: tag before time)."""
    tags = environ.get("HTTP_IF_NONE_MATCH")
    if tags is not None:
        return tags.strip() == "*" or etag in {part.strip().removeprefix("W/") for part in tags.split(",")}
    text = environ.get("HTTP_IF_MODIFIED_SINCE")
    if text is None:
        return False
    try:
        since = parsedate_to_datetime(text)
        return since.tzinfo is not None and modified <= since.timestamp()
    except (ValueError, OverflowError):
        return False


@lru_cache(maxsize=4096)
def _length(octets: int) -> tuple[str, str]:
    return "Content-Length", str(octets)


@lru_cache(maxsize=4096)
def _etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


@lru_cache(maxsize=4096)
def _http_date(seconds: int) -> str:
    """Write seconds since 1970 as a date of HTTP."""
    return formatdate(seconds, usegmt=True)


def _body(environ: dict[str, Any], max_octets: int) -> bytes:
    """Read a request body, one octet more than allowed at most; the parser refuses what is too long."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    content: bytes = environ["wsgi.input"].read(min(length, max_octets + 1))
    return content


def _decoded(encoded: str) -> bytes:
    """Decode the path of a GET: base64 whose `%2B` and `%2F` the gateway has decoded already."""
    if len(encoded) > MAX_REQUEST_OCTETS:
        return b""
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        return base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _line(status: HTTPStatus) -> str:
    return f"{status.value} {status.phrase}"


def _plain(
    start_response: StartResponse, status: HTTPStatus, headers: list[tuple[str, str]] | None = None
) -> Iterable[bytes]:
    content = f"{status.phrase}\n".encode()
    start_response(
        _line(status),
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
            *(headers or []),
        ],
    )
    return [content]
