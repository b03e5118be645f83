"""End of office: who leaves, everything they hold, one confirmed act, and a receipt with its times.

Who leaves is named by POST and stands in no address; a receipt has a number.
"""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.errors import PmiError, RequestWrongError
from onecert.pmi.grants.acts import APPROVER, OFFICER
from onecert.pmi.life.errors import SelectionChangedError
from onecert.pmi.life.offices import DEPARTURE_STATES, Leaving, Who
from onecert.pmi.pages.common import (
    READERS,
    STATUS_KINDS,
    actor_name,
    attribute_names,
    moment_of,
    shown_attributes,
    titles_of,
)
from onecert.pmi.pages.holder_choice import find_named, given_who, read_who
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import STATUSES
from onecert.server.languages import _, current_language, gettext
from onecert.server.web import current_operator, notify, requires_role
from onecert.verifier.errors import VerifyError

__all__ = ["blueprint"]

STATE_KINDS = {"scheduled": "warning", "done": "success", "withdrawn": "neutral"}


def blueprint(parts: Parts) -> Blueprint:
    """The pages of ends of office."""
    pages = Blueprint("offices", __name__, url_prefix="/offices")
    _add_ending(pages, parts)
    _add_records(pages, parts)
    return pages


def _add_records(pages: Blueprint, parts: Parts) -> None:
    """The list, a receipt, and withdrawing one that is still to come."""

    @pages.get("")
    @requires_role(*READERS)
    def index() -> str:
        return _show_index(parts)

    @pages.get("/<departure_id>")
    @requires_role(*READERS)
    def show(departure_id: str) -> str:
        departure = parts.offices.load(departure_id)
        titles, names = titles_of(parts), attribute_names(parts)
        rows = [
            (kind, row, shown_attributes(row["attributes"], titles, names))
            for kind in ("revoked", "refused")
            for row in departure.receipt.get(kind, ())
        ]
        return render_template(
            "office.html",
            departure=departure,
            rows=rows,
            states=DEPARTURE_STATES,
            kinds=STATE_KINDS,
            requester=actor_name(parts, departure.requested_by),
            may_withdraw=departure.state == "scheduled" and current_operator().has_role(OFFICER, APPROVER),
        )

    @pages.post("/<departure_id>/withdraw")
    @requires_role(OFFICER, APPROVER)
    def withdraw(departure_id: str) -> AnyResponse:
        departure = parts.offices.withdraw(departure_id, current_operator())
        if departure.state == "withdrawn":
            notify(_("Withdrawn; nothing ends."))
        return redirect(url_for("offices.show", departure_id=departure_id), 303)


def _add_ending(pages: Blueprint, parts: Parts) -> None:
    """Who leaves, what they hold, and the act."""

    @pages.post("/find")
    @requires_role(OFFICER, APPROVER)
    def find() -> AnyResponse | str | tuple[str, int]:
        return _find(parts)

    @pages.post("/review")
    @requires_role(OFFICER, APPROVER)
    def review() -> AnyResponse:
        return _no_store(_show_leaving(parts, given_who()))

    @pages.post("/end")
    @requires_role(OFFICER, APPROVER)
    def end() -> AnyResponse | tuple[str, int]:
        who, given = given_who(), request.form
        errors: dict[str, str] = {}
        leaving = parts.offices.leaving(who)
        effective_at = None
        try:
            effective_at = moment_of(given.get("effective_at", ""), "effective_at")
        except RequestWrongError as exc:
            errors = _errors(exc)
        if given.get("count", "").strip() != str(_count(leaving)):
            errors["count"] = gettext(_("This is not the number of what ends."))
        if errors:
            return _show_leaving(parts, who, errors=errors), 422
        try:
            departure = parts.offices.leave(
                who,
                current_operator(),
                content_sha256=given.get("content_sha256", ""),
                effective_at=effective_at,
                number=given.get("key", ""),
            )
        except SelectionChangedError:
            changed = gettext(_("Something has changed since this was shown. Look at it again."))
            return _show_leaving(parts, who, errors={"count": changed}), 409
        notify(
            _("Everything has ended.")
            if departure.state == "done"
            else _("It is on record and ends at the time that was set.")
        )
        return redirect(url_for("offices.show", departure_id=departure.id), 303)


def _find(parts: Parts) -> AnyResponse | str | tuple[str, int]:
    """Show what is held by the one that was typed, or those of a name to choose from."""
    text = request.form.get("who_text", "").strip()[:512]
    try:
        who = read_who(text)
        if who is not None:
            return _no_store(_show_leaving(parts, who))
    except (PmiError, VerifyError) as exc:
        return _show_index(parts, errors=_errors(exc), text=text), 422
    named = find_named(parts, text)
    if not named:
        nobody = {"who_text": gettext(_("Nobody of this name has been given anything here."))}
        return _show_index(parts, errors=nobody, text=text), 422
    return _no_store(
        render_template(
            "holder_names.html",
            named=named,
            text=text,
            title=_("End of office"),
            action=url_for("offices.review"),
            back=url_for("offices.index"),
        )
    )


def _show_index(parts: Parts, *, errors: dict[str, str] | None = None, text: str = "") -> str:
    return render_template(
        "offices.html",
        departures=parts.offices.page(),
        states=DEPARTURE_STATES,
        kinds=STATE_KINDS,
        errors=errors or {},
        text=text,
        may_end=current_operator().has_role(OFFICER, APPROVER),
    )


def _show_leaving(parts: Parts, who: Who, *, errors: dict[str, str] | None = None) -> str:
    leaving = parts.offices.leaving(who)
    titles, names, now = titles_of(parts), attribute_names(parts), parts.context.clock.now()
    return render_template(
        "office_review.html",
        leaving=leaving,
        count=_count(leaving),
        records=[
            (each, each.status(now), shown_attributes(each.attributes, titles, names))
            for each in leaving.records
        ],
        waiting=[(each, shown_attributes(each.attributes, titles, names)) for each in leaving.waiting],
        statuses=STATUSES,
        kinds=STATUS_KINDS,
        key=str(uuid.uuid4()),
        errors=errors or {},
        given=request.form,
    )


def _count(leaving: Leaving) -> int:
    return len(leaving.records) + len(leaving.waiting)


def _errors(exc: PmiError | VerifyError) -> dict[str, str]:
    if isinstance(exc, VerifyError):
        return {"holder_pem": exc.text(current_language())}
    facts: Any = exc.facts
    if isinstance(exc, RequestWrongError):
        return {str(facts["field"]): gettext(str(facts["reason"]))}
    return {"who_text": gettext(exc.text, **facts)}


def _no_store(text: str) -> AnyResponse:
    page = make_response(text)
    page.headers["Cache-Control"] = "no-store"
    return page
