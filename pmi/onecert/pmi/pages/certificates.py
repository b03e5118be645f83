"""Attribute certificates: found, read, downloaded, revoked.

A name or a number of a person is asked for by POST and answered in place, so that it stands in no address;
serial numbers and hashes get an address that can be opened again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.errors import CertificateUnknownError
from onecert.pmi.pages.certificate_acts import add_certificate_acts
from onecert.pmi.pages.certificate_shown import show_certificate
from onecert.pmi.pages.common import (
    PER_PAGE,
    STATUS_KINDS,
    WATCHERS,
    attribute_names,
    titles_of,
)
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import STATUSES, Search, load_certificate, search_certificates
from onecert.pmi.rest.certificates import pem
from onecert.server.languages import Message, _
from onecert.server.web import requires_role

__all__ = ["blueprint"]

KINDS: Mapping[str, Message] = {"grant": _("for holders"), "delegation": _("delegations")}
_HEX = re.compile(r"[0-9a-fA-F]{12,64}")


def blueprint(parts: Parts) -> Blueprint:
    """The pages of attribute certificates."""
    pages = Blueprint("certificates", __name__, url_prefix="/attribute-certificates")
    database, clock = parts.context.database, parts.context.clock

    @pages.route("", methods=["GET", "POST"])
    @requires_role(*WATCHERS)
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
            found = search_certificates(connection, search, now)
            names = [authority.name for authority in parts.authorities.all(connection)]
        if search.holder and not is_personal and len(found.records) == 1:
            return redirect(url_for("certificates.show", serial=found.records[0].serial), 303)
        page = make_response(
            render_template(
                "certificates.html",
                found=found,
                search=search,
                asked=_ASKED,
                is_personal=is_personal,
                names=names,
                attributes=attribute_names(parts),
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
    @requires_role(*WATCHERS)
    def show(serial: str) -> str:
        return show_certificate(parts, serial)

    @pages.get("/<serial>/file")
    @requires_role(*WATCHERS)
    def download(serial: str) -> Response:
        with database.reading() as connection:
            record = load_certificate(connection, serial)
        if record.certificate_der is None:
            raise CertificateUnknownError(serial)
        headers = {"Content-Disposition": f'attachment; filename="{record.serial}.pem"'}
        return Response(pem(record.certificate_der), mimetype="application/x-pem-file", headers=headers)

    add_certificate_acts(pages, parts)
    return pages


_ASKED = ("holder", "authority", "role", "attribute", "value", "status", "kind", "expiring_days")


def _read_search(given: Mapping[str, str]) -> Search:
    """What is looked for; what is not known in the choices is left out."""
    status, kind, days = given.get("status", ""), given.get("kind", ""), given.get("expiring_days", "")
    return Search(
        holder=(given.get("holder") or given.get("q") or "").strip()[:512],
        authority=given.get("authority", "")[:64],
        role=given.get("role", "")[:512],
        attribute=given.get("attribute", "")[:64],
        value=given.get("value", "").strip()[:512],
        status=status if status in STATUSES else "",
        kind=kind if kind in KINDS else "",
        expiring_days=int(days) if days.isascii() and days.isdigit() and len(days) < 5 else None,
        after=given.get("after", "")[:400],
        per_page=PER_PAGE,
    )
