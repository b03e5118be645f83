"""What templates may use beside Jinja itself: languages, times, serials, links to assets and other pages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Flask, request, url_for
from markupsafe import Markup

from onecert.server import languages
from onecert.server.operators.roles import Operator
from onecert.server.web.access import current_session
from onecert.server.web.assets import asset
from onecert.server.web.compiled import COMPILED
from onecert.server.web.csrf import csrf_token
from onecert.server.web.frame import current_frame, frame_of

__all__ = ["install"]

# On every page of somebody who is signed in, after htmx; each is described in its own first lines.
PAGE_SCRIPTS = ("session.js", "submit.js", "autosave.js", "keyboard.js")


def install(app: Flask) -> None:
    """Give the app's templates their helpers. They are globals, so that imported macros see them, too."""
    environment = app.jinja_env
    environment.add_extension("jinja2.ext.i18n")
    environment.trim_blocks = True
    environment.lstrip_blocks = True
    environment.bytecode_cache = COMPILED
    environment.install_gettext_callables(  # type: ignore[attr-defined] # from the i18n extension
        languages.translate, languages.translate_plural, newstyle=True
    )
    environment.filters.update(
        datetime=_time_element,
        date=languages.format_date,
        utc=_utc,
        serial=_serial_element,
    )
    environment.globals.update(
        asset=asset,
        page_scripts=PAGE_SCRIPTS,
        csrf_token=csrf_token,
        current_language=languages.current_language,
        languages=languages.LANGUAGES,
        page_operator=_page_operator,
        page_notices=_page_notices,
        page_navigation=_page_navigation,
        frame=frame_of(app),
        here_with=_here_with,
    )


def _time_element(value: datetime | None, *, seconds: bool = True) -> str | Markup:
    """``{{ moment|datetime }}``: Chinese time to read, UTC in the attribute and on hovering."""
    if value is None:
        return "–"
    moment = value.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"), _utc(value), languages.format_datetime(value, seconds=seconds)
    )


def _utc(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _serial_element(value: str | int) -> Markup:
    """``{{ serial|serial }}``: monospace, may break anywhere, copied without the breaks."""
    text = f"{value:x}" if isinstance(value, int) else value
    return Markup('<code class="serial">{}</code>').format(text)


def _page_operator() -> Operator | None:
    # A page never asks for a certificate: on an error page that would be another error.
    session = current_session()
    return None if session is None else session.operator


def _page_notices() -> list[dict[str, str]]:
    session = current_session()
    if session is None:
        return []
    return current_frame().sign_in.sessions.take_notices(session.token_sha256)


def _page_navigation() -> list[dict[str, Any]]:
    operator = _page_operator()
    if operator is None:
        return []
    here = request.endpoint or ""
    return [
        {
            "label": languages.gettext(item.label),
            "url": url_for(item.endpoint),
            "key": item.key,
            "is_here": here == item.endpoint
            or (item.endpoint.endswith(".index") and _same_section(here, item.endpoint)),
        }
        for item in current_frame().navigation
        if not item.roles or operator.has_role(*item.roles)
    ]


def _same_section(here: str, endpoint: str) -> bool:
    return here.rpartition(".")[0] == endpoint.rpartition(".")[0]


def _here_with(**changes: str | int) -> str:
    """The address of this page with some of its query changed, for page numbers and languages."""
    query = request.args.to_dict(flat=False) if request.method in {"GET", "HEAD"} else {}
    wanted: dict[str, Any] = {**query, **changes}
    if request.endpoint is None or request.method not in {"GET", "HEAD"}:
        return url_for("frame.sign_in", **changes)  # type: ignore[arg-type]
    return url_for(request.endpoint, **{**(request.view_args or {}), **wanted})
