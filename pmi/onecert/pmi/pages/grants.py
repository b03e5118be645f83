"""Grants: the list, one of them with what is approved beside who asked, approving."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.grants.acts import APPROVER, OFFICER, STATES, Grant
from onecert.pmi.pages.common import (
    GRANT_KINDS,
    HOLDER_FORMS,
    PER_PAGE,
    READERS,
    attribute_names,
    page_count,
    page_number,
    shown_attributes,
    titles_of,
)
from onecert.pmi.pages.grant_form import add_grant_form
from onecert.pmi.parts import Parts
from onecert.server.languages import _, gettext
from onecert.server.web import current_operator, notify, requires_role

__all__ = ["blueprint"]


def blueprint(parts: Parts) -> Blueprint:
    """The pages of grants."""
    pages = Blueprint("grants", __name__, url_prefix="/grants")
    database = parts.context.database

    @pages.get("")
    @requires_role(*READERS)
    def index() -> str:
        state = request.args.get("state", "")
        page = page_number()
        found, total = parts.grants.page(state=state if state in STATES else "", page=page, per_page=PER_PAGE)
        return render_template(
            "grants.html",
            grants=found,
            total=total,
            page=page,
            page_count=page_count(total),
            state=state,
            states=STATES,
            kinds=GRANT_KINDS,
            titles=titles_of(parts),
            may_request=current_operator().has_role(OFFICER),
        )

    add_grant_form(pages, parts)

    @pages.get("/<grant_id>")
    @requires_role(*READERS)
    def show(grant_id: str) -> str:
        grant = parts.grants.load(grant_id)
        with database.reading() as connection:
            requester = parts.context.operators.find(connection, grant.requested_by)
            approver = (
                parts.context.operators.find(connection, grant.approved_by) if grant.approved_by else None
            )
        operator = current_operator()
        is_other = requester is None or requester.person != operator.person
        return render_template(
            "grant.html",
            grant=grant,
            states=STATES,
            kinds=GRANT_KINDS,
            attributes=shown_attributes(grant.attributes, titles_of(parts), attribute_names(parts)),
            form=HOLDER_FORMS[grant.holder_form],
            events=_events(
                grant,
                requester.name if requester else grant.requested_by,
                approver.name if approver else grant.approved_by or "",
            ),
            may_approve=grant.state in {"waiting", "approved"} and operator.has_role(APPROVER) and is_other,
            is_own=operator.has_role(APPROVER) and not is_other,
        )

    @pages.post("/<grant_id>/approve")
    @requires_role(APPROVER)
    def approve(grant_id: str) -> AnyResponse:
        shown = request.form.get("content_sha256", "")
        parts.grants.approve(grant_id, current_operator(), content_sha256=shown)
        notify(_("Approved; the attribute certificate was issued."))
        return redirect(url_for("grants.show", grant_id=grant_id), 303)

    return pages


def _events(grant: Grant, requester: str, approver: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"title": gettext(_("requested")), "at": grant.requested_at, "by": requester, "kind": "info"}
    ]
    if grant.needs_approval:
        events.append(
            {
                "title": gettext(_("approved by a second person")),
                "at": grant.approved_at,
                "by": approver,
                "kind": "success" if grant.approved_at else "neutral",
            }
        )
    if grant.serial is None:
        events.append({"title": gettext(_("issue of the certificate")), "at": None, "kind": "neutral"})
    return events
