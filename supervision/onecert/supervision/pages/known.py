"""Known certificates: what the collection holds, where it came from, adding and removing."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.server.languages import _
from onecert.server.web import current_operator, notify, requires_role
from onecert.supervision.errors import UploadError
from onecert.supervision.known import (
    KNOWN_MAX,
    ReadKnown,
    known_sources,
    read_known,
)
from onecert.supervision.pages.common import EDITORS, WORKERS, Attempt, actor, posted, the, uploaded

__all__ = ["add_to"]

FILE_MAX_BYTES = 8 * 1024 * 1024


def add_to(pages: Blueprint) -> None:
    """Add the pages of known certificates."""
    pages.add_url_rule("/known", "index", _known)
    pages.add_url_rule("/known/add", "add", _add, methods=["POST"])
    pages.add_url_rule("/known/remove", "remove", _remove, methods=["POST"])


@requires_role(*WORKERS)
def _known() -> str:
    return _page(None)


def _page(refusal: dict[str, str] | None) -> str:
    with the().editor.database.reading() as connection:
        sources = known_sources(connection)
    return render_template(
        "supervision/known.html",
        sources=sources,
        total=sum(each.count for each in sources),
        limit=KNOWN_MAX,
        operator=current_operator(),
        source=posted("source", 200) if request.method == "POST" else "",
        refusal=refusal,
    )


@requires_role(*EDITORS)
def _add() -> Any:
    def act() -> tuple[ReadKnown, int]:
        source = posted("source", 200)
        if not source:
            raise UploadError(_("say where the certificates come from"))
        read = read_known(uploaded("certificates", FILE_MAX_BYTES))
        return read, the().editor.add_known(read.ders, source=source, actor=actor())

    def done(result: tuple[ReadKnown, int]) -> AnyResponse:
        read, added = result
        notify(
            _("%(added)s certificates are new, %(present)s were there already, %(unreadable)s unreadable."),
            added=added,
            present=len(read.ders) - added,
            unreadable=read.unreadable,
        )
        return redirect(url_for("known.index"), 303)

    return Attempt(act, _page).result(done)


@requires_role(*EDITORS)
def _remove() -> Any:
    removed = the().editor.remove_known(posted("source", 200), actor=actor())
    notify(_("%(count)s certificates were removed."), count=removed)
    return redirect(url_for("known.index"), 303)
