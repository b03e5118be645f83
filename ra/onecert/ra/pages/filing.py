"""Filing the papers: an archive clerk ticks what is there and writes down where it lies."""

from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.errors import FilingInvalidError
from onecert.ra.evidence import records as evidence
from onecert.ra.evidence.materials import materials_of
from onecert.ra.life.machine import Act, acts_possible
from onecert.ra.operators.roles import ARCHIVE
from onecert.ra.pages.common import the_operator, the_ra
from onecert.ra.review.filing import Filing
from onecert.server.languages import _, gettext
from onecert.server.web import notify, requires_role

__all__ = ["add_to"]


def add_to(pages: Blueprint) -> None:
    """Add it to the pages of applications."""
    pages.add_url_rule(
        "/applications/<uuid:application_id>/filing", "filing", _filing, methods=["GET", "POST"]
    )


@requires_role(ARCHIVE)
def _filing(application_id: Any) -> AnyResponse | str:
    ra, operator, target = the_ra(), the_operator(), str(application_id)
    application = ra.reach.application(operator, target)
    error = ""
    if request.method == "POST":
        filing = Filing(
            place=request.form.get("place", "")[:1000],
            papers=request.form.getlist("papers"),
            note=request.form.get("note", "")[:2000],
        )
        try:
            done = ra.applications.archive(operator, target, filing=filing)
        except FilingInvalidError as exc:
            error = gettext(exc.text, **exc.facts) + " " + gettext(exc.hint, **exc.facts)
        else:
            notify(_("%(number)s is filed under %(place)s."), number=done.number, place=filing.place.strip())
            return redirect(url_for("applications.index", queue="filing"), 303)
    if not error and Act.ARCHIVE not in acts_possible(
        application.business, application.state, operator.roles
    ):
        return redirect(url_for("applications.show", application_id=application.id), 303)
    with ra.database.reading() as connection:
        scanned = {material for material, _sha256 in evidence.frozen(connection, application.id)}
    page = render_template(
        "ra/filing.html",
        application=application,
        papers=[
            (material.name, gettext(material.label))
            for material in materials_of(application.business, application.kind)
        ],
        given=request.form,
        ticked=request.form.getlist("papers") if error else scanned,
        error=error,
    )
    return make_response(page, 422) if error else page
