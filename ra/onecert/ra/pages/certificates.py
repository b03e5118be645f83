"""Pages of certificates: list, one certificate with its life line, its status in the world and where it is
relied on, downloads."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.records import Application, Event, list_events, load_application
from onecert.ra.ca.errors import CaRefusedError, CaUnreachableError
from onecert.ra.cases.records import Case
from onecert.ra.certificates.kin import list_cases_about, list_kin
from onecert.ra.certificates.records import (
    Certificate,
    Revocation,
    list_revocations,
    newest_certificates,
)
from onecert.ra.errors import NotFoundError
from onecert.ra.operators.roles import SECURITY
from onecert.ra.pages import revocations, watch
from onecert.ra.pages.common import lifeline, the_operator, the_ra
from onecert.ra.pages.search import find
from onecert.ra.revocation.reasons import REASON_NAMES, RELEASE
from onecert.server.errors import ServiceError
from onecert.server.languages import _, format_datetime, gettext

__all__ = ["blueprint"]


def blueprint() -> Blueprint:
    """Everybody who is signed in may look; what changes a certificate is in revocations.py."""
    pages = Blueprint("certificates", __name__)
    pages.add_url_rule("/certificates", "index", _list, methods=["GET", "POST"])
    pages.add_url_rule("/certificates/<authority>/<serial>", "show", _show)
    pages.add_url_rule("/certificates/<authority>/<serial>/world", "world", _world)
    pages.add_url_rule("/certificates/<authority>/<serial>.pem", "download", _download)
    watch.add_to(pages)
    revocations.add_to(pages)
    return pages


def _list() -> AnyResponse | str:
    """The newest certificates; what is asked for goes the way of the search."""
    if (request.form if request.method == "POST" else request.args).get("q", "").strip():
        return find()
    ra = the_ra()
    with ra.database.reading() as connection:
        page = newest_certificates(
            connection, ra.reach.scope(connection, the_operator()), cursor=request.args.get("cursor")
        )
    return render_template("ra/certificates.html", page=page, at=ra.clock.now())


def _show(authority: str, serial: str) -> str:
    ra, operator = the_ra(), the_operator()
    certificate = ra.reach.certificate(operator, authority, serial)
    ca_problem: ServiceError | None = None
    try:
        certificate = ra.revoking.refresh(authority, certificate.serial_hex)
    except (CaUnreachableError, CaRefusedError) as exc:
        ca_problem = exc
    with ra.database.reading() as connection:
        application = _application(connection, certificate)
        changes = list_revocations(connection, authority, certificate.serial_hex)
        names = {account.id: account.name for account in ra.operators.all(connection)}
        cases = list_cases_about(connection, authority, certificate.serial_hex)
        kin = list_kin(connection, ra.reach.scope(connection, operator), certificate, application)
        life = _life(
            connection,
            certificate,
            application,
            changes=changes,
            cases=cases,
            names=names,
            at=ra.clock.now(),
        )
    now = ra.clock.now()
    return render_template(
        "ra/certificate.html",
        certificate=certificate,
        application=application,
        status=certificate.shown_status(now),
        ca_problem=ca_problem,
        pending=[change for change in changes if change.state == "pending"],
        changes=changes,
        cases=cases,
        kin=kin,
        events=life,
        may_change=operator.has_role(SECURITY),
        world=_looked(certificate, now) if request.args.get("world") else None,
        departments=ra.config.departments,
        at=now,
    )


def _world(authority: str, serial: str) -> str:
    """The part of the page that asks outside; it waits for nobody but itself."""
    ra = the_ra()
    certificate = ra.reach.certificate(the_operator(), authority, serial)
    return render_template(
        "ra/certificate_world.html",
        certificate=certificate,
        world=_looked(certificate, ra.clock.now()),
        departments=ra.config.departments,
    )


def _looked(certificate: Certificate, at: datetime) -> dict[str, Any]:
    ra = the_ra()
    return {
        "sightings": ra.world.look(certificate.certificate_pem, certificate.chain_pem, at=at),
        "verifier": ra.relying.look(certificate.certificate_pem, at=at),
        "accepted": ra.relying.accepted(certificate.certificate_pem, certificate.chain_pem, at=at),
        "at": at,
    }


def _application(connection: Connection, certificate: Certificate) -> Application | None:
    """None: it was cleared away after its time, the certificate is still on record."""
    try:
        return load_application(connection, certificate.application_id)
    except NotFoundError:
        return None


def _life(
    connection: Connection,
    certificate: Certificate,
    application: Application | None,
    *,
    changes: Sequence[Revocation],
    cases: Sequence[Case],
    names: Mapping[str, str],
    at: datetime,
) -> list[dict[str, Any]]:
    """From the application to the end of validity, in order of time: who did what, by which certificate."""
    found = _told(list_events(connection, application.id), names) if application else []
    for case in cases:
        told = _told(list_events(connection, case.id), names)
        for event in told:
            event["title"] = gettext(
                _("Case %(number)s: %(event)s"), number=case.number, event=event["title"]
            )
        found += told
    for change in changes:
        found += _of_change(certificate, change, names)
    found.sort(key=lambda event: event["at"])
    is_over = certificate.not_after <= at
    end = {
        "at": certificate.not_after if is_over else None,
        "title": gettext(_("End of validity")),
        "text": "" if is_over else format_datetime(certificate.not_after),
        "kind": "neutral",
    }
    return [*found, end]


def _told(events: Sequence[Event], names: Mapping[str, str]) -> list[dict[str, Any]]:
    told = lifeline(events, names)
    for shown, event in zip(told, events, strict=True):
        shown["by"] = _by(shown["by"], event.certificate_sha256)
    return told


def _by(name: str, certificate_sha256: str | None) -> str:
    """The operator, and the certificate that the connection proved."""
    if not certificate_sha256:
        return name
    return gettext(_("%(name)s, certificate %(sha256)s…"), name=name, sha256=certificate_sha256[:12])


def _of_change(
    certificate: Certificate, change: Revocation, names: Mapping[str, str]
) -> list[dict[str, Any]]:
    kinds = {"pending": "warning", "done": "danger", "refused": "neutral"}
    reason = gettext(REASON_NAMES.get(change.reason, change.reason))
    told: list[dict[str, Any]] = [
        {
            "at": change.created_at,
            "title": gettext(_("%(change)s requested"), change=reason),
            "text": change.note,
            "by": _by(names.get(change.requested_by, change.requested_by), change.certificate_sha256),
            "kind": "info",
            "url": url_for(
                "certificates.watch",
                authority=certificate.authority,
                serial=certificate.serial_hex,
                revocation_id=change.id,
            ),
        }
    ]
    if change.answered_at:
        done = _("Carried out by the authority") if change.state == "done" else _("Refused by the authority")
        text = change.last_error or ""
        if change.crl_number:
            text = gettext(_("Revocation list number %(number)s"), number=change.crl_number)
        kind = "success" if change.reason == RELEASE else kinds[change.state]
        told.append({"at": change.answered_at, "title": gettext(done), "text": text, "by": "", "kind": kind})
    return told


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
