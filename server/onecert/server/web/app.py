"""Builds the Flask application that a member puts its views into.

The order of a request: language (around everything) → session → form token → sign-in → the view → headers.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader
from werkzeug.wrappers import Request

from onecert.server.errors import ServiceError
from onecert.server.languages import LANGUAGES, best_language, set_language
from onecert.server.operators.certificates import OperatorCertificates
from onecert.server.operators.sign_in import SignIn
from onecert.server.web import csrf, filters, health, sign_in
from onecert.server.web.access import current_operator, is_public, is_signed_api
from onecert.server.web.assets import Assets, htmx_file
from onecert.server.web.errors import install_error_handlers
from onecert.server.web.frame import Frame, current_frame, set_frame
from onecert.server.web.headers import set_security_headers
from onecert.server.web.navigation import SERVICE_TITLES, NavItem, SearchBox

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from onecert.server.members import Context

__all__ = ["create_frame"]

log = logging.getLogger(__name__)
HERE = Path(__file__).parent
LANGUAGE_COOKIE = "__Host-onecert-language"
YEAR_S = 365 * 24 * 3600
MAX_REQUEST_BYTES = 1024 * 1024
MAX_FORM_PARTS = 500


def create_frame(
    member: Any,
    context: Context,
    *,
    navigation: Sequence[NavItem] = (),
    search: SearchBox | None = None,
    title: str | None = None,
    package: str | None = None,
    max_request_bytes: int = MAX_REQUEST_BYTES,
) -> Flask:
    """Build the app of one service.

    Args:
        member: the member, or its name. navigation: in the order shown; an entry whose endpoint does not
            exist stops the first page, not the start. search: on top of every page. title: marked text
            shown in the page header; default: the name of the service from navigation.py. package: has
            ``templates/`` or ``web/templates/``, ``static/`` (found by ``asset()``) and ``locale/``; default
            ``onecert.<name>``. max_request_bytes: larger requests are refused with 413.

    Raises:
        AssetPackageMissingError: htmx is not installed.
    """
    name = str(getattr(member, "name", member))
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"{name!r} is not usable as the name of a service")
    package = package or _package_of(name)
    app = Flask(package, static_folder=None, root_path=str(_folders(package)[0]))
    app.config.update(
        MAX_CONTENT_LENGTH=max_request_bytes,
        MAX_FORM_MEMORY_SIZE=max_request_bytes,
        MAX_FORM_PARTS=MAX_FORM_PARTS,
        PREFERRED_URL_SCHEME="https",
        # Only for links made outside of a request, and for test clients; otherwise SCRIPT_NAME counts.
        APPLICATION_ROOT=f"/{name}",
    )
    config = context.operators.config
    frame = Frame(
        name=name,
        title=title or str(SERVICE_TITLES.get(name, name)),
        package=package,
        navigation=tuple(navigation),
        search=search,
        sign_in=SignIn(
            database=context.database,
            operators=context.operators,
            certificates=OperatorCertificates(
                context.shared / "operator-anchors",
                context.operator_anchors,
                revocation_required=config.revocation_required,
            ),
            audit=context.audit,
            clock=context.clock,
            config=config,
        ),
        role_labels=context.operators.roles,
        assets=Assets(
            [folder / "static" for folder in _folders(package) if folder != HERE], {"htmx.js": htmx_file()}
        ),
    )
    set_frame(app, frame)
    app.jinja_loader = _loader(package)  # Flask would look into one folder; ours has two
    filters.install(app)
    app.before_request(_find_session)
    app.before_request(csrf.check_form)
    app.before_request(_close_by_default)
    app.after_request(set_security_headers)
    app.after_request(csrf.set_form_cookie)
    app.after_request(_keep_language)
    install_error_handlers(app)
    health.install(app, context)
    app.register_blueprint(sign_in.blueprint())
    app.wsgi_app = _Language(app.wsgi_app, package)  # type: ignore[method-assign] # Flask's way to wrap an app
    return app


class _Language:
    """Chooses the language of a request: the query ``language``, then the cookie, then Accept-Language."""

    def __init__(self, app: WSGIApplication, package: str) -> None:
        self._app = app
        self._package = package

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen = Request(environ)
        wishes = (seen.args.get("language", ""), seen.cookies.get(LANGUAGE_COOKIE, ""))
        language = next((wish for wish in wishes if wish in LANGUAGES), None)
        accepted = language or best_language(seen.headers.get("Accept-Language", ""))
        with set_language(accepted, self._package):
            return self._app(environ, start_response)


def _find_session() -> None:
    """Find the session before anything else, outside of the view's transaction."""
    frame = current_frame()
    g.session = None
    token = request.cookies.get(frame.session_cookie)
    endpoint = (request.endpoint or "").rpartition(".")[2]
    if not token or is_signed_api() or endpoint in {"static", "healthz", "readyz", "metrics"}:
        return
    g.session_token = token
    try:
        g.session = frame.sign_in.find_session(request.environ, token)
    except ServiceError:
        # Without a database nobody is signed in. An open page (the error page, too) can still be shown.
        if not is_public():
            raise


def _close_by_default() -> str | None:
    if request.endpoint is None and request.path == "/" and request.method in {"GET", "HEAD"}:
        # The member has no home page of its own.
        return sign_in.render_home()
    if (
        request.endpoint is not None
        and request.method != "OPTIONS"
        and not is_public()
        and not is_signed_api()
    ):
        current_operator()
    return None


def _keep_language(response: Response) -> Response:
    wish = request.args.get("language", "")
    if wish in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, wish, max_age=YEAR_S, secure=True, httponly=True, samesite="Lax")
    return response


def _package_of(name: str) -> str:
    package = f"onecert.{name}"
    return package if find_spec(package) is not None else "onecert.server"


def _folders(package: str) -> list[Path]:
    spec = find_spec(package)
    found = list(spec.submodule_search_locations or ()) if spec else []
    return [Path(folder) for folder in found] or [HERE]


def _loader(package: str) -> BaseLoader:
    """The member's templates first, then the frame's."""
    searched = [folder / sub for folder in _folders(package) for sub in ("templates", "web/templates")]
    own = [folder for folder in searched if folder.is_dir() and folder != HERE / "templates"]
    return ChoiceLoader([FileSystemLoader(own), FileSystemLoader(HERE / "templates")])
