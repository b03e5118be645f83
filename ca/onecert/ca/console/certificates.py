"""Pages of certificates: search by anything; one with its life and its status as the world sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request

from onecert.ca.authorities.authorities import pem
from onecert.ca.console.changes import add_change_pages
from onecert.ca.console.common import ACTORS, READERS, Console, refusal_of
from onecert.ca.console.life_line import life_line, readings_line
from onecert.ca.drills.probe import Way
from onecert.ca.issuing.ledger import CertificateRecord
from onecert.ca.profiles.words import describe_certificate
from onecert.ca.revocation.reason_words import REASON_WORDS, offered_reasons
from onecert.ca.search.guess import TEXT_MAX
from onecert.ca.search.masks import shown_holder
from onecert.server.errors import ServiceError
from onecert.server.languages import CHINA_TIME, _, gettext
from onecert.server.web import current_operator, requires_role

__all__ = ["certificate_pages"]

STATUSES = {"good": _("good"), "hold": _("on hold"), "revoked": _("revoked")}
# A longer list is read only when somebody asks for it: that takes seconds.
LIST_ASKED_MAX = 20_000
_DATES = ("issued_from", "issued_until", "expires_from", "expires_until")


def certificate_pages(console: Console) -> Blueprint:
    """The pages under /ca/certificates."""
    pages = Blueprint("certificates", __name__)
    parts = console.parts

    @pages.get("/certificates")
    @requires_role(*READERS)
    def index() -> Any:
        text = request.args.get("q", "").strip()
        chosen = {
            name: request.args.get(name, "")[:64] for name in ("authority", "profile", "status", *_DATES)
        }
        by, after = request.args.get("by", "")[:32], request.args.get("after", "")[:300] or None
        result, refusal, status = None, None, 200
        is_asked = bool(text or any(chosen.values()) or "q" in request.args)
        try:
            if len(text) > TEXT_MAX:
                refusal, status = _too_long(), 422
            elif is_asked:
                result = console.desk.find(current_operator(), text, _filters(chosen), by=by, after=after)
        except ServiceError as exc:
            if not exc.is_refusal:
                raise
            refusal, status = refusal_of(exc), 422
        rows = []
        for found in result.page.found if result else ():
            name, entity = shown_holder(found.record, full=result.full if result else False)
            rows.append({"record": found.record, "name": name, "entity": entity})
        known = parts.authorities.reload()
        profiles = sorted({name for each in known for name in each.profiles})
        page = render_template(
            "ca/console/certificates.html",
            text=text[:TEXT_MAX],
            chosen=chosen,
            result=result,
            rows=rows,
            refusal=refusal,
            is_asked=is_asked,
            after=after,
            authorities=[(each.name, each.name) for each in known],
            profiles=[(name, name) for name in profiles],
            more={"q": text, **{name: value for name, value in chosen.items() if value}},
        )
        return make_response(page, status)

    @pages.get("/certificates/<authority>/<serial>")
    @requires_role(*READERS)
    def show(authority: str, serial: str) -> str:
        viewed = console.desk.view(current_operator(), authority, serial)
        record = viewed.record
        issuer = parts.authorities.get(record.authority)
        may_change = current_operator().has_role(*ACTORS) and not issuer.is_root
        told = viewed.told
        words = []
        if viewed.full and record.certificate_der and viewed.profile:
            words = describe_certificate(record.certificate_der, viewed.profile)
        return render_template(
            "ca/console/certificate.html",
            record=record,
            viewed=viewed,
            holder=shown_holder(record, full=viewed.full),
            issuer=issuer,
            reason=REASON_WORDS.get(record.reason or ""),
            events=life_line(told["events"], full=viewed.full),
            readings=readings_line(told["readings"]),
            follows=told["follows"],
            followed_by=told["followed_by"],
            words=words,
            chain=parts.authorities.chain(issuer),
            answers=_asked(console, record),
            skipped=_too_big(console, record),
            can_change=may_change and bool(offered_reasons(record)),
            is_held=record.status == "hold",
            now=parts.clock.now(),
        )

    @pages.get("/certificates/<authority>/<serial>/certificate.pem")
    @requires_role(*READERS)
    def download(authority: str, serial: str) -> Response:
        record = console.desk.download(current_operator(), authority, serial)
        return _pem(f"{record.authority}-{record.serial}", pem(record.certificate_der or b""))

    @pages.get("/certificates/<authority>/<serial>/chain.pem")
    @requires_role(*READERS)
    def chain(authority: str, serial: str) -> Response:
        record = console.desk.find_one(current_operator(), authority, serial)
        issuer = parts.authorities.get(record.authority)
        return _pem(f"{record.authority}-chain", "".join(parts.authorities.chain_pem(issuer)))

    add_change_pages(pages, console)
    return pages


def _pem(name: str, text: str) -> Response:
    response = make_response(text)
    response.headers["Content-Type"] = "application/x-pem-file"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.pem"'
    return response


def _asked(console: Console, record: CertificateRecord) -> list[Any]:
    if record.certificate_der is None or console.parts.authorities.get(record.authority).is_root:
        return []
    is_all = request.args.get("ask") == "all" or not _too_big(console, record)
    return console.world.ask(record, tuple(Way) if is_all else (Way.OCSP,))


def _too_big(console: Console, record: CertificateRecord) -> bool:
    latest = console.parts.publisher.latest(record.authority, record.crl_partition)
    return latest is not None and latest.entries > LIST_ASKED_MAX and request.args.get("ask") != "all"


def _filters(chosen: dict[str, str]) -> dict[str, str]:
    filters = {name: value for name, value in chosen.items() if value}
    for name in _DATES:
        if name in filters:
            # Days are meant in China; the end counts.
            end = "T23:59:59" if name.endswith("until") else "T00:00:00"
            filters[name] = f"{filters[name]}{end}{datetime.now(CHINA_TIME):%z}"
    return filters


def _too_long() -> dict[str, Any]:
    text = gettext(_("That is too long to search for."))
    return {"text": text, "hint": "", "code": "SEARCH_FIELD", "lines": []}
