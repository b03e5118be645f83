"""Attribute certificates: found, read, downloaded, revoked.

A name or a number of a person is asked for by POST and answered in place, so that it stands in no address;
serial numbers and hashes get an address that can be opened again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from sqlalchemy import Connection, select
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.authorities.delegations import MAX_LEVELS
from onecert.pmi.errors import CertificateUnknownError
from onecert.pmi.grants.acts import APPROVER, OFFICER
from onecert.pmi.life.revocation import REASONS, REVOKERS
from onecert.pmi.models import holds
from onecert.pmi.pages.common import (
    HOLDER_WORDS,
    PER_PAGE,
    READERS,
    STATUS_KINDS,
    actor_name,
    attribute_names,
    shown_attributes,
    titles_of,
)
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import STATUSES, Record, Search, load_certificate, search_certificates
from onecert.pmi.rest.certificates import pem
from onecert.pmi.status.acrl import Acrl
from onecert.server.languages import Message, _, gettext
from onecert.server.web import current_operator, notify, requires_role

__all__ = ["blueprint"]

KINDS: Mapping[str, Message] = {"grant": _("for holders"), "delegation": _("delegations")}
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
    @requires_role(*READERS)
    def show(serial: str) -> str:
        with database.reading() as connection:
            record = load_certificate(connection, serial)
            path = list(_delegations_above(connection, record))
        grant = parts.grants.load(record.grant_id)
        now = clock.now()
        return render_template(
            "certificate.html",
            record=record,
            path=path,
            now=now,
            grant=grant,
            attributes=shown_attributes(record.attributes, titles_of(parts), attribute_names(parts)),
            holder_words=HOLDER_WORDS[record.holder_form],
            status=record.status(now),
            statuses=STATUSES,
            kinds=STATUS_KINDS,
            reasons=REASONS,
            events=_events(parts, record, now),
            may_revoke=record.state in {"issued", "held"} and current_operator().has_role(*REVOKERS),
            may_release=current_operator().has_role(OFFICER, APPROVER),
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


def _delegations_above(connection: Connection, record: Record) -> Iterator[Record]:
    """The delegations under which it was given, the nearest first."""
    for _level in range(MAX_LEVELS):
        if not record.under:
            return
        record = load_certificate(connection, record.under)
        yield record


def _done(record: Record, acrl: Acrl | None, text: str) -> AnyResponse:
    """Tell what was done, and whether the list says so already."""
    if acrl is None:
        late = _("Done; it counts here at once. The revocation list could not be published yet and follows.")
        notify(late, "warning")
    else:
        notify(text, number=acrl.number)
    return redirect(url_for("certificates.show", serial=record.serial), 303)


def _events(parts: Parts, record: Record, now: datetime) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"title": gettext(_("put on record")), "at": record.intended_at, "kind": "neutral"}
    ]
    if record.issued_at:
        events.append({"title": gettext(_("issued")), "at": record.issued_at, "kind": "success"})
    if record.not_before > record.intended_at:
        events.append({"title": gettext(_("valid from")), "at": record.not_before, "kind": "neutral"})
    events += _holds(parts, record)
    if record.revoked_at and record.state != "held":
        reason = gettext(REASONS[record.reason]) if record.reason in REASONS else record.reason
        events.append(
            {
                "title": gettext(STATUSES[record.state]),
                "text": reason,
                "at": record.revoked_at,
                "by": actor_name(parts, record.revoked_by),
                "kind": "danger",
            }
        )
    title = gettext(_("expired")) if now > record.not_after else gettext(_("ends"))
    return [*events, {"title": title, "at": record.not_after, "kind": "neutral"}]


def _holds(parts: Parts, record: Record) -> Iterator[dict[str, Any]]:
    chosen = select(holds).where(holds.c.serial == record.serial).order_by(holds.c.held_at).limit(50)
    with parts.context.database.reading() as connection:
        rows = connection.execute(chosen).mappings().all()
    for row in rows:
        by = actor_name(parts, row["held_by"])
        yield {"title": gettext(_("on hold")), "at": row["held_at"], "by": by, "kind": "warning"}
        # A revocation ends a hold as well; it stands in the line by itself.
        if row["released_at"] and row["released_at"] != record.revoked_at and record.state != "revoked":
            by = actor_name(parts, row["released_by"])
            yield {"title": gettext(_("released")), "at": row["released_at"], "by": by, "kind": "success"}
