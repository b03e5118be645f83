"""Flask extension: sign-in with a certificate of any licensed CA.

    onecert = OneCert(app, verifier=verifier)

    @app.get("/")
    @onecert.required
    def home():
        return f"{onecert.holder.name} {onecert.holder.id}"

It adds ``/login`` (a page; the browser's certificate over TLS, or a signed challenge from a USB-key program)
and ``/logout``. Templates ``onecert/login.html`` (around ``{% include "onecert/login_form.html" %}``) and
``onecert/refused.html`` of the application take the place of the plain ones. The certificate is checked
again every few minutes while its holder is signed in, so that a revocation ends the session. Flask keeps a
session in its cookie, signed: whoever copied the cookie has it until ``life`` is over, also after the holder
signed out. Where that matters, let an extension keep sessions on the server; signing in and out gives them a
new number. Needs ``pip install onecert-verifier[flask]``.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from importlib import resources
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)

from onecert.verifier.errors import CouldNotCheckError, MalformedError, RefusedError, VerifyError
from onecert.verifier.jws import load_json
from onecert.verifier.login import Login
from onecert.verifier.login_server import CLIENT_MAX_OCTETS, CLIENT_MIN_OCTETS, ChallengeSigner
from onecert.verifier.login_store import ChallengeStore
from onecert.verifier.messages import message
from onecert.verifier.verifier import VerifiedCertificate, Verifier
from onecert.verifier.web.answers import answer_for, language_of
from onecert.verifier.web.client_certificate import ClientCertificates
from onecert.verifier.web.gate import Gate
from onecert.verifier.web.session import SignedIn

__all__ = ["OneCert", "is_own_page"]

P = ParamSpec("P")
R = TypeVar("R")

_KEPT, _BROWSER = "onecert", "onecert_browser"
_MAX_BODY = 128 * 1024
_TEXTS = ("TITLE", "WITH_BROWSER", "WITH_BROWSER_HELP", "WITH_KEY", "WITH_KEY_HELP", "NO_PLUG_IN", "WORKING")


class OneCert:
    """Sign-in for one Flask application.

    Args:
        app: the application, or ``None`` to call ``init_app`` later.
        store: where challenges wait for their answers; with several processes a ``SqliteStore`` or your own.
        certificates: where the client certificate of a TLS connection is found.
        life: how long somebody stays signed in.
        recheck: how often the certificate of who is signed in is checked again.
        secure_cookie: send the session cookie over https only; switch off for trials on http only.
        clock: gives the time of a request; the machine's clock by default.
        language: gives the language of a page, ``zh`` or ``en``, where the application lets people choose;
            by default the browser's.
        signer: the server's key, for clients that want to know whom they sign for (docs/mutual-login.md).
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        verifier: Verifier,
        store: ChallengeStore | None = None,
        certificates: ClientCertificates | None = None,
        life: timedelta = timedelta(hours=8),
        recheck: timedelta = timedelta(minutes=5),
        secure_cookie: bool = True,
        clock: Callable[[], datetime] | None = None,
        language: Callable[[], str] | None = None,
        signer: ChallengeSigner | None = None,
    ) -> None:
        self._verifier = verifier
        self._login = Login(verifier, store=store, signer=signer)
        self._gate = Gate(verifier, certificates=certificates, clock=clock)
        self._life, self._recheck = life, recheck
        self._secure_cookie = secure_cookie
        self._language = language or _language_of_browser
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Add the pages to an application.

        Raises:
            RuntimeError: the application has no ``secret_key`` to sign its sessions with.
        """
        if not app.secret_key:
            raise RuntimeError("set app.secret_key to a long random secret before OneCert: it signs sessions")
        app.config["SESSION_COOKIE_SECURE"] = self._secure_cookie
        app.config["SESSION_COOKIE_HTTPONLY"] = True
        app.config["SESSION_COOKIE_SAMESITE"] = app.config["SESSION_COOKIE_SAMESITE"] or "Lax"
        app.extensions["onecert"] = self
        app.register_blueprint(self._blueprint())

    @property
    def holder(self) -> SignedIn | None:
        """Who is signed in; ``None`` when nobody is.

        Raises:
            VerifyError: the certificate was checked again and is good no more, or could not be checked.
        """
        if "onecert_holder" not in g:
            g.onecert_holder = self._find_holder()
        found: SignedIn | None = g.onecert_holder
        return found

    def required(self, view: Callable[P, R]) -> Callable[P, R | Response]:
        """Decorator of a view: only for who is signed in; others are sent to the sign-in page."""

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R | Response:
            try:
                holder = self.holder
            except VerifyError as error:
                return self._refuse(error)
            if holder is not None:
                return view(*args, **kwargs)
            if request.method in {"GET", "HEAD"} and "json" not in request.headers.get("Accept", ""):
                # 303 and a cookie-free page: a form that was posted is never repeated elsewhere.
                return redirect(url_for("onecert.page", next=request.full_path.rstrip("?")), 303)  # type: ignore[return-value]  # werkzeug's base class
            return self._refuse(RefusedError("CLIENT_CERTIFICATE_MISSING"))

        return guarded

    def _find_holder(self) -> SignedIn | None:
        at = self._gate.clock()
        kept = SignedIn.from_session(session.get(_KEPT), at=at)
        if kept is None:
            return None
        try:
            checked = kept.still(self._verifier, at=at, recheck=self._recheck)
        except CouldNotCheckError:
            raise  # nobody knows: not let in now, but not signed out either
        except VerifyError:
            session.pop(_KEPT, None)
            raise
        if checked is not kept:
            session[_KEPT] = checked.as_session()
        return checked

    def _blueprint(self) -> Blueprint:
        pages = Blueprint("onecert", __name__, template_folder="pages")
        pages.after_request(_uncached)
        pages.add_url_rule("/login", "page", self._page)
        pages.add_url_rule("/login/login.js", "script", _script)
        pages.add_url_rule("/login/challenge", "challenge", self._challenge, methods=["POST"])
        pages.add_url_rule("/login/answer", "answer", self._answer, methods=["POST"])
        pages.add_url_rule("/login/certificate", "certificate", self._certificate, methods=["POST"])
        pages.add_url_rule("/logout", "logout", self._logout, methods=["POST"])
        return pages

    def _page(self) -> Response:
        language = self._language()
        texts = {name.lower(): message(f"WEB_LOGIN_{name}", language) for name in _TEXTS}
        body = render_template(
            "onecert/login.html", language=language, next=_local(request.args.get("next")), **texts
        )
        return _secured(Response(body, mimetype="text/html"))

    def _challenge(self) -> Response | tuple[dict[str, Any], int]:
        if not is_own_page():
            return self._refuse(RefusedError("LOGIN_OTHER_SESSION"))
        try:
            client = _client_random(_read_json(optional=True))
            browser = session.setdefault(_BROWSER, secrets.token_urlsafe(32))
            challenge = self._login.challenge(session=browser, at=self._gate.clock(), client=client)
        except VerifyError as error:
            return self._refuse(error)
        return challenge.as_dict(), 200

    def _answer(self) -> Response | tuple[dict[str, str], int]:
        try:
            if not is_own_page():
                raise RefusedError("LOGIN_OTHER_SESSION")
            body = _read_json()
            verified = self._login.verify(
                _text(body, "challenge"),
                _certificate_of(body),
                _base64(body, "signature"),
                session=str(session.get(_BROWSER, "")),
                at=self._gate.clock(),
                algorithm=_text(body, "algorithm") if "algorithm" in body else None,
            )
        except VerifyError as error:
            return self._refuse(error)
        holder = self._sign_in(verified)
        return {"id": holder.id, "name": holder.name, "next": _local(body.get("next"))}, 200

    def _certificate(self) -> Response:
        try:
            if not is_own_page():
                raise RefusedError("LOGIN_OTHER_SESSION")
            verified = self._gate.check(self._gate.certificates.from_environ(request.environ))
        except VerifyError as error:
            return self._refuse(error)
        assert verified is not None  # noqa: S101  the gate requires one
        self._sign_in(verified)
        return redirect(_local(request.form.get("next")), 303)  # type: ignore[return-value]  # werkzeug's base class

    def _logout(self) -> Response:
        if not is_own_page():
            return self._refuse(RefusedError("LOGIN_OTHER_SESSION"))
        self._new_session()
        return redirect(url_for("onecert.page"), 303)  # type: ignore[return-value]  # werkzeug's base class

    def _sign_in(self, verified: VerifiedCertificate) -> SignedIn:
        holder = SignedIn.of(verified, at=self._gate.clock(), life=self._life)
        self._new_session()  # nothing of what was there before belongs to this holder
        session[_KEPT] = holder.as_session()
        g.onecert_holder = holder
        return holder

    @staticmethod
    def _new_session() -> None:
        session.clear()
        # Sessions that are kept on the server have a number, which somebody may have planted in the browser.
        regenerate = getattr(current_app.session_interface, "regenerate", None)
        if callable(regenerate):
            regenerate(session)

    def _refuse(self, error: VerifyError) -> Response:
        self._gate.note(error)
        language = self._language()
        answer = answer_for(error, accept=request.headers.get("Accept", ""), accept_language=language)
        if answer.is_problem:
            return Response(answer.body, answer.status, list(answer.headers))
        body = render_template(
            "onecert/refused.html",
            language=language,
            title=message("WEB_NOT_LET_IN", language),
            text=error.text(language),
            hint=error.hint(language),
            code=error.code,
            desk=error.desk(language),
            for_desk=message("WEB_HELP_DESK", language),
            again=message("WEB_LOGIN_AGAIN", language),
        )
        return _secured(Response(body, answer.status, mimetype="text/html"))


def _uncached(answer: Response) -> Response:
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def _language_of_browser() -> str:
    return language_of(request.headers.get("Accept-Language", ""))


def _secured(page: Response) -> Response:
    page.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    page.headers["X-Content-Type-Options"] = "nosniff"
    page.headers["Cache-Control"] = "no-store"
    return page


def is_own_page() -> bool:
    """Whether the browser says that this request was made by a page of this application."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def _local(target: Any) -> str:
    """Where to go next: a page of this application, never another site, and not the sign-in itself."""
    text = target if isinstance(target, str) else ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    harmless = text.startswith("/") and text.isprintable() and "\\" not in text and not text.startswith("//")
    page = url_for("onecert.page")
    if (
        not harmless
        or parts.scheme
        or parts.netloc
        or parts.path == page
        or parts.path.startswith(f"{page}/")
    ):
        return "/"
    return text


