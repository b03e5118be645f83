"""Grants: the list, and one of them: what would be issued beside who asked for it, approving, refusing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.authorities.states import ADMINISTRATOR
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import APPROVER, OFFICER, STATES, Grant
from onecert.pmi.grants.request import DELEGATION
from onecert.pmi.pages.common import (
    GRANT_KINDS,
    HOLDER_WORDS,
    PER_PAGE,
    READERS,
    actor_name,
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
        return _show(parts, parts.grants.load(grant_id))

    @pages.post("/<grant_id>/approve")
    @requires_role(APPROVER, ADMINISTRATOR)
    def approve(grant_id: str) -> AnyResponse:
        shown = request.form.get("content_sha256", "")
        parts.grants.approve(grant_id, current_operator(), content_sha256=shown)
        notify(_("Approved; the attribute certificate was issued."))
        return redirect(url_for("grants.show", grant_id=grant_id), 303)

    @pages.post("/<grant_id>/refuse")
    @requires_role(APPROVER, ADMINISTRATOR)
    def refuse(grant_id: str) -> AnyResponse | tuple[str, int]:
        why = request.form.get("why", "")
        try:
            parts.grants.refuse(grant_id, current_operator(), why)
        except RequestWrongError as exc:
            errors = {"why": gettext(str(exc.facts["reason"]))}
            return _show(parts, parts.grants.load(grant_id), errors=errors, why=why), 422
        notify(_("Refused; nothing was issued."))
        return redirect(url_for("grants.show", grant_id=grant_id), 303)

    @pages.post("/<grant_id>/withdraw")
    @requires_role(OFFICER, ADMINISTRATOR)
    def withdraw(grant_id: str) -> AnyResponse:
        parts.grants.withdraw(grant_id, current_operator())
        notify(_("Withdrawn; nothing was issued."))
        return redirect(url_for("grants.show", grant_id=grant_id), 303)

    return pages


def _show(parts: Parts, grant: Grant, *, errors: Mapping[str, str] | None = None, why: str = "") -> str:
    operator = current_operator()
    with parts.context.database.reading() as connection:
        requester = parts.context.operators.find(connection, grant.requested_by)
    is_other = requester is None or requester.person != operator.person
    # Delegations are the business of those who answer for the authorities.
    is_delegation = grant.kind == DELEGATION
    is_open = grant.state in {"waiting", "approved"}
    is_approver = operator.has_role(ADMINISTRATOR if is_delegation else APPROVER)
    return render_template(
        "grant.html",
        grant=grant,
        states=STATES,
        kinds=GRANT_KINDS,
        attributes=shown_attributes(grant.attributes, titles_of(parts), attribute_names(parts)),
        holder_words=HOLDER_WORDS[grant.holder_form],
        requester=requester.name if requester else grant.requested_by,
        events=_events(parts, grant, requester.name if requester else grant.requested_by),
        may_approve=is_open and is_approver and is_other,
        may_withdraw=grant.state == "waiting"
        and operator.has_role(ADMINISTRATOR if is_delegation else OFFICER)
        and grant.requested_by == operator.id,
        is_own=is_open and is_approver and not is_other,
        errors=errors or {},
        why=why,
    )


def _events(parts: Parts, grant: Grant, requester: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"title": gettext(_("requested")), "at": grant.requested_at, "by": requester, "kind": "info"}
    ]
    if grant.state == "refused":
        refused = {
            "title": gettext(_("refused")),
            "text": grant.refused_why,
            "at": grant.refused_at,
            "by": actor_name(parts, grant.refused_by),
            "kind": "danger",
        }
        return [*events, refused]
    if grant.needs_approval:
        events.append(
            {
                "title": gettext(_("approved by a second person")),
                "at": grant.approved_at,
                "by": actor_name(parts, grant.approved_by),
                "kind": "success" if grant.approved_at else "neutral",
            }
        )
    if grant.serial is None:
        events.append({"title": gettext(_("issue of the certificate")), "at": None, "kind": "neutral"})
    return events
