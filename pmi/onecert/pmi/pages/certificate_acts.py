"""What is done with one attribute certificate: revoked, held, released, renewed, bound anew."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.errors import PmiError, RequestWrongError
from onecert.pmi.grants.acts import APPROVER, OFFICER
from onecert.pmi.grants.request import Grant
from onecert.pmi.life.revocation import REVOKERS
from onecert.pmi.pages.certificate_shown import show_certificate
from onecert.pmi.pages.common import (
    HOLDER_WORDS,
    attribute_names,
    end_of_day,
    error_text,
    read_certificate,
    shown_attributes,
    titles_of,
)
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import Record
from onecert.pmi.status.acrl import Acrl
from onecert.server.languages import _, gettext
from onecert.server.web import current_operator, notify, requires_role
from onecert.verifier.errors import VerifyError

__all__ = ["add_certificate_acts"]


def add_certificate_acts(pages: Blueprint, parts: Parts) -> None:
    """Add the acts to the pages of attribute certificates."""
    _add_successors(pages, parts)

    @pages.post("/<serial>/revoke")
    @requires_role(*REVOKERS)
    def revoke(serial: str) -> AnyResponse:
        reason = request.form.get("reason", "")
        record, acrl = parts.revocations.revoke(serial, reason=reason, operator=current_operator())
        return _done(record, acrl, _("Revoked. The revocation list %(number)s says so now."))

    @pages.post("/<serial>/hold")
    @requires_role(*REVOKERS)
    def hold(serial: str) -> AnyResponse:
        record, acrl = parts.revocations.hold(serial, operator=current_operator())
        return _done(record, acrl, _("On hold. The revocation list %(number)s says so now."))

    @pages.post("/<serial>/release")
    @requires_role(OFFICER, APPROVER)
    def release(serial: str) -> AnyResponse:
        record, acrl = parts.revocations.release(serial, operator=current_operator())
        return _done(record, acrl, _("It counts again. The revocation list %(number)s says so now."))


def _add_successors(pages: Blueprint, parts: Parts) -> None:
    """Renewal, and binding to a newer certificate of the holder."""

    @pages.post("/<serial>/renew")
    @requires_role(OFFICER)
    def renew(serial: str) -> AnyResponse | str | tuple[str, int]:
        given = request.form
        try:
            until = end_of_day(given.get("until", ""))
            if given.get("act") != "send":
                grant = parts.renewals.preview(serial, current_operator(), until=until)
                return _show_renewal(parts, grant, serial)
            renewed = parts.renewals.renew(
                serial, current_operator(), until=until, supersede=bool(given.get("supersede"))
            )
        except (PmiError, VerifyError) as exc:
            wrong = exc.facts.get("reason") if isinstance(exc, RequestWrongError) else None
            text = gettext(str(wrong)) if wrong else error_text(exc)
            return show_certificate(parts, serial, errors={"until": text}), 422
        if renewed.grant.serial:
            notify(_("Renewed: a new attribute certificate was issued."))
        else:
            notify(_("The renewal is on record and waits for the approval of a second person."), "info")
        return redirect(url_for("grants.show", grant_id=renewed.grant.id), 303)

    @pages.post("/<serial>/rebind")
    @requires_role(OFFICER)
    def rebind(serial: str) -> AnyResponse | tuple[str, int]:
        try:
            grant = parts.rebindings.rebind(serial, read_certificate("newer").encode(), current_operator())
        except (PmiError, VerifyError) as exc:
            wrong = exc.facts.get("reason") if isinstance(exc, RequestWrongError) else None
            text = gettext(str(wrong)) if wrong else error_text(exc)
            return show_certificate(parts, serial, errors={"newer_pem": text}), 422
        if grant.serial:
            notify(_("Bound to the newer certificate; the old attribute certificate ends."))
        else:
            notify(_("It is on record and waits for the approval of a second person."), "info")
        return redirect(url_for("grants.show", grant_id=grant.id), 303)


def _done(record: Record, acrl: Acrl | None, text: str) -> AnyResponse:
    """Tell what was done, and whether the list says so already."""
    if acrl is None:
        late = _("Done; it counts here at once. The revocation list could not be published yet and follows.")
        notify(late, "warning")
    else:
        notify(text, number=acrl.number)
    return redirect(url_for("certificates.show", serial=record.serial), 303)


def _show_renewal(parts: Parts, grant: Grant, serial: str) -> str:
    return render_template(
        "renewal_preview.html",
        grant=grant,
        serial=serial,
        given=request.form,
        attributes=shown_attributes(grant.attributes, titles_of(parts), attribute_names(parts)),
        holder_words=HOLDER_WORDS[grant.holder_form],
        now=parts.context.clock.now(),
    )
