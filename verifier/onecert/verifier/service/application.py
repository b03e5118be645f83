"""The WSGI application: routes, sizes, who may ask, and problem documents (RFC 9457) for wrong requests.

Verdicts are answers with status 200; a status of 400 and above says that nothing was judged. Without a token
only this machine may ask: a verifier that anybody reaches would be an oracle about certificates.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from onecert.verifier.errors import MalformedError, VerifyError
from onecert.verifier.fetch.clock import ClockWatch
from onecert.verifier.jws import load_json
from onecert.verifier.login import Login
from onecert.verifier.login_server import ChallengeSigner
from onecert.verifier.login_store import ChallengeStore
from onecert.verifier.service.calls import Call, Calls, run_call
from onecert.verifier.service.health import Health
from onecert.verifier.service.openapi import describe
from onecert.verifier.signed_form import EvidenceTrust
from onecert.verifier.verifier import Verifier
from onecert.verifier.web.answers import PROBLEM, language_of, problem_for
from onecert.verifier.web.client_certificate import is_loopback, is_this_machine
from onecert.verifier.web.gate import now

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["create_service"]

log = logging.getLogger(__name__)

SMALL, LARGE = 1024 * 1024, 48 * 1024 * 1024
TOKEN_MIN_CHARACTERS = 32
_STATUS = {
    200: "200 OK",
    201: "201 Created",
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    413: "413 Content Too Large",
    415: "415 Unsupported Media Type",
    503: "503 Service Unavailable",
}


def create_service(
    verifier: Verifier,
    *,
    store: ChallengeStore | None = None,
    trust: EvidenceTrust | None = None,
    token: str | None = None,
    clock: Callable[[], datetime] | None = None,
    clocks: ClockWatch | None = None,
    signer: ChallengeSigner | None = None,
) -> WSGIApplication:
    """Make the application.

    Args:
        store: where login challenges wait; with several processes one that they share.
        trust: for evidence records; without it they cannot be checked here.
        token: programs send it as ``Authorization: Bearer``; at least 32 characters. Without one only this
            machine and unix sockets are served.
        clock: gives the time of a request; the machine's clock by default.
        signer: signs login challenges, for clients that want to know whom they sign for (mutual login).
        clocks: what the verifier fetches with; ``/metrics`` then shows how far servers' clocks are from ours.

    Raises:
        ValueError: the token is too short.
    """
    if token is not None and len(token) < TOKEN_MIN_CHARACTERS:
        raise ValueError(f"the token needs at least {TOKEN_MIN_CHARACTERS} random characters")
    calls = Calls(verifier, Login(verifier, store=store, signer=signer), trust=trust)
    return _Service(Health(verifier, clocks), verifier, calls, token, clock or now)


class _NotJudgedError(Exception):
    """An answer with a status that says why nothing was judged."""

    def __init__(self, status: int, error: VerifyError) -> None:
        super().__init__(str(error))
        self.status = status
        self.error = error


class _Service:
    def __init__(
        self,
        health: Health,
        verifier: Verifier,
        calls: Calls,
        token: str | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._token = token
        self._clock = clock
        self._health = health
        self._calls: Mapping[str, tuple[Call, int, int]] = {
            "/v1/certificates": (calls.verify, SMALL, 200),
            "/v1/explanations": (calls.explain, SMALL, 200),
            "/v1/login/challenges": (calls.challenge, SMALL, 201),
            "/v1/login/answers": (calls.answer, SMALL, 200),
            "/v1/forms": (calls.form, LARGE, 200),
            "/v1/evidence": (calls.evidence, LARGE, 200),
        }
        self._pages: Mapping[str, Callable[[datetime], tuple[int, Any]]] = {
            "/v1/trust-list": lambda at: (200, verifier.trust_list(at).as_dict(at)),
            "/openapi.json": lambda at: (200, describe()),
            "/healthz": lambda at: (200, {"status": "ok"}),
            "/readyz": lambda at: (200, self._health.ready(at)),
            "/metrics": lambda at: (200, self._health.metrics(at)),
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        language = language_of(str(environ.get("HTTP_ACCEPT_LANGUAGE", "")))
        headers = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
        try:
            status, body = self._answer(environ)
            kind = "text/plain; version=0.0.4; charset=utf-8" if isinstance(body, str) else "application/json"
        except _NotJudgedError as failure:
            status, kind = failure.status, PROBLEM
            body = problem_for(failure.error, status, language)
            if status == 401:
                headers.append(("WWW-Authenticate", "Bearer"))
        except VerifyError as error:
            status, kind = 503, PROBLEM
            body = problem_for(error, status, language)
        data = (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode("utf-8")
        headers += [("Content-Type", kind), ("Content-Length", str(len(data)))]
        start_response(_STATUS[status], headers)
        return [data] if environ.get("REQUEST_METHOD") != "HEAD" else []

    def _answer(self, environ: WSGIEnvironment) -> tuple[int, Any]:
        path, method = str(environ.get("PATH_INFO", "")), str(environ.get("REQUEST_METHOD", ""))
        at = self._clock()
        if path != "/healthz":
            self._check_caller(environ)
        if path in self._pages:
            _check_method(method, "GET", "HEAD")
            return self._pages[path](at)
        if path not in self._calls:
            raise _NotJudgedError(404, MalformedError("SERVICE_NOT_FOUND", path=path))
        _check_method(method, "POST")
        call, max_bytes, status = self._calls[path]
        try:
            answer = run_call(call, load_json(_body(environ, max_bytes), max_bytes=max_bytes), at)
        except MalformedError as error:
            raise _NotJudgedError(400, error) from error
        self._health.count(path, answer["verdict"], answer.get("code", ""))
        if answer["verdict"] != "accepted":
            log.info("not accepted", extra={"call": path, "code": answer["code"]})
        return (status if answer["verdict"] == "accepted" else 200), answer

    def _check_caller(self, environ: WSGIEnvironment) -> None:
        if self._token is None:
            peer = str(environ.get("REMOTE_ADDR", ""))
            if not is_this_machine(peer) or (is_loopback(peer) and not _names_this_machine(environ)):
                raise _NotJudgedError(403, MalformedError("SERVICE_ELSEWHERE"))
            return
        scheme, _, given = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        wanted = self._token.encode("utf-8")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("utf-8"), wanted):
            raise _NotJudgedError(401, MalformedError("SERVICE_TOKEN"))


def _names_this_machine(environ: WSGIEnvironment) -> bool:
    """Whether whoever asks means this machine, and not a name that somebody lets point to it.

    A web page in a browser on this machine may give its own host the address 127.0.0.1 (DNS rebinding), and a
    proxy here may pass on what comes from anywhere; both say so in ``Host``.
    """
    try:
        host = urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname or "localhost"
    except ValueError:
        return False
    return host == "localhost" or is_loopback(host)


def _check_method(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise _NotJudgedError(405, MalformedError("SERVICE_METHOD", allowed=", ".join(allowed)))


def _body(environ: WSGIEnvironment, max_bytes: int) -> bytes:
    if not str(environ.get("CONTENT_TYPE", "")).lower().startswith("application/json"):
        # Also keeps forms of web pages away: a browser asks before it sends JSON across sites.
        raise _NotJudgedError(415, MalformedError("SERVICE_CONTENT_TYPE"))
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = -1
    if length < 0:
        raise _NotJudgedError(400, MalformedError("SERVICE_REQUEST", detail="Content-Length is not a number"))
    if length > max_bytes:
        raise _NotJudgedError(413, MalformedError("TOO_LARGE", kind="request", max=max_bytes))
    data: bytes = environ["wsgi.input"].read(length)
    return data