def _read_json(*, optional: bool = False) -> dict[str, Any]:
    # By hand: the length may be unknown until the end, and Flask lets RecursionError through.
    data = request.stream.read(_MAX_BODY + 1)
    if optional and not data:
        return {}
    if request.mimetype != "application/json":
        raise MalformedError("MALFORMED", kind="answer", detail="not a JSON object (application/json)")
    if len(data) > _MAX_BODY:
        raise MalformedError("TOO_LARGE", kind="answer", max=_MAX_BODY)
    try:
        body = load_json(data, max_bytes=_MAX_BODY)
    except MalformedError as exc:
        raise MalformedError("MALFORMED", kind="answer", detail=exc.facts.get("detail", "")) from exc
    if not isinstance(body, dict):
        raise MalformedError("MALFORMED", kind="answer", detail="not a JSON object")
    return body


def _client_random(body: dict[str, Any]) -> bytes | None:
    if body.get("client") is None:
        return None
    client = _base64(body, "client")
    if not CLIENT_MIN_OCTETS <= len(client) <= CLIENT_MAX_OCTETS:
        raise MalformedError("MALFORMED", kind="answer", detail="client is not 16 to 64 octets")
    return client


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise MalformedError("MALFORMED", kind="answer", detail=f"{name} is not a text")
    return value


def _base64(body: dict[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(_text(body, name), validate=True)
    except (ValueError, binascii.Error):
        raise MalformedError("MALFORMED", kind="answer", detail=f"{name} is not base64") from None


def _certificate_of(body: dict[str, Any]) -> bytes:
    text = _text(body, "certificate")
    return text.encode() if text.startswith("-----") else _base64(body, "certificate")


def _script() -> Response:
    script = resources.files(__package__).joinpath("pages", "login.js").read_text(encoding="utf-8")
    return Response(script, mimetype="text/javascript")
