"""Authorities: the tree of delegations, one authority, and suspending, resuming or revoking it.

What an act would change is shown first and named by a hash; it is done when the authority's name is typed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from sqlalchemy import Connection, RowMapping, func, select
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.authorities.delegations import Held
from onecert.pmi.authorities.directory import KINDS, STATES
from onecert.pmi.authorities.errors import AuthorityActError
from onecert.pmi.authorities.states import ACTS, ADMINISTRATOR, REASONS, Outcome
from onecert.pmi.authorities.survey import Survey
from onecert.pmi.authorities.tree import MOST, read_tree
from onecert.pmi.models import acrls, certificates
from onecert.pmi.pages.common import READERS, STATUS_KINDS, actor_name, titles_of
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import STATUSES, Record, load_certificate
from onecert.server.languages import _, gettext
from onecert.server.web import current_operator, notify, requires_role

__all__ = ["blueprint"]

STATE_KINDS = {"active": "success", "suspended": "warning", "revoked": "danger"}
_POSSIBLE = {"active": ("suspend", "revoke"), "suspended": ("resume", "revoke"), "revoked": ()}


def blueprint(parts: Parts) -> Blueprint:
    """The pages of authorities."""
    pages = Blueprint("authorities", __name__, url_prefix="/authorities")
    _add_acts(pages, parts)
    database, clock = parts.context.database, parts.context.clock

    @pages.get("")
    @requires_role(*READERS)
    def index() -> str:
        with database.reading() as connection:
            known = parts.authorities.all(connection)
            requested = parts.authorities.requested(connection)
            tree, given = read_tree(connection, clock.now())
        return render_template(
            "authorities.html",
            sources=[each for each in known if each.kind == "soa"],
            others=[each for each in known if each.kind != "soa"],
            requested=requested,
            tree=tree,
            given=given,
            most=MOST,
            states=STATES,
            state_kinds=STATE_KINDS,
            statuses=STATUSES,
            kinds=STATUS_KINDS,
            may_delegate=current_operator().has_role(ADMINISTRATOR),
        )

    @pages.get("/<name>")
    @requires_role(*READERS)
    def show(name: str) -> str:
        now = clock.now()
        with database.reading() as connection:
            authority = parts.authorities.load(connection, name)
            held = parts.delegations.held(connection, authority, now)
            ways = [_way(connection, each) for each in held or ()]
            history = parts.authority_states.history(connection, name)
            counts = _counts(connection, name, now)
            lists = _newest_list(connection, name)
            waiting = parts.authority_states.waiting(connection, name)
        operator = current_operator()
        return render_template(
            "authority.html",
            authority=authority,
            ways=None if held is None else ways,
            titles=titles_of(parts),
            events=[_event(parts, row) for row in history],
            counts=counts,
            list=lists,
            now=now,
            waiting=waiting,
            waiting_by=actor_name(parts, waiting["requested_by"]) if waiting else "",
            kind=KINDS[authority.kind],
            states=STATES,
            state_kinds=STATE_KINDS,
            statuses=STATUSES,
            kinds=STATUS_KINDS,
            reasons=REASONS,
            acts=_POSSIBLE[authority.state] if operator.has_role(ADMINISTRATOR) else (),
            act_names=ACTS,
            may_delegate=authority.state == "active" and operator.has_role(ADMINISTRATOR),
        )

    return pages


def _add_acts(pages: Blueprint, parts: Parts) -> None:
    """What an act would change, and the act."""

    @pages.get("/<name>/<any(suspend, resume, revoke):act>")
    @requires_role(ADMINISTRATOR)
    def survey(name: str, act: str) -> str:
        reason, each = request.args.get("reason", ""), bool(request.args.get("each"))
        if act == "revoke" and not reason:
            with parts.context.database.reading() as connection:
                waiting = parts.authority_states.waiting(connection, name)
            if waiting is not None:
                reason, each = waiting["reason"], waiting["each_certificate"]
        if act == "revoke" and reason not in REASONS:
            return render_template("authority_reason.html", name=name, reasons=REASONS)
        return _show_survey(parts, parts.authority_states.survey(name, act, reason=reason, each=each))

    @pages.post("/<name>/<any(suspend, resume, revoke):act>")
    @requires_role(ADMINISTRATOR)
    def confirm(name: str, act: str) -> AnyResponse | tuple[str, int]:
        given = request.form
        reason, each = given.get("reason", ""), bool(given.get("each"))
        shown = parts.authority_states.survey(name, act, reason=reason, each=each)
        if given.get("name", "").strip() != name:
            return _show_survey(parts, shown, error=gettext(_("This is not the name of the authority."))), 422
        try:
            outcome = _do(parts, shown, given.get("content_sha256", ""))
        except AuthorityActError:
            changed = gettext(_("Something has changed since this was shown. Look at it again."))
            return _show_survey(parts, shown, error=changed), 409
        if not outcome.is_done:
            notify(_("On record. Another administrator must confirm it; nothing has changed yet."), "warning")
        elif None in outcome.published.values():
            late = _(
                "Done; it counts here at once. The revocation list could not be published yet and follows."
            )
            notify(late, "warning")
        else:
            notify(_("Done. %(count)s attribute certificates were changed."), count=outcome.changed)
        return redirect(url_for("authorities.show", name=name), 303)


def _do(parts: Parts, shown: Survey, content_sha256: str) -> Outcome:
    states, operator, name = parts.authority_states, current_operator(), shown.authority
    if shown.act == "suspend":
        return states.suspend(name, operator, content_sha256=content_sha256, each=shown.each)
    if shown.act == "resume":
        return states.resume(name, operator, content_sha256=content_sha256)
    return states.revoke(name, operator, content_sha256=content_sha256, reason=shown.reason, each=shown.each)


def _show_survey(parts: Parts, survey: Survey, *, error: str = "") -> str:
    return render_template(
        "authority_act.html",
        survey=survey,
        act=ACTS[survey.act],
        reasons=REASONS,
        kinds=STATUS_KINDS,
        error=error,
        waiting_for=actor_name(parts, survey.waiting_for),
        is_own=survey.waiting_for == current_operator().id,
    )


def _way(connection: Connection, held: Held) -> tuple[Held, Sequence[Record]]:
    return held, [load_certificate(connection, serial) for serial in held.path]


def _counts(connection: Connection, name: str, at: datetime) -> Mapping[str, int]:
    """How many certificates of holders it gave, by their status."""
    is_past = certificates.c.not_after < at
    rows = connection.execute(
        select(certificates.c.state, is_past, func.count())
        .where(certificates.c.authority == name, certificates.c.kind == "grant")
        .group_by(certificates.c.state, is_past)
    )
    found: dict[str, int] = {}
    for state, past, count in rows:
        status = ("expired" if past else "valid") if state == "issued" else state
        found[status] = found.get(status, 0) + count
    return found


def _newest_list(connection: Connection, name: str) -> RowMapping | None:
    chosen = select(acrls.c.number, acrls.c.this_update, acrls.c.next_update)
    chosen = chosen.where(acrls.c.authority == name, acrls.c.acrl_der.is_not(None))
    return connection.execute(chosen.order_by(acrls.c.number.desc()).limit(1)).mappings().first()


def _event(parts: Parts, row: RowMapping) -> dict[str, Any]:
    reason = row["reason"] or ""
    return {
        "title": gettext(STATES[row["state"]]),
        "text": gettext(REASONS[reason]) if reason in REASONS else "",
        "at": row["since"],
        "by": actor_name(parts, row["changed_by"]),
        "kind": STATE_KINDS[row["state"]],
    }
