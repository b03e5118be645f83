"""The hand-over of a certificate, and one-time codes for applicants: pages of media and entry clerks."""

import base64
from io import BytesIO
from typing import Any

import segno
from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.certificates.records import find_by_application
from onecert.ra.delivery.codes import FETCH, KEY, Codes, shown_code
from onecert.ra.delivery.handing import DOCUMENTS, Delivery, GivenCode, Recipient
from onecert.ra.errors import NotFoundError, RecipientInvalidError
from onecert.ra.keys.origins import ORIGIN_NAMES, find_origin
from onecert.ra.life.machine import Act, acts_possible
from onecert.ra.operators.roles import ENTRY, MEDIA
from onecert.ra.pages.common import the_operator, the_ra
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.web import notify, requires_role

__all__ = ["blueprint"]


def blueprint() -> Blueprint:
    """The hand-over and the codes."""
    pages = Blueprint("delivery", __name__)
    path = "/applications/<uuid:application_id>"
    pages.add_url_rule(f"{path}/hand-over", "show", _show)
    pages.add_url_rule(f"{path}/hand-over", "hand_over", _hand_over, methods=["POST"])
    pages.add_url_rule(f"{path}/code", "code", _code, methods=["POST"])
    return pages


@requires_role(MEDIA, ENTRY)
def _show(application_id: Any) -> str:
    return _page(str(application_id), {}, {})


def _page(application_id: str, values: dict[str, str], errors: dict[str, str]) -> str:
    ra, operator = the_ra(), the_operator()
    application = ra.reach.application(operator, application_id)
    with ra.database.reading() as connection:
        certificate = find_by_application(connection, application_id)
        origin = find_origin(connection, application_id, application.key_sha256)
        standing = {purpose: Codes.standing(connection, application_id, purpose) for purpose in (FETCH, KEY)}
        delivered = Delivery.find(connection, application_id)
        names = {account.id: account.name for account in ra.operators.all(connection)}
    acts = acts_possible(application.business, application.state, operator.roles)
    return render_template(
        "ra/hand_over.html",
        application=application,
        certificate=certificate,
        origin=origin,
        origin_names=ORIGIN_NAMES,
        standing=standing,
        delivered=delivered,
        names=names,
        documents=[(name, gettext(text)) for name, text in DOCUMENTS.items()],
        document_names={name: gettext(text) for name, text in DOCUMENTS.items()},
        may_hand_over=Act.DELIVER in acts,
        may_give_key_code=Act.BRING_KEY in acts and ra.delivery.may_make_key_in_browser(application.kind),
        values=values,
        errors=errors,
        address=ra.code_mails.find_address(operator, application_id) if Act.DELIVER in acts else None,
        at=ra.clock.now(),
    )


@requires_role(MEDIA)
def _hand_over(application_id: Any) -> AnyResponse | str:
    ra, operator, form = the_ra(), the_operator(), request.form
    recipient = Recipient(
        name=form.get("name", "")[:128],
        document_type=form.get("document_type", ""),
        document_number=form.get("document_number", "")[:64],
    )
    how = form.get("how", "counter")
    try:
        done = ra.delivery.hand_over(operator, str(application_id), recipient, how=how)
    except RecipientInvalidError as refused:
        text = f"{gettext(refused.text)} {gettext(refused.hint)}"
        typed = {"name": recipient.name, "document_type": recipient.document_type, "how": how}
        typed["document_number"] = recipient.document_number
        page = _page(str(application_id), typed, {str(refused.facts["name"]): text})
        return make_response(page, refused.status)
    ra.dispatch.tell_delivery(done.order_id)
    notify(_("%(number)s is handed over."), number=done.number)
    return redirect(url_for("applications.show", application_id=done.id), 303)


@requires_role(MEDIA, ENTRY)
def _code(application_id: Any) -> str:
    """Make a code and show it, this once; opening the page again shows none."""
    ra, operator = the_ra(), the_operator()
    purpose = request.form.get("purpose", "")
    if purpose == FETCH:
        given = ra.delivery.give_fetch_code(operator, str(application_id))
        if request.form.get("mail") == "yes":
            return _code_page(given, *_mail(given))
    elif purpose == KEY:
        given = ra.delivery.give_key_code(operator, str(application_id))
    else:
        raise NotFoundError(purpose[:16] or "-")
    return _code_page(given)


def _mail(given: GivenCode) -> tuple[str, bool]:
    """Where its mail goes, and whether it does; the code itself is valid whatever becomes of the mail."""
    ra = the_ra()
    to = ra.code_mails.find_address(the_operator(), given.application.id)
    if to is None:
        return "", True
    try:
        ra.code_mails.send(to, given)
    except ServiceError:
        return "", True
    return to, False


def _code_page(given: GivenCode, mailed_to: str = "", has_mail_failed: bool = False) -> str:
    endpoint = "public.fetch" if given.purpose == FETCH else "public.key"
    address = url_for(endpoint, number=given.application.number, _external=True)
    picture = BytesIO()
    # The address alone: a code in a picture would lie about in photographs.
    segno.make(address, error="m", micro=False).save(picture, kind="svg", scale=4, border=2, xmldecl=False)
    return render_template(
        "ra/code.html",
        application=given.application,
        purpose=given.purpose,
        code=shown_code(given.code),
        until=given.until,
        address=address,
        mailed_to=mailed_to,
        has_mail_failed=has_mail_failed,
        picture="data:image/svg+xml;base64," + base64.b64encode(picture.getvalue()).decode(),
    )
