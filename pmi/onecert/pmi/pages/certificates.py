"""Attribute certificates: found, read, downloaded, revoked.

A name or a number of a person is asked for by POST and answered in place, so that it stands in no address;
serial numbers and hashes get an address that can be opened again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.errors import CertificateUnknownError
from onecert.pmi.grants.acts import APPROVER, OFFICER
from onecert.pmi.life.revocation import REASONS
from onecert.pmi.pages.common import (
    HOLDER_FORMS,
    PER_PAGE,
    READERS,
    STATUS_KINDS,
    actor_name,
    attribute_names,
    page_count,
    page_number,
    shown_attributes,
    titles_of,
)
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import STATUSES, Record, Search, find_certificates, load_certificate
from onecert.pmi.rest.certificates import pem
from onecert.server.languages import _, gettext
from onecert.server.web import current_operator, notify, requires_role

__all__ = ["blueprint"]

_HEX = re.compile(r"[0-9a-fA-F]{12,64}")


def blueprint(parts: Parts) -> Blueprint:
    """The pages of attribute certificates."""
    pages = Blueprint("certificates", __name__, url_prefix="/attribute-certificates")
    database, clock = parts.context.database, parts.context.clock

    @pages.route("", methods=["GET", "POST"])
    @requires_role(*READERS)
    def index() -> AnyResponse | str:
        given = request.form if request.method == "POST" else request.args
        search = _read_search(given)
        is_personal = bool(search.holder) and not _HEX.fullmatch(search.holder)
        if is_personal and request.method == "GET":
            # Somebody wrote it into the address: it is not repeated, and not answered from there.
            return redirect(url_for("certificates.index"), 303)
        if request.method == "POST" and not is_personal:
            wanted = {name: getattr(search, name) or None for name in _ASKED}
            return redirect(url_for("certificates.index", **wanted), 303)
        now = clock.now()
        with database.reading() as connection:
            found, total = find_certificates(connection, search, now)
            names = [authority.name for authority in parts.authorities.all(connection)]
        page = make_response(
            render_template(
                "certificates.html",
                records=found,
                total=total,
                search=search,
                is_personal=is_personal,
                page_count=page_count(total),
                names=names,
                statuses=STATUSES,
                kinds=STATUS_KINDS,
                titles=titles_of(parts),
                now=now,
            )
        )
        if is_personal:
            page.headers["Cache-Control"] = "no-store"
        return page

    @pages.get("/<serial>")
    @requires_role(*READERS)
    def show(serial: str) -> str:
        with database.reading() as connection:
            record = load_certificate(connection, serial)
        grant = parts.grants.load(record.grant_id)
        now = clock.now()
        return render_template(
            "certificate.html",
            record=record,
            grant=grant,
            attributes=shown_attributes(record.attributes, titles_of(parts), attribute_names(parts)),
            form=HOLDER_FORMS[record.holder_form],
            status=record.status(now),
            statuses=STATUSES,
            kinds=STATUS_KINDS,
            reasons=REASONS,
            events=_events(record, now, actor_name(parts, record.revoked_by)),
            may_revoke=record.state == "issued" and current_operator().has_role(OFFICER, APPROVER),
        )

    @pages.get("/<serial>/file")
    @requires_role(*READERS)
    def download(serial: str) -> Response:
        with database.reading() as connection:
            record = load_certificate(connection, serial)
        if record.certificate_der is None:
            raise CertificateUnknownError(serial)
        headers = {"Content-Disposition": f'attachment; filename="{record.serial}.pem"'}
        return Response(pem(record.certificate_der), mimetype="application/x-pem-file", headers=headers)

    @pages.post("/<serial>/revoke")
    @requires_role(OFFICER, APPROVER)
    def revoke(serial: str) -> AnyResponse:
        reason = request.form.get("reason", "")
        record, acrl = parts.revocations.revoke(serial, reason=reason, operator=current_operator())
        if acrl is None:
            notify(
                _("Revoked. The revocation list could not be published yet; it follows by itself."), "warning"
            )
        else:
            notify(_("Revoked. The revocation list %(number)s says so now."), number=acrl.number)
        return redirect(url_for("certificates.show", serial=record.serial), 303)

    return pages


_ASKED = ("holder", "authority", "role", "status")


def _read_search(given: Mapping[str, str]) -> Search:
    """What is looked for; what is not known in the choices is left out."""
    status = given.get("status", "")
    return Search(
        holder=(given.get("holder") or given.get("q") or "").strip()[:512],
        authority=given.get("authority", "")[:64],
        role=given.get("role", "")[:512],
        status=status if status in STATUSES else "",
        page=page_number(given),
        per_page=PER_PAGE,
    )


def _events(record: Record, now: datetime, revoked_by: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"title": gettext(_("put on record")), "at": record.intended_at, "kind": "neutral"}
    ]
    if record.issued_at:
        events.append({"title": gettext(_("issued")), "at": record.issued_at, "kind": "success"})
    if record.not_before > record.intended_at:
        events.append({"title": gettext(_("valid from")), "at": record.not_before, "kind": "neutral"})
    if record.revoked_at:
        reason = gettext(REASONS[record.reason]) if record.reason in REASONS else record.reason
        events.append(
            {
                "title": gettext(STATUSES[record.state]),
                "text": reason,
                "at": record.revoked_at,
                "by": revoked_by,
                "kind": "danger",
            }
        )
    title = gettext(_("expired")) if now > record.not_after else gettext(_("ends"))
    events.append({"title": title, "at": record.not_after, "kind": "neutral"})
    return events
