"""The page at the root of the host: which services live here. A plain WSGI application without sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.wrappers import Request, Response

from onecert.server.languages import LANGUAGES, best_language, set_language, translate, translate_plural
from onecert.server.web.headers import CONTENT_SECURITY_POLICY
from onecert.server.web.navigation import SERVICE_TEXTS, SERVICE_TITLES

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["landing_app"]


def landing_app(services: Sequence[str]) -> WSGIApplication:
    """The application for ``/`` that lists these services, each in both languages; it also serves its style.

    Args:
        services: names of the members that run here; each is linked as ``/<name>/``.
    """
    environment = Environment(
        loader=FileSystemLoader(str(files("onecert.server.web") / "templates")),
        autoescape=True,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_callables(translate, translate_plural, newstyle=True)  # type: ignore[attr-defined]
    template = environment.get_template("landing.html")
    static = files("onecert.server.web") / "static"
    assets = {
        "/onecert.css": ("text/css", (static / "onecert.css").read_bytes()),
        "/seal.svg": ("image/svg+xml", (static / "seal.svg").read_bytes()),
    }
    known = [name for name in SERVICE_TITLES if name in services]
    rows = [_row(name) for name in (*known, *sorted(set(services) - set(known)))]

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.path in assets:
            mimetype, content = assets[request.path]
            response = Response(content, mimetype=mimetype)
        elif request.path != "/":
            response = NotFound().get_response()
        elif request.method not in {"GET", "HEAD"}:
            response = MethodNotAllowed(["GET", "HEAD"]).get_response()
        else:
            language = best_language(request.headers.get("Accept-Language", ""))
            with set_language(language, "onecert.server"):
                page = template.render(services=rows, language=language)
            response = Response(page, mimetype="text/html")
            response.vary.add("Accept-Language")
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        return response(environ, start_response)

    return application


def _row(name: str) -> dict[str, object]:
    """A service's name and what it does, in every language."""
    texts: dict[str, object] = {"name": name}
    for language in LANGUAGES:
        with set_language(language, "onecert.server"):
            texts[language] = {
                "title": translate(SERVICE_TITLES.get(name, name)),
                "text": translate(SERVICE_TEXTS.get(name, "")),
            }
    return texts
