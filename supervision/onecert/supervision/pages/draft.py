"""The draft: what it changes, who has signed, how it is begun, imported, discarded, taken up again."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.server.languages import _
from onecert.server.web import current_operator, notify, requires_role
from onecert.supervision.draft import Draft, draft_json
from onecert.supervision.edits import change_head
from onecert.supervision.errors import DraftChangedError, NoDraftError, UploadError
from onecert.supervision.officers import all_officers
from onecert.supervision.pages.common import (
    EDITORS,
    WORKERS,
    Attempt,
    actor,
    both,
    edit_draft,
    open_draft,
    posted,
    stamp,
    the,
    uploaded,
)
from onecert.supervision.uploads import DRAFT_MAX_BYTES, read_draft

__all__ = ["add_to"]


def add_to(pages: Blueprint) -> None:
    """Add the pages of the draft."""
    pages.add_url_rule("/draft", "index", _draft)
    pages.add_url_rule("/draft/begin", "begin", _begin, methods=["POST"])
    pages.add_url_rule("/draft/import", "import_file", _import, methods=["GET", "POST"])
    pages.add_url_rule("/draft/discard", "discard", _discard, methods=["POST"])
    pages.add_url_rule("/draft/take-up", "take_up", _take_up, methods=["POST"])
    pages.add_url_rule("/draft/head", "head", _head, methods=["GET", "POST"])
    pages.add_url_rule("/draft/file", "file", _file)


@requires_role(*WORKERS)
def _draft() -> str:
    return _page(None)


def _page(refusal: dict[str, str] | None) -> str:
    editor = the().editor
    try:
        preview = editor.preview()
    except NoDraftError:
        preview = None
    with editor.database.reading() as connection:
        officers = all_officers(connection)
    return render_template(
        "supervision/draft.html",
        preview=preview,
        officers=officers,
        aside=editor.find_aside(),
        published=both()[1],
        operator=current_operator(),
        refusal=refusal,
    )


@requires_role(*EDITORS)
def _begin() -> AnyResponse:
    try:
        the().editor.begin_draft(actor=actor(), stamp="")
    except DraftChangedError:
        # A second click, or a colleague was faster: either way there is a draft to work on.
        notify(_("A draft is open already; this is it."), "info")
    return redirect(url_for("draft.index"), 303)


@requires_role(*EDITORS)
def _import() -> Any:
    def page(refusal: dict[str, str] | None) -> str:
        record = both()[0]
        return render_template("supervision/import.html", record=record, refusal=refusal)

    def act() -> None:
        record = both()[0]
        if record is not None and posted("replace") != "yes":
            raise UploadError(_("a draft is open; tick that it may be discarded"))
        draft = read_draft(uploaded("draft", DRAFT_MAX_BYTES))
        if record is not None and record.draft == draft:
            return  # the same file a second time
        the().editor.import_draft(draft, actor=actor(), stamp=stamp())

    def done(_value: None) -> AnyResponse:
        notify(_("The file is the draft now."))
        return redirect(url_for("draft.index"), 303)

    return Attempt(act, page).answer(done)


@requires_role(*EDITORS)
def _discard() -> Any:
    def act() -> None:
        if posted("sure") != "yes":
            raise UploadError(_("tick that the draft shall be given up"))
        the().editor.discard_draft(actor=actor(), stamp=stamp())

    def done(_value: None) -> AnyResponse:
        notify(_("The draft is discarded."))
        return redirect(url_for("draft.index"), 303)

    return Attempt(act, _page).result(done)


@requires_role(*EDITORS)
def _take_up() -> Any:
    def done(_value: object) -> AnyResponse:
        notify(_("The draft that was put aside is open again, with the status published meanwhile."))
        return redirect(url_for("draft.index"), 303)

    return Attempt(lambda: the().editor.take_up_aside(actor=actor()), _page).result(done)


@requires_role(*EDITORS)
def _head() -> Any:
    def page(refusal: dict[str, str] | None) -> str:
        record = open_draft()
        values = dict(request.form) if refusal else _head_values(record.draft)
        return render_template("supervision/head.html", record=record, values=values, refusal=refusal)

    def act() -> None:
        operator = {"zh": posted("operator_zh"), "en": posted("operator_en")}
        edit_draft(
            lambda draft: change_head(draft, operator=operator, territory=posted("territory")),
            {"part": "head"},
        )

    def done(_value: None) -> AnyResponse:
        notify(_("Saved. Signatures made before are void."))
        return redirect(url_for("draft.index"), 303)

    return Attempt(act, page).answer(done)


def _head_values(draft: Draft) -> dict[str, str]:
    return {
        "operator_zh": draft.operator.zh,
        "operator_en": draft.operator.en,
        "territory": draft.territory,
    }


@requires_role(*WORKERS)
def _file() -> Response:
    """The draft in the form that import reads."""
    record = open_draft()
    text = json.dumps(draft_json(record.draft), ensure_ascii=False, indent=2)
    response = Response(text, content_type="application/json; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="trust-list-draft-{record.stamp}.json"'
    return response
