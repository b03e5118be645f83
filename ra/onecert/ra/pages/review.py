"""The review: a second person reads the application and approves, returns or rejects it."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.duplicates import list_elsewhere
from onecert.ra.applications.records import contributors
from onecert.ra.content.fields import GROUP_NAMES
from onecert.ra.errors import NotFoundError
from onecert.ra.life.machine import State
from onecert.ra.operators.roles import REVIEW
from onecert.ra.pages.common import named_errors, the_operator, the_ra
from onecert.ra.pages.shown import entry_of, grouped_values
from onecert.server.languages import _, gettext
from onecert.server.operators import SamePersonError, check_different_people
from onecert.server.web import notify, requires_role

__all__ = ["add_to"]


def add_to(pages: Blueprint) -> None:
    """Add the review clerk's page and its acts."""
    pages.add_url_rule("/applications/<uuid:application_id>/review", "review", _review)
    pages.add_url_rule("/applications/<uuid:application_id>/judge", "judge", _judge, methods=["POST"])


@requires_role(REVIEW)
def _review(application_id: Any) -> AnyResponse | str:
    ra, operator = the_ra(), the_operator()
    frozen = ra.reach.frozen(operator, str(application_id))
    application = frozen.application
    with ra.database.reading() as connection:
        others = [ra.operators.load(connection, name) for name in contributors(connection, application.id)]
        elsewhere = list_elsewhere(connection, application)
        names = {account.id: account.name for account in ra.operators.all(connection)}
    if application.state is not State.SUBMITTED:
        return redirect(url_for("applications.show", application_id=application.id), 303)
    try:
        for other in others:
            check_different_people(operator, other)
        same_person = None
    except SamePersonError as exc:
        same_person = exc
    outcome = ra.entries.check(entry_of(frozen))
    return render_template(
        "ra/review.html",
        application=application,
        certified=grouped_values(frozen, operator, certified=True),
        kept=grouped_values(frozen, operator, certified=False),
        groups=GROUP_NAMES,
        # The hash of what this page shows, computed from it, and not read from the record.
        shown_sha256=frozen.sha256(outcome.content) if outcome.content else "",
        csr_preview=outcome.request,
        csr_pem=frozen.csr_pem,
        notes=[(note.field, gettext(note.text)) for note in outcome.notes],
        faults=named_errors(outcome.faults),
        elsewhere=elsewhere,
        same_person=same_person,
        names=names,
    )


@requires_role(REVIEW)
def _judge(application_id: Any) -> AnyResponse:
    ra, operator = the_ra(), the_operator()
    wanted, reason = request.form.get("act", ""), request.form.get("reason", "")
    target = str(application_id)
    if wanted == "approve":
        ra.applications.approve(operator, target, content_sha256=request.form.get("content_sha256", "")[:64])
        done = ra.dispatch.carry_out(target)
        if done.state is State.ISSUED:
            notify(_("%(number)s is approved and the certificate is issued."), number=done.number)
        elif done.state is State.REFUSED_BY_CA:
            notify(_("%(number)s was approved, but the authority refused it."), "danger", number=done.number)
        else:
            notify(
                _(
                    "%(number)s is approved. The authority could not be reached yet; "
                    "the order goes out by itself."
                ),
                "warning",
                number=done.number,
            )
    elif wanted == "return":
        done = ra.applications.send_back(operator, target, reason=reason)
        notify(_("%(number)s is returned for correction."), number=done.number)
    elif wanted == "reject":
        done = ra.applications.reject(operator, target, reason=reason)
        notify(_("%(number)s is rejected."), number=done.number)
    else:
        raise NotFoundError(wanted[:32] or "-")
    return redirect(url_for("applications.show", application_id=done.id), 303)
