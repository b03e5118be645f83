"""A new status of a service with its terms, and what the rule table then does to holders."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.server.languages import _, gettext
from onecert.server.web import notify, requires_role
from onecert.supervision.compare import status_name
from onecert.supervision.described import entry_line
from onecert.supervision.draft import Draft, add_status
from onecert.supervision.effect import draft_list
from onecert.supervision.errors import UploadError
from onecert.supervision.pages.common import (
    EDITORS,
    Attempt,
    actor,
    form_time,
    local_time,
    open_draft,
    posted,
    service_options,
    stamp,
    the,
)
from onecert.supervision.rule_preview import RuleRow, rule_rows
from onecert.verifier.trust_list import Status, StatusEntry

__all__ = ["add_to", "preview_rows", "read_entry"]


def add_to(pages: Blueprint) -> None:
    """Add the page of a status."""
    pages.add_url_rule("/draft/services/<authority>/status", "status", _status, methods=["GET", "POST"])


@requires_role(*EDITORS)
def _status(authority: str) -> Any:
    rows: list[RuleRow] = []

    def page(refusal: dict[str, str] | None) -> str:
        record = open_draft()
        service = record.draft.service(authority)
        wanted = {"status": request.args.get("to", "")[:20]}
        values = dict(request.form) if request.method == "POST" else wanted
        values.setdefault("from", local_time(the().editor.clock.now()))
        return render_template(
            "supervision/status.html",
            record=record,
            service=service,
            history=[entry_line(entry) for entry in service.history],
            statuses=[(each.value, gettext(status_name(each.value))) for each in Status],
            successors=service_options(record.draft, without=authority),
            values=values,
            rows=rows,
            refusal=refusal,
        )

    def act() -> str:
        entry = read_entry()
        if posted("act") == "preview":
            rows.extend(preview_rows(open_draft().draft, authority, entry))
            return "preview"
        the().editor.add_status(authority, entry, actor=actor(), stamp=stamp())
        return "saved"

    def done(what: str) -> AnyResponse:
        if what == "preview":
            return make_response(page(None))
        notify(_("The status is in the draft. Signatures made before are void."))
        return redirect(url_for("draft.service", authority=authority), 303)

    return Attempt(act, page).answer(done)


def preview_rows(draft: Draft, authority: str, entry: StatusEntry) -> list[RuleRow]:
    """What the rule table makes of holders with and without this entry.

    Raises:
        DraftRefusedError: verifiers would refuse a list with it.
    """
    now = the().editor.clock.now()
    draft.service(authority)
    old = draft_list(draft, at=now).by_id.get(authority)
    new = draft_list(add_status(draft, authority, entry), at=now).by_id[authority]
    return rule_rows(old, new, entry)


def read_entry() -> StatusEntry:
    """The status that the form names, with the terms that belong to it and no others.

    Raises:
        UploadError: no status, or a time that is none.
    """
    try:
        status = Status(posted("status", 20))
    except ValueError:
        raise UploadError(_("choose a status")) from None
    start = form_time("from") or the().editor.clock.now().replace(microsecond=0)
    ends = status in {Status.WITHDRAWN, Status.TERMINATED}
    return StatusEntry(
        status=status,
        start=start,
        accept_existing=status is Status.SUSPENDED and posted("accept_existing") == "yes",
        existing_until=form_time("existing_until") if ends else None,
        taken_over_by=(posted("taken_over_by", 63) or None) if status is Status.TERMINATED else None,
    )
