"""HTTP over the standard library, for servers that nobody trusts.

What comes is signed, so https adds little and http is usual here (RFC 5280, section 8). Hence the limits:
size as counted, one deadline over everything, few redirects with every hop checked again, no compression (a
few octets could become gigabytes), no proxies from the environment.
"""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from urllib.parse import urljoin

from onecert.verifier.errors import CouldNotCheckError
from onecert.verifier.fetch.addresses import Destination, Destinations, Resolve, look_up, system_resolve
from onecert.verifier.fetch.transfer import FetchAnswer, FetchRequest
from onecert.verifier.fetch.wire import Deadline, Wire, connect

__all__ = ["HttpFetch"]

_PIECE = 65536
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# RFC 9110, sections 15.4.8 and 15.4.9: only these keep a POST a POST.
_KEEP_METHOD = frozenset({307, 308})
_VALIDATOR = re.compile(r"[ -~]{1,256}")
_MAX_AGE = re.compile(r"max-age=\"?([0-9]{1,9})\"?")
_SETTLED_AFTER = timedelta(minutes=1)


class HttpFetch:
    """http and https; a ``Fetch``. Safe to share between threads.

    Args:
        timeout: for one request with all its redirects, from the name look-up to the last octet.
        allow: networks ("10.1.0.0/16"), addresses and host names ("*.city.example") that may be asked
            although they are not public; ``ANYWHERE`` for all.
        only: when given, nothing but these networks and hosts is asked.
        ports: by default 80, 443 and everything from 1024 upwards.
        max_redirects: 0 follows none.
        tls: for https; by default the system's trusted roots.
        resolve: looks up names.
    """

    def __init__(
        self,
        timeout: timedelta = timedelta(seconds=10),
        *,
        allow: Iterable[str] = (),
        only: Iterable[str] | None = None,
        ports: Iterable[int] | None = None,
        max_redirects: int = 3,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = system_resolve,
    ) -> None:
        self._timeout = timeout
        self._destinations = Destinations(allow=allow, only=only, ports=ports)
        self._max_redirects = max_redirects
        self._tls = tls
        self._resolve = resolve

    @cached_property
    def _tls_context(self) -> ssl.SSLContext:
        return self._tls or ssl.create_default_context()

    def __call__(self, request: FetchRequest) -> FetchAnswer:
        """See ``Fetch``.

        Raises:
            CouldNotCheckError: ``FETCH_URL``, ``FETCH_SCHEME``, ``FETCH_ADDRESS`` before anything is sent;
                ``FETCH_FAILED``, ``FETCH_TIMEOUT``, ``FETCH_TLS``, ``FETCH_STATUS``, ``FETCH_REDIRECT``,
                ``FETCH_TOO_LARGE``, ``FETCH_ENCODING``, ``FETCH_TRUNCATED``.
        """
        timeout = self._timeout if request.timeout is None else min(self._timeout, request.timeout)
        deadline = Deadline(timeout.total_seconds())
        url = request.url
        for _ in range(self._max_redirects + 1):
            answer = self._ask(url, request, deadline, timeout)
            if isinstance(answer, FetchAnswer):
                return answer
            url = answer
        raise CouldNotCheckError(
            "FETCH_REDIRECT", url=request.url, detail=f"more than {self._max_redirects} redirects"
        )

    def _ask(
        self, url: str, request: FetchRequest, deadline: Deadline, timeout: timedelta
    ) -> FetchAnswer | str:
        """One hop: the answer, or the URL to ask next."""
        destination = self._destinations.read(url)
        try:
            addresses = look_up(destination, self._destinations, self._resolve, deadline.left())
            wire = connect(
                addresses,
                destination.port,
                deadline,
                tls=self._tls_context if destination.scheme == "https" else None,
                host=destination.host,
            )
            with wire:
                wire.send(_head(destination, request) + (request.body or b""))
                return _read(destination, request, wire)
        except TimeoutError as exc:
            raise CouldNotCheckError("FETCH_TIMEOUT", url=url, seconds=timeout.total_seconds()) from exc
        except ssl.SSLError as exc:
            raise CouldNotCheckError("FETCH_TLS", url=url, detail=_short(exc)) from exc
        except http.client.IncompleteRead as exc:
            raise CouldNotCheckError("FETCH_TRUNCATED", url=url) from exc
        except (OSError, ValueError, http.client.HTTPException) as exc:
            raise CouldNotCheckError("FETCH_FAILED", url=url, detail=_short(exc)) from exc


