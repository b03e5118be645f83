"""Pages of the clerks: one application with its life line, and the way to queue, forms and review."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.duplicates import list_elsewhere
from onecert.ra.applications.records import Frozen, list_events, load_frozen
from onecert.ra.certificates.records import find_by_application
from onecert.ra.content.fields import GROUP_NAMES
from onecert.ra.errors import EvidenceMissingError, InvalidApplicationError, NotFoundError
from onecert.ra.evidence.materials import MATERIALS
from onecert.ra.life.machine import Act, State, acts_possible
from onecert.ra.operators.roles import ENTRY
from onecert.ra.orders.standing import find_order
from onecert.ra.pages import filing, following, forms, queue, renewing, review, typing
from onecert.ra.pages.common import lifeline, named_errors, the_operator, the_ra
from onecert.ra.pages.review import named_remarks, same_person
from onecert.ra.pages.shown import entry_of, findings_shown, grouped_values
from onecert.ra.review.filing import find_filing
from onecert.ra.review.picks import REVIEWS
from onecert.ra.review.remarks import last_return
from onecert.server.errors import ServiceError
from onecert.server.languages import _
from onecert.server.web import notify, requires_role

__all__ = ["blueprint"]


def blueprint() -> Blueprint:
    """The clerks' pages."""
    pages = Blueprint("applications", __name__)
    queue.add_to(pages)
    forms.add_to(pages)
    following.add_to(pages)
    renewing.add_to(pages)
    typing.add_to(pages)
    pages.add_url_rule("/applications/<uuid:application_id>", "show", _show)
    pages.add_url_rule("/applications/<uuid:application_id>/act", "act", _act, methods=["POST"])
    review.add_to(pages)
    filing.add_to(pages)
    return pages


def _show(application_id: Any) -> str:
    ra, operator = the_ra(), the_operator()
    application = ra.reach.application(operator, str(application_id))
    with ra.database.reading() as connection:
        events = list_events(connection, application.id)
        certificate = find_by_application(connection, application.id)
        order = find_order(connection, application.order_id)
        names = {account.id: account.name for account in ra.operators.all(connection)}
        elsewhere = list_elsewhere(
            connection, application, ra.reach.scope(connection, operator), at=ra.clock.now()
        )
        returned = last_return(connection, application.id)
        filed = find_filing(connection, application.id)
        frozen, problem = _unsealed(application.id)
    acts = acts_possible(application.business, application.state, operator.roles)
    outcome = ra.entries.check(entry_of(frozen)) if frozen else None
    return render_template(
        "ra/application.html",
        application=application,
        rows=grouped_values(frozen, operator) if frozen else [],
        found=findings_shown(frozen) if frozen else None,
        groups=GROUP_NAMES,
        problem=problem,
        events=lifeline(events, names),
        certificate=certificate,
        order=order,
        elsewhere=elsewhere,
        acts=acts,
        reviewed_by_others=application.state in REVIEWS and same_person(operator, application) is not None,
        keys_in_browser=ra.delivery.may_make_key_in_browser(application.kind),
        Act=Act,
        csr_preview=outcome.request if outcome else None,
        faults=named_errors(outcome.faults) if outcome and application.state in queue.TO_ENTER else {},
        at=ra.clock.now(),
        names=names,
        returned_remarks=named_remarks(returned) if application.state is State.RETURNED else [],
        filed=filed,
        materials=MATERIALS,
    )


def _unsealed(application_id: str) -> tuple[Frozen | None, ServiceError | None]:
    """The personal part; while the token is away the page shows the rest and says so."""
    ra = the_ra()
    try:
        with ra.database.reading() as connection:
            return load_frozen(connection, ra.vault, application_id), None
    except ServiceError as exc:
        if exc.is_refusal:
            raise
        return None, exc


@requires_role(ENTRY)
def _act(application_id: Any) -> AnyResponse:
    """Submit, withdraw or take up again, from the application's own page."""
    ra, operator, wanted = the_ra(), the_operator(), request.form.get("act", "")
    if wanted == "withdraw":
        done = ra.applications.withdraw(operator, str(application_id))
        notify(_("%(number)s is withdrawn."), number=done.number)
    elif wanted == "reopen":
        done = ra.applications.reopen(operator, str(application_id))
        notify(_("%(number)s can be corrected now."), number=done.number)
        return redirect(url_for("applications.edit", application_id=done.id), 303)
    elif wanted == "submit":
        try:
            done = ra.applications.submit(operator, str(application_id))
        except InvalidApplicationError:
            return redirect(url_for("applications.edit", application_id=application_id), 303)
        except EvidenceMissingError as exc:
            notify(exc.text, "warning", **exc.facts)
            return redirect(url_for("evidence.of_application", record_id=application_id), 303)
        notify(_("%(number)s is submitted. A second person reviews it now."), number=done.number)
    else:
        raise NotFoundError(wanted[:32] or "-")
    return redirect(url_for("applications.show", application_id=done.id), 303)
