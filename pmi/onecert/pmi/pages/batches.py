"""Batches: many grants from a table, judged row by row before anything is recorded, approved as a whole."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.catalogue.content import ROLE, Catalogue
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import APPROVER, OFFICER
from onecert.pmi.grants.batches import BATCH_STATES, Batch, BatchRow
from onecert.pmi.grants.request import STATES, GrantRequest
from onecert.pmi.grants.sheets import read_sheet
from onecert.pmi.holders.find import holder_finder
from onecert.pmi.pages.common import (
    GRANT_KINDS,
    PER_PAGE,
    READERS,
    actor_name,
    attribute_names,
    error_text,
    page_count,
    page_number,
    shown_attributes,
    titles_of,
)
from onecert.pmi.parts import Parts
from onecert.pmi.rest.certificates import pem
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.web import current_operator, notify, requires_role

__all__ = ["blueprint"]

BATCH_KINDS = {"waiting": "warning", "approved": "info", "done": "success", "refused": "danger"}
# A page carries the table from the report to the request; a larger one is a matter of the command.
MOST_BYTES = 256 * 1024
MOST_ROWS = 2000
MOST_SHOWN = 100
_COLUMNS = ("holder", "from", "until", "targets", "target_groups", "holder_form")


def blueprint(parts: Parts) -> Blueprint:
    """The pages of batches."""
    pages = Blueprint("batches", __name__, url_prefix="/batches")
    _add_requesting(pages, parts)
    _add_deciding(pages, parts)
    return pages


def _add_requesting(pages: Blueprint, parts: Parts) -> None:
    """The table: its columns, its report, and putting it on record."""

    @pages.get("/columns.csv")
    @requires_role(OFFICER)
    def columns() -> Response:
        with parts.context.database.reading() as connection:
            catalogue = parts.catalogues.find(connection) or Catalogue()
        text = io.StringIO()
        csv.writer(text).writerow([*_COLUMNS, ROLE, *sorted(catalogue.attributes)])
        name = {"Content-Disposition": 'attachment; filename="columns.csv"'}
        return Response("\ufeff" + text.getvalue(), mimetype="text/csv; charset=utf-8", headers=name)

    @pages.post("/check")
    @requires_role(OFFICER)
    def check() -> str | tuple[str, int]:
        authority, content = request.form.get("authority", ""), _content()
        try:
            rows = parts.batches.check(authority, _rows(parts, authority, content), current_operator())
        except ServiceError as exc:
            if not exc.is_refusal:
                raise
            return _show_index(parts, errors=_errors(exc), authority=authority), 422
        return _show_report(parts, authority, content, rows)

    @pages.post("")
    @requires_role(OFFICER)
    def create() -> AnyResponse | str | tuple[str, int]:
        given = request.form
        authority, content = given.get("authority", ""), _content()
        only_good = bool(given.get("only_good"))
        try:
            batch = parts.batches.request(
                given.get("key", ""),
                authority,
                _rows(parts, authority, content),
                current_operator(),
                only_good=only_good,
            )
        except ServiceError as exc:
            if not exc.is_refusal:
                raise
            return _show_index(parts, errors=_errors(exc), authority=authority), 422
        if not batch.state:
            return _show_report(parts, authority, content, batch.rows), 422
        return redirect(url_for("batches.show", batch_id=batch.id), 303)


def _add_deciding(pages: Blueprint, parts: Parts) -> None:
    """The list, one batch, and what a second person does with it."""

    @pages.get("")
    @requires_role(*READERS)
    def index() -> str:
        return _show_index(parts)

    @pages.get("/<batch_id>")
    @requires_role(*READERS)
    def show(batch_id: str) -> str:
        return _show(parts, parts.batches.load(batch_id))

    @pages.get("/<batch_id>/certificates.pem")
    @requires_role(*READERS)
    def download(batch_id: str) -> Response:
        parts.batches.load(batch_id)

        def lines() -> Iterator[str]:
            for _serial, der in parts.batches.certificates_of(batch_id):
                yield pem(der)

        name = {"Content-Disposition": f'attachment; filename="{batch_id}.pem"'}
        return Response(lines(), mimetype="application/x-pem-file", headers=name)

    @pages.post("/<batch_id>/approve")
    @requires_role(APPROVER)
    def approve(batch_id: str) -> AnyResponse:
        shown = request.form.get("content_sha256", "")
        batch = parts.batches.approve(batch_id, current_operator(), content_sha256=shown)
        if batch.state == "done":
            notify(_("Approved; the attribute certificates were issued."))
        else:
            notify(_("Approved; the attribute certificates are being issued."), "info")
        return redirect(url_for("batches.show", batch_id=batch_id), 303)

    @pages.post("/<batch_id>/refuse")
    @requires_role(OFFICER, APPROVER)
    def refuse(batch_id: str) -> AnyResponse | tuple[str, int]:
        why = request.form.get("why", "")
        try:
            parts.batches.refuse(batch_id, current_operator(), why)
        except RequestWrongError as exc:
            return _show(parts, parts.batches.load(batch_id), errors=_errors(exc), why=why), 422
        notify(_("Refused; nothing was issued."))
        return redirect(url_for("batches.show", batch_id=batch_id), 303)


def _content() -> bytes:
    """The table as it was chosen, pasted, or carried on from the report."""
    file = request.files.get("file")
    content = file.read(MOST_BYTES + 1) if file is not None and file.filename else b""
    return content or request.form.get("rows", "").encode()


def _rows(parts: Parts, authority: str, content: bytes) -> Sequence[GrantRequest | ServiceError]:
    """The rows of the table. Raises RequestWrongError."""
    if not content.strip():
        raise RequestWrongError("rows", _("choose a file, or paste the table"))
    with parts.context.database.reading() as connection:
        catalogue = parts.catalogues.load(connection)
    rows = read_sheet(content, catalogue, holder_finder(parts.context.database), authority=authority)
    if len(content) > MOST_BYTES or len(rows) > MOST_ROWS:
        raise RequestWrongError("rows", _("too large for a page; use onecert pmi batch"))
    return rows


def _show_index(parts: Parts, *, errors: Mapping[str, str] | None = None, authority: str = "") -> str:
    page, state = page_number(), request.args.get("state", "")
    state = state if state in BATCH_STATES else ""
    found, total = parts.batches.page(state=state, page=page, per_page=PER_PAGE)
    with parts.context.database.reading() as connection:
        names = [each.name for each in parts.authorities.all(connection) if each.state == "active"]
    return render_template(
        "batches.html",
        batches=found,
        total=total,
        page=page,
        page_count=page_count(total),
        state=state,
        states=BATCH_STATES,
        kinds=BATCH_KINDS,
        names=names,
        authority=authority,
        errors=errors or {},
        given=request.form,
        most=MOST_ROWS,
        may_request=current_operator().has_role(OFFICER),
    )


def _show_report(parts: Parts, authority: str, content: bytes, rows: Sequence[BatchRow]) -> str:
    titles, names = titles_of(parts), attribute_names(parts)
    wrong = [(row.number, error_text(row.error)) for row in rows if row.error is not None]
    good = [row.grant for row in rows if row.grant is not None]
    return render_template(
        "batch_report.html",
        authority=authority,
        content=content.decode("utf-8-sig", "replace"),
        key=request.form.get("key") or str(uuid.uuid4()),
        count=len(rows),
        wrong=wrong,
        good=[(grant, shown_attributes(grant.attributes, titles, names)) for grant in good[:MOST_SHOWN]],
        good_count=len(good),
        needs_approval=any(grant.needs_approval for grant in good),
    )


def _show(parts: Parts, batch: Batch, *, errors: Mapping[str, str] | None = None, why: str = "") -> str:
    operator = current_operator()
    state, after = request.args.get("state", ""), request.args.get("after", "")[:40]
    found = parts.batches.grants_of(batch.id, after=after, state=state, most=MOST_SHOWN + 1)
    with parts.context.database.reading() as connection:
        requester = parts.context.operators.find(connection, batch.requested_by)
    is_own = requester is not None and requester.person == operator.person
    titles, names = titles_of(parts), attribute_names(parts)
    return render_template(
        "batch.html",
        batch=batch,
        rows=[(grant, shown_attributes(grant.attributes, titles, names)) for grant in found[:MOST_SHOWN]],
        following=found[MOST_SHOWN - 1].id if len(found) > MOST_SHOWN else "",
        state=state,
        states=BATCH_STATES,
        kinds=BATCH_KINDS,
        grant_states=STATES,
        grant_kinds=GRANT_KINDS,
        events=_events(parts, batch, requester.name if requester else batch.requested_by),
        requester=requester.name if requester else batch.requested_by,
        is_own=is_own and operator.has_role(APPROVER) and batch.state == "waiting",
        may_approve=batch.state == "waiting" and operator.has_role(APPROVER) and not is_own,
        may_withdraw=batch.state == "waiting" and batch.requested_by == operator.id,
        errors=errors or {},
        why=why,
    )


def _events(parts: Parts, batch: Batch, requester: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"title": gettext(_("requested")), "at": batch.requested_at, "by": requester, "kind": "info"}
    ]
    if batch.needs_approval and batch.state != "refused":
        approver = actor_name(parts, batch.approved_by)
        kind = "success" if batch.approved_at else "neutral"
        title = gettext(_("approved by a second person"))
        events.append({"title": title, "at": batch.approved_at, "by": approver, "kind": kind})
    kind = {"done": "success", "refused": "danger"}.get(batch.state, "neutral")
    title = gettext(BATCH_STATES[batch.state if batch.state == "refused" else "done"])
    return [*events, {"title": title, "at": batch.finished_at, "kind": kind}]


def _errors(exc: ServiceError) -> dict[str, str]:
    if isinstance(exc, RequestWrongError):
        return {str(exc.facts["field"]): gettext(str(exc.facts["reason"]))}
    return {"authority": error_text(exc)}
