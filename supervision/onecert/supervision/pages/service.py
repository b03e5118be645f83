"""One service of the draft: add it, its names and addresses, its certificates, remove it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.server.languages import _
from onecert.server.web import current_operator, notify, requires_role
from onecert.supervision.described import describe_service
from onecert.supervision.draft import Draft, DraftService
from onecert.supervision.edits import (
    add_certificates,
    add_service,
    change_service,
    remove_certificate,
    remove_service,
)
from onecert.supervision.pages.common import (
    EDITORS,
    WORKERS,
    Attempt,
    both,
    edit_draft,
    form_time,
    local_time,
    open_draft,
    posted,
    the,
    uploaded,
    uploaded_text,
)
from onecert.supervision.uploads import read_certificates, read_profile
from onecert.verifier.strict_json import format_time
from onecert.verifier.trust_list import SupplyKind

__all__ = ["add_to", "read_basics"]

CERTIFICATES_MAX_BYTES = 256 * 1024
PROFILE_MAX_BYTES = 64 * 1024


def add_to(pages: Blueprint) -> None:
    """Add the pages of a service."""
    pages.add_url_rule("/draft/add", "add_service", _add, methods=["GET", "POST"])
    pages.add_url_rule("/draft/services/<authority>", "service", _service)
    pages.add_url_rule("/draft/services/<authority>/basics", "basics", _basics, methods=["GET", "POST"])
    pages.add_url_rule(
        "/draft/services/<authority>/certificates", "certificates", _certificates, methods=["GET", "POST"]
    )
    pages.add_url_rule("/draft/services/<authority>/remove", "remove_service", _remove, methods=["POST"])


@requires_role(*WORKERS)
def _service(authority: str) -> str:
    return _page(authority, None)


def _page(authority: str, refusal: dict[str, str] | None) -> str:
    record, published = both()
    if record is None:
        abort(404)
    service = record.draft.service(authority)
    return render_template(
        "supervision/service.html",
        record=record,
        service=service,
        described=describe_service(service, record.draft),
        is_published=published is not None and any(each.id == authority for each in published.draft.services),
        operator=current_operator(),
        refusal=refusal,
    )


@requires_role(*EDITORS)
def _add() -> Any:
    def page(refusal: dict[str, str] | None) -> str:
        values = dict(request.form) if refusal else {"from": local_time(the().editor.clock.now())}
        if refusal:
            values["certificate"] = uploaded_text("certificate", CERTIFICATES_MAX_BYTES)
            values["profile"] = uploaded_text("profile", PROFILE_MAX_BYTES)
        return render_template(
            "supervision/add_service.html",
            record=open_draft(),
            values=values,
            kinds=list(SupplyKind),
            refusal=refusal,
        )

    def act() -> str:
        authority = posted("id", 64)
        start = form_time("from") or the().editor.clock.now()
        profile = uploaded("profile", PROFILE_MAX_BYTES)
        service = {
            "id": authority,
            "type": posted("type", 8) or "ca",
            **read_basics(),
            "certificate_pem": "".join(read_certificates(uploaded("certificate", CERTIFICATES_MAX_BYTES))),
            "identity_profile": read_profile(profile) if profile.strip() else None,
            "history": [{"status": "granted", "from": format_time(start)}],
        }
        edit_draft(lambda draft: add_service(draft, service), {"authority": authority, "part": "added"})
        return authority

    def done(authority: str) -> AnyResponse:
        notify(_("The service is in the draft. Add samples of its identity profile before you sign."))
        return redirect(url_for("draft.service", authority=authority), 303)

    return Attempt(act, page).answer(done)


@requires_role(*EDITORS)
def _basics(authority: str) -> Any:
    def page(refusal: dict[str, str] | None) -> str:
        record = open_draft()
        service = record.draft.service(authority)
        return render_template(
            "supervision/basics.html",
            record=record,
            service=service,
            values=dict(request.form) if refusal else _basics_of(service),
            kinds=list(SupplyKind),
            refusal=refusal,
        )

    def act() -> None:
        changes = read_basics()
        edit_draft(
            lambda draft: change_service(draft, authority, changes),
            {"authority": authority, "part": "basics"},
        )

    return _answer(authority, act, page)


@requires_role(*EDITORS)
def _certificates(authority: str) -> Any:
    def page(refusal: dict[str, str] | None) -> str:
        record = open_draft()
        service = record.draft.service(authority)
        return render_template(
            "supervision/certificates.html",
            record=record,
            service=service,
            lines=describe_service(service, record.draft)["certificate_pem"],
            pasted=uploaded_text("certificate", CERTIFICATES_MAX_BYTES) if refusal else "",
            refusal=refusal,
        )

    def act() -> None:
        index = posted("remove", 4)
        pems = [] if index else read_certificates(uploaded("certificate", CERTIFICATES_MAX_BYTES))
        number = int(index) if index.isascii() and index.isdigit() else -1

        def change(draft: Draft) -> Draft:
            if index:
                return remove_certificate(draft, authority, number)
            return add_certificates(draft, authority, pems)

        edit_draft(change, {"authority": authority, "part": "certificates"})

    return _answer(authority, act, page)


@requires_role(*EDITORS)
def _remove(authority: str) -> Any:
    def act() -> None:
        edit_draft(
            lambda draft: remove_service(draft, authority), {"authority": authority, "part": "removed"}
        )

    def done(_value: None) -> AnyResponse:
        notify(_("The service is not in the draft any more."))
        return redirect(url_for("draft.index"), 303)

    return Attempt(act, lambda refusal: _page(authority, refusal)).result(done)


def _answer(authority: str, act: Any, page: Any) -> Any:
    def done(_value: None) -> AnyResponse:
        notify(_("Saved. Signatures made before are void."))
        return redirect(url_for("draft.service", authority=authority), 303)

    return Attempt(act, page).answer(done)


def read_basics() -> dict[str, Any]:
    """Names, contact, supply points and the duty to record issuance, as the draft file spells them."""
    entity = {"zh": posted("entity_zh"), "en": posted("entity_en")}
    points = {kind.value: _lines(posted(f"supply_{kind.value}", 20_000)) for kind in SupplyKind}
    contact = {key: posted(key) for key in ("hotline", "email", "website")}
    return {
        "name": {"zh": posted("name_zh"), "en": posted("name_en")},
        "entity": entity if any(entity.values()) else None,
        "contact": {key: value for key, value in contact.items() if value},
        "supply_points": {key: lines for key, lines in points.items() if lines},
        "issuance_log": posted("issuance_log") == "yes",
    }


def _lines(text: str) -> list[str]:
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def _basics_of(service: DraftService) -> dict[str, str]:
    points = {
        f"supply_{kind.value}": "\n".join(url for other, url in service.supply_points if other is kind)
        for kind in SupplyKind
    }
    return {
        "name_zh": service.name.zh,
        "name_en": service.name.en,
        "entity_zh": service.entity.zh,
        "entity_en": service.entity.en,
        "hotline": service.contact.hotline,
        "email": service.contact.email,
        "website": service.contact.website,
        "issuance_log": "yes" if service.issuance_log else "",
        **points,
    }
