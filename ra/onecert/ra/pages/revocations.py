"""Pages of the security officer: revoke, hold, release. Two steps: choose, then see what it does and
confirm."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.records import load_application
from onecert.ra.certificates.records import Certificate, search_certificates
from onecert.ra.errors import NotFoundError
from onecert.ra.operators.roles import SECURITY
from onecert.ra.pages.common import new_key, the_operator, the_ra
from onecert.ra.revocation.reasons import HOLD, REASONS, RELEASE
from onecert.server.languages import _, gettext
from onecert.server.web import notify, requires_role

__all__ = ["add_to"]

_CHINA = timezone(timedelta(hours=8))
_ACTS: Mapping[str, str] = {"revoke": "", "hold": HOLD, "release": RELEASE}
_DONE = {
    "revoke": _("The certificate is revoked. Departments refuse it from now on."),
    "hold": _("The certificate is on hold. Departments refuse it until it is released."),
    "release": _("The certificate is released and valid again."),
}


def add_to(pages: Blueprint) -> None:
    """Add them to the pages of certificates. Only security officers come here."""
    pages.add_url_rule("/certificates/<authority>/<serial>/<act>", "change", _change, methods=["GET", "POST"])


@requires_role(SECURITY)
def _change(authority: str, serial: str, act: str) -> AnyResponse | str:
    if act not in _ACTS:
        raise NotFoundError(act[:32])
    ra = the_ra()
    certificate = ra.reach.certificate(the_operator(), authority, serial)
    if request.method == "GET":
        # Hold and release have nothing to choose: their first page is the confirmation.
        return _page(certificate, act, "confirm" if _ACTS[act] else "choose", {}, {})
    reason = _ACTS[act] or request.form.get("reason", "")
    note = request.form.get("note", "").strip()[:500]
    since, errors = _read_since(request.form.get("since", ""), ra.clock.now())
    if not _ACTS[act] and reason not in REASONS:
        errors["reason"] = gettext(_("Choose a reason."))
    if reason == "unspecified" and len(note) < 2:
        errors["note"] = gettext(_("Say in a few words why."))
    if errors:
        return make_response(_page(certificate, act, "choose", request.form, errors), 422)
    if request.form.get("confirmed") != "yes":
        return _page(certificate, act, "confirm", request.form, {})
    revocation = ra.certificates.request_change(
        the_operator(),
        authority,
        certificate.serial_hex,
        reason=reason,
        note=note,
        invalidity_date=since,
        request_key=request.form.get("form_key", "")[:64] or new_key(),
    )
    state = ra.revoking.carry_out(revocation)
    if state == "done":
        notify(_DONE[act])
    elif state == "pending":
        notify(
            _(
                "The request is on record and signed, but the authority could not be reached. It is sent "
                "again until it is answered. Telephone the authority if it is urgent."
            ),
            "warning",
        )
    else:
        notify(_("The authority refused this change; see the life line."), "danger")
    return redirect(url_for("certificates.show", authority=authority, serial=certificate.serial_hex), 303)


def _page(
    certificate: Certificate, act: str, step: str, given: Mapping[str, str], errors: Mapping[str, str]
) -> str:
    ra = the_ra()
    with ra.database.reading() as connection:
        application = load_application(connection, certificate.application_id)
        others: Sequence[Certificate] = ()
        if certificate.uscc:
            others = search_certificates(
                connection, ra.reach.scope(connection, the_operator()), search=certificate.uscc, limit=20
            ).items
    now = ra.clock.now()
    return render_template(
        "ra/revoke.html",
        certificate=certificate,
        application=application,
        status=certificate.shown_status(now),
        act=act,
        step=step,
        reasons=REASONS,
        given=given,
        errors=errors,
        key=given.get("form_key") or new_key(),
        others=[
            other
            for other in others
            if other.serial_hex != certificate.serial_hex and other.shown_status(now) == "good"
        ],
        latest=now.astimezone(_CHINA).strftime("%Y-%m-%dT%H:%M"),
    )


def _read_since(text: str, now: datetime) -> tuple[datetime | None, dict[str, str]]:
    """The time typed at the counter is China's time."""
    if not text.strip():
        return None, {}
    try:
        since = datetime.fromisoformat(text.strip()).replace(tzinfo=_CHINA)
    except ValueError:
        return None, {"since": gettext(_("This is not a date and time."))}
    if since > now:
        return None, {"since": gettext(_("This time lies in the future."))}
    return since, {}
