"""Signing and publishing: an officer reads exactly what is signed, types its number, and signs."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.web import current_operator, notify, requires_role
from onecert.supervision.differences import compare_drafts
from onecert.supervision.errors import DraftChangedError, SequenceTypedError, UploadError
from onecert.supervision.next_list import frozen_list
from onecert.supervision.pages.common import (
    EDITORS,
    OFFICERS,
    Attempt,
    actor,
    both,
    open_draft,
    posted,
    stamp,
    the,
)
from onecert.supervision.records import Publication

__all__ = ["add_to"]

PIN_MAX = 300  # longer than any PIN


def add_to(pages: Blueprint) -> None:
    """Add the pages of signing and publishing."""
    pages.add_url_rule("/draft/prepare", "prepare", _prepare, methods=["POST"])
    pages.add_url_rule("/draft/sign", "sign", _sign, methods=["GET", "POST"])
    pages.add_url_rule("/draft/publish", "publish", _publish, methods=["GET", "POST"])


@requires_role(*OFFICERS, *EDITORS)
def _prepare() -> AnyResponse:
    try:
        the().editor.prepare(actor=actor(), stamp=stamp())
    except DraftChangedError:
        notify(_("The draft was changed meanwhile; look at it again."), "warning")
        return redirect(url_for("draft.index"), 303)
    return redirect(url_for("draft.sign"), 303)


@requires_role(*OFFICERS)
def _sign() -> Any:
    def act() -> str:
        preview = the().editor.preview()
        if not preview.is_frozen:
            raise DraftChangedError
        sequence = frozen_list(preview.record).sequence
        if posted("sequence", 20) != str(sequence):
            raise SequenceTypedError(sequence)
        pin = request.form.get("pin", "")[:PIN_MAX]  # with its blanks, if it has any
        signed = the().editor.sign(current_operator().id, pin=pin, actor=actor(), sha256=posted("sha256", 64))
        if posted("publish") == "yes" and the().editor.preview().is_signed:
            _release(signed.stamp)
            return "published"
        return "signed"

    def done(what: str) -> AnyResponse:
        if what == "published":
            notify(_("Signed and published. Departments take the list when they next ask."))
            return redirect(url_for("lists.index"), 303)
        notify(_("You have signed the draft."))
        return redirect(url_for("draft.index"), 303)

    return Attempt(act, _sign_page).answer(done)


def _sign_page(refusal: dict[str, str] | None) -> str:
    open_draft()
    preview, published = the().editor.preview(), both()[1]
    return render_template(
        "supervision/sign.html",
        preview=preview,
        record=preview.record,
        frozen=frozen_list(preview.record) if preview.is_frozen else None,
        differences=compare_drafts(published.draft if published else None, preview.record.draft),
        operator=current_operator(),
        typed=posted("sequence", 20) if refusal else "",
        refusal=refusal,
    )


@requires_role(*OFFICERS)
def _publish() -> Any:
    record, published = both()
    if record is None and published is not None and (request.method == "GET" or _was(published)):
        return redirect(url_for("lists.index"), 303)  # a second click, or the back button

    def page(refusal: dict[str, str] | None) -> str:
        preview = the().editor.preview()
        frozen = frozen_list(preview.record) if preview.record.payload is not None else None
        return render_template(
            "supervision/publish.html",
            preview=preview,
            record=preview.record,
            frozen=frozen,
            published=published,
            refusal=refusal,
        )

    def act() -> Publication:
        if posted("sure") != "yes":
            raise UploadError(_("tick that the list shall be published"))
        return _release(stamp())

    def done(publication: Publication) -> AnyResponse:
        notify(_("List number %(number)s is published."), number=publication.sequence)
        return redirect(url_for("lists.index"), 303)

    return Attempt(act, page).answer(done)


def _was(published: Publication) -> bool:
    return stamp().split(".")[0] == str(published.draft_id)


def _release(of: str) -> Publication:
    publication = the().editor.publish(actor=actor(), stamp=of)
    try:
        the().release(actor=actor())
    except ServiceError as exc:
        # It is on record; the job of the service brings it out as soon as it can.
        notify(
            _("The list is on record, but it could not be brought out yet: %(reason)s"),
            "warning",
            reason=gettext(exc.text, **exc.facts),
        )
    return publication
