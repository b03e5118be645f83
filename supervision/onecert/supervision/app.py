"""The web application: the published list, its history and the open draft; REST under /v1/."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, render_template, url_for

from onecert.server.languages import _, current_language
from onecert.server.members import Context, Member
from onecert.server.web import NavItem, create_frame, public, requires_role
from onecert.supervision.compare import status_name
from onecert.supervision.draft import Draft
from onecert.supervision.errors import NoDraftError, NothingPublishedError
from onecert.supervision.officers import all_officers
from onecert.supervision.records import Publication, find_publication, publication_list
from onecert.supervision.service import Supervision
from onecert.supervision.watch import list_age

__all__ = ["create_app"]

EXTENSION = "onecert.supervision"
PAGE_SIZE = 50
WORKERS = ("list.officer", "list.editor", "auditor")

NAVIGATION = (
    NavItem(_("Trust list"), "lists.index"),
    NavItem(_("History"), "lists.history"),
    NavItem(_("Draft"), "lists.draft", WORKERS),
)

STATUS_KINDS = {
    "granted": "success",
    "suspended": "warning",
    "withdrawn": "danger",
    "terminated": "danger",
    "key_compromised": "danger",
}

SUPPLY_NAMES = {
    "crl": _("Revocation list"),
    "ocsp": _("Status service"),
    "ca-certificate": _("Certificate of the authority"),
    "timestamp": _("Timestamps"),
}


def create_app(member: Member | str, context: Context, supervision: Supervision) -> Flask:
    """Build the application; tests build a new one each time."""
    app = create_frame(member, context, navigation=NAVIGATION, package="onecert.supervision")
    app.extensions[EXTENSION] = supervision
    app.jinja_env.globals.update(
        status_name=status_name, status_kinds=STATUS_KINDS, supply_names=SUPPLY_NAMES
    )
    app.jinja_env.filters["local"] = lambda text: text.get(current_language())
    app.register_blueprint(_pages())
    app.register_blueprint(_api(), url_prefix="/v1")
    return app


def _pages() -> Blueprint:
    pages = Blueprint("lists", __name__)
    pages.add_url_rule("/", "index", _index)
    pages.add_url_rule("/lists", "history", _history)
    pages.add_url_rule("/lists/<int:sequence>", "show", _show)
    pages.add_url_rule("/draft", "draft", _draft)
    return pages


def _api() -> Blueprint:
    api = Blueprint("api", __name__)
    api.add_url_rule("/trust-list", "trust_list", _trust_list)
    api.add_url_rule("/trust-list/state", "state", _state)
    return api


def _the() -> Supervision:
    supervision: Supervision = current_app.extensions[EXTENSION]
    return supervision


@public
def _index() -> str:
    """The published list is public: departments look here too."""
    supervision = _the()
    with supervision.editor.database.reading() as connection:
        publication = find_publication(connection)
    return _render(publication, newest=True)


@public
def _show(sequence: int) -> str:
    with _the().editor.database.reading() as connection:
        publication = find_publication(connection, sequence)
    if publication is None:
        abort(404)
    return _render(publication, newest=False)


def _render(publication: Publication | None, *, newest: bool) -> str:
    supervision = _the()
    now = supervision.editor.clock.now()
    age = list_age(publication, supervision.config, at=now) if publication else None
    return render_template(
        "supervision/list.html",
        publication=publication,
        newest=newest,
        age=age,
        services=_services(publication.draft, now) if publication else [],
        list_url=f"{supervision.status_url}/trust-list.json",
        keys_url=f"{supervision.status_url}/list-keys.json",
    )


def _services(draft: Draft, now: Any) -> list[dict[str, Any]]:
    """What the page shows of each service: its present entry and its life, oldest first."""
    shown = []
    for service in draft.services:
        history = sorted(service.history, key=lambda entry: entry.start)
        in_force = [entry for entry in history if entry.start <= now]
        shown.append(
            {
                "service": service,
                "present": in_force[-1] if in_force else None,
                "history": history,
                "now": now,
            }
        )
    return shown


@public
def _history() -> str:
    with _the().editor.database.reading() as connection:
        publications = publication_list(connection, limit=PAGE_SIZE)
    return render_template("supervision/history.html", publications=publications)


@requires_role(*WORKERS)
def _draft() -> str:
    editor = _the().editor
    try:
        preview = editor.preview()
    except NoDraftError:
        return render_template("supervision/draft.html", preview=None, officers=[])
    with editor.database.reading() as connection:
        officers = all_officers(connection)
    return render_template("supervision/draft.html", preview=preview, officers=officers)


@public
def _trust_list() -> Response:
    """The signed document, the same bytes as on the status port."""
    publication = _published()
    response = Response(publication.document, content_type="application/jose+json")
    response.set_etag(publication.sha256)
    return response


@public
def _state() -> Response:
    """Number, dates and signatures of the published list, for monitoring."""
    supervision, publication = _the(), _published()
    age = list_age(publication, supervision.config, at=supervision.editor.clock.now())
    return jsonify(
        sequence=publication.sequence,
        sha256=publication.sha256,
        issued_at=publication.issued_at.isoformat(),
        next_update=publication.next_update.isoformat(),
        officers=[signature.officer for signature in publication.signatures],
        alarm=age.is_alarm,
        over=age.is_over,
        url=url_for("api.trust_list"),
    )


def _published() -> Publication:
    with _the().editor.database.reading() as connection:
        publication = find_publication(connection)
    if publication is None:
        raise NothingPublishedError
    return publication
