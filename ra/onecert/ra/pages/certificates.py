"""Pages of certificates: search, one certificate with its life line and its status in the world,
downloads."""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.records import list_events, load_application
from onecert.ra.ca.errors import CaRefusedError, CaUnreachableError
from onecert.ra.certificates.records import (
    Certificate,
    list_revocations,
    search_certificates,
)
from onecert.ra.operators.roles import SECURITY
from onecert.ra.pages import revocations
from onecert.ra.pages.common import find_idcard, lifeline, the_operator, the_ra
from onecert.ra.revocation.reasons import REASON_NAMES, RELEASE
from onecert.server.errors import ServiceError
from onecert.server.languages import _, format_datetime, gettext

__all__ = ["blueprint"]


def blueprint() -> Blueprint:
    """Everybody who is signed in may look; what changes a certificate is in revocations.py."""
    pages = Blueprint("certificates", __name__)
    pages.add_url_rule("/certificates", "index", _search, methods=["GET", "POST"])
    pages.add_url_rule("/certificates/<authority>/<serial>", "show", _show)
    pages.add_url_rule("/certificates/<authority>/<serial>.pem", "download", _download)
    revocations.add_to(pages)
    return pages


def _search() -> AnyResponse | str:
    """A search for an id-card number is answered in place, so that the number is in no address."""
    operator = the_operator()
    search = (request.form if request.method == "POST" else request.args).get("q", "").strip()[:128]
    idcard = find_idcard(search)
    if request.method == "POST" and idcard is None:
        return redirect(url_for("certificates.index", q=search or None), 303)
    ra = the_ra()
    hashed = ra.vault.idcard_hmac(idcard) if idcard and request.method == "POST" else None
    with ra.database.reading() as connection:
        page = search_certificates(
            connection,
            ra.reach.scope(connection, operator),
            search="" if idcard else search,
            idcard_hmac=hashed,
            cursor=request.args.get("cursor"),
        )
    return render_template(
        "ra/certificates.html",
        page=page,
        search="" if idcard else search,
        searched=bool(search),
        at=ra.clock.now(),
    )


def _show(authority: str, serial: str) -> str:
    ra, operator = the_ra(), the_operator()
    certificate = ra.reach.certificate(operator, authority, serial)
    ca_problem: ServiceError | None = None
    try:
        certificate = ra.revoking.refresh(authority, certificate.serial_hex)
    except (CaUnreachableError, CaRefusedError) as exc:
        ca_problem = exc
    with ra.database.reading() as connection:
        application = load_application(connection, certificate.application_id)
        events = list_events(connection, application.id)
        changes = list_revocations(connection, authority, certificate.serial_hex)
        names = {account.id: account.name for account in ra.operators.all(connection)}
    now = ra.clock.now()
    sightings = ra.world.look(certificate.certificate_pem, certificate.chain_pem, at=now)
    return render_template(
        "ra/certificate.html",
        certificate=certificate,
        application=application,
        status=certificate.shown_status(now),
        sightings=sightings,
        ca_problem=ca_problem,
        pending=[change for change in changes if change.state == "pending"],
        events=_life(certificate, lifeline(events, names), changes, names, at=now),
        may_change=operator.has_role(SECURITY),
        at=now,
    )


def _life(
    certificate: Certificate,
    before: list[dict[str, Any]],
    changes: Any,
    names: dict[str, str],
    *,
    at: datetime,
) -> list[dict[str, Any]]:
    """From the application to the end of validity, in order."""
    kinds = {"pending": "warning", "done": "danger", "refused": "neutral"}
    for change in changes:
        before.append(
            {
                "at": change.created_at,
                "title": gettext(
                    _("%(change)s requested"), change=REASON_NAMES.get(change.reason, change.reason)
                ),
                "text": change.note,
                "by": names.get(change.requested_by, change.requested_by),
                "kind": "info",
            }
        )
        if change.answered_at:
            is_done = change.state == "done"
            done = _("Carried out by the authority") if is_done else _("Refused by the authority")
            text = change.last_error or ""
            if change.crl_number:
                text = gettext(_("Revocation list number %(number)s"), number=change.crl_number)
            before.append(
                {
                    "at": change.answered_at,
                    "title": gettext(done),
                    "text": text,
                    "by": "",
                    "kind": "success" if change.reason == RELEASE else kinds[change.state],
                }
            )
    is_over = certificate.not_after <= at
    end = {
        "at": certificate.not_after if is_over else None,
        "title": gettext(_("End of validity")),
        "text": "" if is_over else format_datetime(certificate.not_after),
        "kind": "neutral",
    }
    return [*before, end]


def _download(authority: str, serial: str) -> Response:
    """The certificate, or with `?chain=1` the certificate and the ones above it, in PEM."""
    certificate = the_ra().reach.certificate(the_operator(), authority, serial)
    pem, name = certificate.certificate_pem, f"{authority}-{certificate.serial_hex}"
    if request.args.get("chain"):
        pem, name = pem.rstrip() + "\n" + certificate.chain_pem, name + "-chain"
    return Response(
        pem,
        mimetype="application/x-pem-file",
        headers={"Content-Disposition": f'attachment; filename="{name}.pem"'},
    )
