"""The published list for everybody, and the history: who signed, digest, download."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, render_template, request

from onecert.server.web import public
from onecert.supervision.draft import Draft
from onecert.supervision.pages.common import both, the
from onecert.supervision.records import Publication, find_publication, publication_list
from onecert.supervision.root_records import find_root
from onecert.supervision.watch import list_age

__all__ = ["add_to"]

PAGE_SIZE = 50


def add_to(pages: Blueprint, history: Blueprint) -> None:
    """Add the public pages."""
    pages.add_url_rule("/", "index", _index)
    history.add_url_rule("/lists", "index", _history)
    history.add_url_rule("/lists/<int:sequence>", "show", _show)
    history.add_url_rule("/lists/<int:sequence>.json", "download", _download)


@public
def _index() -> str:
    """The published list is public: departments look here too."""
    return _render(both()[1], newest=True)


@public
def _show(sequence: int) -> str:
    return _render(_find(sequence), newest=False)


@public
def _download(sequence: int) -> Response:
    """A published list as it was signed."""
    response = Response(_find(sequence).document, content_type="application/jose+json")
    response.headers["Content-Disposition"] = f'attachment; filename="trust-list-{sequence}.json"'
    return response


@public
def _history() -> str:
    before = request.args.get("before", "")
    limit = int(before) if before.isascii() and before.isdigit() and len(before) < 17 else None
    with the().editor.database.reading() as connection:
        publications = publication_list(connection, limit=PAGE_SIZE + 1, before=limit)
    more = len(publications) > PAGE_SIZE
    return render_template("supervision/history.html", publications=publications[:PAGE_SIZE], more=more)


def _find(sequence: int) -> Publication:
    if sequence >= 2**53:
        abort(404)
    with the().editor.database.reading() as connection:
        publication = find_publication(connection, sequence)
    if publication is None:
        abort(404)
    return publication


def _render(publication: Publication | None, *, newest: bool) -> str:
    supervision = the()
    now = supervision.editor.clock.now()
    age = list_age(publication, supervision.config, at=now) if publication else None
    with supervision.editor.database.reading() as connection:
        root = find_root(connection)
    return render_template(
        "supervision/list.html",
        publication=publication,
        newest=newest,
        age=age,
        services=_services(publication.draft, now) if publication else [],
        list_url=f"{supervision.status_url}/trust-list.json",
        root=root,
        root_url=f"{supervision.status_url}/trust-root.json",
        timestamp_url=f"{supervision.status_url}/trust-timestamp.json",
    )


def _services(draft: Draft, now: datetime) -> list[dict[str, Any]]:
    """What the page shows of each service: its present entry and its life, oldest first."""
    shown = []
    for service in draft.services:
        history = sorted(service.history, key=lambda entry: entry.start)
        in_force = [entry for entry in history if entry.start <= now]
        present = in_force[-1] if in_force else None
        shown.append({"service": service, "present": present, "history": history, "now": now})
    return shown
