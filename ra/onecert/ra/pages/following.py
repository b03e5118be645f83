"""Renew, change and replace, from a certificate's page: the form of before, and a new key.

What stands in the certificate stays in a renewal and a replacement; in a change what differs is marked. The
old certificate ends as `applications/following.py` says. A renewal in the last month is a new request and one
button.
"""

from typing import Any

from flask import Blueprint, make_response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.following import REASONS, Followed, check_followed, kept_faults
from onecert.ra.applications.renewing import WINDOW
from onecert.ra.certificates.records import Certificate
from onecert.ra.errors import FollowRefusedError, NotFoundError
from onecert.ra.life.machine import BUSINESS_NAMES, Business, State
from onecert.ra.operators.roles import ENTRY
from onecert.ra.pages import form_shown, forms, scans
from onecert.ra.pages.common import new_key, the_operator, the_ra
from onecert.ra.revocation.reasons import REASON_NAMES
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.web import notify, requires_role

__all__ = ["add_to", "follow_links"]


def add_to(pages: Blueprint) -> None:
    """Add the form of what follows a certificate, and the links to it."""
    pages.add_url_rule(
        "/certificates/<authority>/<serial>/follow/<business>", "follow", _follow, methods=["GET", "POST"]
    )
    pages.record_once(lambda state: state.app.jinja_env.globals.update(follow_links=follow_links))


def follow_links(certificate: Certificate) -> list[tuple[str, str]]:
    """Word and address of each business that can follow this certificate now, for who enters it."""
    if not the_operator().has_role(ENTRY):
        return []
    links = []
    for business in REASONS:
        try:
            check_followed(business, certificate)
        except FollowRefusedError:
            continue
        address = url_for(
            "applications.follow",
            authority=certificate.authority,
            serial=certificate.serial_hex,
            business=business.value,
        )
        links.append((gettext(BUSINESS_NAMES[business]), address))
    return links


@requires_role(ENTRY)
def _follow(authority: str, serial: str, business: str) -> AnyResponse | str:
    ra, operator = the_ra(), the_operator()
    if business not in {each.value for each in REASONS}:
        raise NotFoundError(business[:32])
    wanted = Business(business)
    certificate = ra.reach.certificate(operator, authority, serial)
    check_followed(wanted, certificate)
    before = ra.reach.frozen(operator, certificate.application_id)
    followed: dict[str, Any] = {
        "business": wanted,
        "certificate": certificate,
        "number": before.application.number,
        "before": before.application.id,
        "values": before.values,
        "reasons": [(reason, gettext(REASON_NAMES[reason])) for reason in REASONS[wanted]],
        "is_early": wanted is Business.RENEW and certificate.not_after - ra.clock.now() > WINDOW,
        "early": request.form.get("early", "")[:200],
        "reason": request.form.get("follow_reason", ""),
    }
    kind = before.application.kind
    if request.method == "GET":
        values = {**before.values}
        if values.get("consent_version") != ra.entries.findings.texts.present:
            values.pop("consent", None)
        return form_shown.page(kind, certificate.authority, values, "", key=new_key(), followed=followed)
    entry = forms.read_entry(kind, certificate.authority)
    collision: ServiceError | None = None
    outcome = ra.entries.check(entry)
    if faults := kept_faults(wanted, kind, outcome.values, before.values):
        outcome = forms.with_faults(outcome, faults)
    sent = scans.read()
    # Files belong to a draft: it is kept with its faults, which the form of the draft shows.
    if sent or request.form.get("act") == "save" or outcome.content is not None:
        try:
            said = Followed.of(wanted, certificate, followed["reason"], early=followed["early"])
            made = ra.applications.follow(
                operator, said, entry, request_key=request.form.get("form_key", "")[:64] or new_key()
            )
            if made.state is State.DRAFT:
                for name, text, _hint in scans.keep(made, sent):
                    notify(_("%(name)s was not kept: %(why)s"), "warning", name=name, why=text)
            return forms.done(made)
        except FollowRefusedError as refused:
            collision = refused
    page = form_shown.page(
        kind,
        certificate.authority,
        entry.fields,
        entry.csr if isinstance(entry.csr, str) else "",
        key=request.form.get("form_key", "")[:64],
        outcome=outcome,
        collision=collision,
        followed=followed,
    )
    return make_response(page, 409 if collision else 422)
