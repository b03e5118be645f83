"""The renewals of one organisation: what ends soon, ticked, and one button that makes the drafts."""

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.renewing import WINDOW, list_renewable, renew_several
from onecert.ra.errors import NotFoundError
from onecert.ra.operators.roles import ENTRY
from onecert.ra.pages.common import new_key, the_operator, the_ra
from onecert.server.languages import _, gettext, ngettext
from onecert.server.web import notify, requires_role

__all__ = ["add_to"]


def add_to(pages: Blueprint) -> None:
    """Add the page; it is named by one certificate of the organisation."""
    pages.add_url_rule(
        "/certificates/<authority>/<serial>/renewals", "renew_all", _renew_all, methods=["GET", "POST"]
    )


@requires_role(ENTRY)
def _renew_all(authority: str, serial: str) -> AnyResponse | str:
    ra, operator = the_ra(), the_operator()
    certificate = ra.reach.certificate(operator, authority, serial)
    before = ra.reach.frozen(operator, certificate.application_id)
    uscc = before.values.get("uscc", "")
    if not uscc:
        raise NotFoundError(serial[:40])
    now = ra.clock.now()
    with ra.database.reading() as connection:
        items = list_renewable(connection, ra.reach.scope(connection, operator), uscc, at=now)
    if request.method == "POST":
        ticked = set(request.form.getlist("certificate"))
        wanted = [
            (item.authority, item.serial_hex)
            for item in items
            if f"{item.authority}/{item.serial_hex}" in ticked and item.not_after - now <= WINDOW
        ]
        made, refused = renew_several(
            ra.applications,
            ra.reach,
            operator,
            wanted,
            request_key=request.form.get("form_key", "") or new_key(),
            consent_version=ra.entries.findings.texts.present,
        )
        if made:
            notify(
                ngettext(
                    "%(count)s draft of a renewal is made.",
                    "%(count)s drafts of renewals are made.",
                    len(made),
                )
            )
        for each, why in refused:
            notify(_("%(name)s: %(why)s"), "warning", name=each.name, why=gettext(why.text, **why.facts))
        if not wanted:
            notify(_("Nothing was ticked."), "warning")
        return redirect(url_for("applications.renew_all", authority=authority, serial=serial), 303)
    return render_template(
        "ra/renew_all.html",
        certificate=certificate,
        name=before.values.get("organization_name", ""),
        uscc=uscc,
        items=items,
        is_any_open=any(item.is_open(now) for item in items),
        now=now,
        opens=lambda item: item.not_after - WINDOW,
        key=new_key(),
    )