def _head(destination: Destination, request: FetchRequest) -> bytes:
    lines = [
        f"{'GET' if request.body is None else 'POST'} {destination.target} HTTP/1.1",
        f"Host: {destination.host_header}",
        "User-Agent: onecert-verifier",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Connection: close",
    ]
    if request.body is not None:
        lines += [f"Content-Type: {request.content_type}", f"Content-Length: {len(request.body)}"]
    if request.start:
        lines.append(f"Range: bytes={request.start}-")
    if _VALIDATOR.fullmatch(request.etag):
        lines.append(f"If-None-Match: {request.etag}")
    if _VALIDATOR.fullmatch(request.last_modified):
        lines.append(f"If-Modified-Since: {request.last_modified}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _read(destination: Destination, request: FetchRequest, wire: Wire) -> FetchAnswer | str:
    url = destination.url
    response = http.client.HTTPResponse(wire, method=None)  # type: ignore[arg-type]  # makefile is all it uses
    try:
        response.begin()
        if response.status in _REDIRECTS:
            return _next(destination, response, request)
        conditional = bool(request.etag or request.last_modified)
        if response.status == 304 and conditional:
            return _answer(response, None)
        start = _resumed_at(response, request)
        if response.status != 200 and not start:
            raise CouldNotCheckError("FETCH_STATUS", url=url, status=response.status)
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        transfer = response.headers.get("Transfer-Encoding", "").strip().lower()
        if coding not in {"", "identity"} or transfer not in {"", "chunked"}:
            raise CouldNotCheckError("FETCH_ENCODING", url=url, encoding=coding or transfer)
        if request.into is not None:
            request.into.seek(start)
            request.into.truncate()
            _copy_body(url, response, request.max_bytes - start, request.into.write)
            return _answer(response, b"")
        pieces: list[bytes] = []
        _copy_body(url, response, request.max_bytes, pieces.append)
        return _answer(response, b"".join(pieces))
    finally:
        response.close()


def _resumed_at(response: http.client.HTTPResponse, request: FetchRequest) -> int:
    """Where a partial answer begins, when that is where we asked it to (RFC 9110, section 15.3.7)."""
    if response.status != 206 or request.into is None or not request.start:
        return 0
    given = response.headers.get("Content-Range", "").strip()
    return request.start if given.startswith(f"bytes {request.start}-") else 0


def _copy_body(
    url: str, response: http.client.HTTPResponse, max_bytes: int, write: Callable[[bytes], object]
) -> None:
    expected = response.length  # None when the end of the connection is the end of the body
    if expected is not None and expected > max_bytes:
        raise CouldNotCheckError("FETCH_TOO_LARGE", url=url, max=max_bytes)
    size = 0
    while piece := response.read(_PIECE):
        size += len(piece)
        if size > max_bytes:
            raise CouldNotCheckError("FETCH_TOO_LARGE", url=url, max=max_bytes)
        write(piece)
    if expected is not None and size < expected:
        raise CouldNotCheckError("FETCH_TRUNCATED", url=url)


def _next(destination: Destination, response: http.client.HTTPResponse, request: FetchRequest) -> str:
    url = destination.url
    if request.body is not None and response.status not in _KEEP_METHOD:
        raise CouldNotCheckError("FETCH_REDIRECT", url=url, detail="it would turn POST into GET")
    location = urljoin(url, response.headers.get("Location", "").strip())
    if destination.scheme == "https" and not location.startswith("https:"):
        raise CouldNotCheckError("FETCH_REDIRECT", url=url, detail="it leads from https to http")
    return location


def _answer(response: http.client.HTTPResponse, data: bytes | None) -> FetchAnswer:
    def validator(name: str) -> str:
        value = response.headers.get(name, "").strip()
        return value if _VALIDATOR.fullmatch(value) else ""

    return FetchAnswer(
        data=data,
        content_type=validator("Content-Type"),
        etag=validator("ETag"),
        last_modified=validator("Last-Modified") if _is_settled(response) else "",
        max_age=_max_age(response),
        date=_date(response),
    )


def _date(response: http.client.HTTPResponse) -> datetime | None:
    """The server's clock, unless a cache has kept the answer (RFC 9111, section 5.1)."""
    if response.headers.get("Age", "0").strip() != "0":
        return None
    try:
        date = parsedate_to_datetime(response.headers["Date"])
        return None if date.tzinfo is None else date.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _is_settled(response: http.client.HTTPResponse) -> bool:
    """Whether Last-Modified tells this version from the next one (RFC 9110, section 8.8.2.2).

    It counts in whole seconds. A list that was written anew in the second in which we fetched it would bear
    the same time, and every later request would be told that nothing has changed.
    """
    try:
        modified, sent = (parsedate_to_datetime(response.headers[name]) for name in ("Last-Modified", "Date"))
        return sent - modified >= _SETTLED_AFTER
    except (TypeError, ValueError, OverflowError):  # one is missing, or no date, or without a zone
        return False


def _max_age(response: http.client.HTTPResponse) -> timedelta | None:
    control = ",".join(response.headers.get_all("Cache-Control") or ()).lower()
    if "no-store" in control or "no-cache" in control:
        return timedelta(0)
    match = _MAX_AGE.search(control)
    if match is None:
        return None
    age = response.headers.get("Age", "0").strip()
    spent = int(age) if age.isdecimal() and len(age) < 10 else 0
    return timedelta(seconds=max(int(match[1]) - spent, 0))


def _short(exc: Exception) -> str:
    return (str(exc).partition("\n")[0] or type(exc).__name__)[:200]
