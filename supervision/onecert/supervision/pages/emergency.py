"""For a night call: one page, one reason. The status goes into a draft of its own, ready to be signed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.server.languages import _, gettext
from onecert.server.web import current_operator, notify, requires_role
from onecert.supervision.compare import status_name
from onecert.supervision.errors import NothingPublishedError, UploadError
from onecert.supervision.pages.common import (
    EDITORS,
    OFFICERS,
    Attempt,
    actor,
    both,
    form_time,
    posted,
    service_options,
    the,
)
from onecert.verifier.trust_list import Status, StatusEntry

__all__ = ["add_to"]

STATUSES = (Status.KEY_COMPROMISED, Status.WITHDRAWN, Status.SUSPENDED)
# A form that is sent twice within this time is one call.
ONE_CALL = timedelta(minutes=10)


def add_to(pages: Blueprint) -> None:
    """Add the page for emergencies."""
    pages.add_url_rule("/emergency", "index", _emergency, methods=["GET", "POST"])


@requires_role(*OFFICERS, *EDITORS)
def _emergency() -> Any:
    def page(refusal: dict[str, str] | None) -> str:
        record, published = both()
        if published is None:
            raise NothingPublishedError
        return render_template(
            "supervision/emergency.html",
            record=record,
            services=service_options(published.draft),
            statuses=[(each.value, gettext(status_name(each.value))) for each in STATUSES],
            values=dict(request.form),
            refusal=refusal,
        )

    def act() -> None:
        reason = posted("reason", 500)
        if len(reason) < 2:
            raise UploadError(_("say in a few words what happened; it goes into the audit trail"))
        if posted("status", 20) not in STATUSES:
            raise UploadError(_("choose a status"))
        if not posted("authority", 63):
            raise UploadError(_("choose the authority"))
        entry = _entry()
        the().editor.begin_emergency(posted("authority", 63), entry, reason=reason, actor=actor())

    def done(_value: None) -> AnyResponse:
        if current_operator().has_role(*OFFICERS):
            return redirect(url_for("draft.sign"), 303)
        notify(_("The emergency is recorded; two officers must sign now."), "warning")
        return redirect(url_for("draft.index"), 303)

    return Attempt(act, page).answer(done)


def _entry() -> StatusEntry:
    status, start = Status(posted("status", 20)), form_time("from")
    now = the().editor.clock.now().replace(microsecond=0)
    if start is None:
        record = both()[0]
        same = [
            entry
            for service in (record.draft.services if record is not None and record.is_emergency else ())
            if service.id == posted("authority", 63)
            for entry in service.history
            if entry.status is status and now - ONE_CALL <= entry.start <= now
        ]
        start = same[-1].start if same else now
    return StatusEntry(status=status, start=start)
