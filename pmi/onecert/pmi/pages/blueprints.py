"""The pages: grants with their form and approval, certificates with their life line and revocation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.errors import CertificateUnknownError, PmiError, RequestWrongError
from onecert.pmi.grants.acts import APPROVER, AUDITOR, OFFICER, STATES, Grant, GrantRequest
from onecert.pmi.life.revocation import REASONS
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import STATUSES, Record, find_certificates, load_certificate
from onecert.pmi.rest.certificates import pem, read_search
from onecert.server.errors import ServiceError
from onecert.server.languages import CHINA_TIME, _, current_language, gettext
from onecert.server.operators.errors import RoleRequiredError
from onecert.server.web import NavItem, current_operator, notify, requires_role
from onecert.verifier.errors import VerifyError

__all__ = ["NAVIGATION", "certificates_blueprint", "grants_blueprint"]

PER_PAGE = 20
READERS = (OFFICER, APPROVER, AUDITOR)
NAVIGATION = (
    NavItem(_("Grants"), "grants.index", READERS),
    NavItem(_("Attribute certificates"), "certificates.index", READERS),
)

# Which field of the form an error belongs to; what is not here is told above the form.
_FIELD_OF = {
    "AUTHORITY_UNKNOWN": "authority",
    "AUTHORITY_NOT_READY": "authority",
    "ROLE_UNKNOWN": "roles",
    "ROLE_NOT_ASSIGNABLE": "roles",
    "VALIDITY_WRONG": "until",
}


@dataclass
class _Form:
    """What the officer typed, and what is wrong with it."""

    authority: str = ""
    holder_pem: str = ""
    roles: list[str] = field(default_factory=list)
    targets: str = ""
    until: str = ""
    errors: dict[str, str] = field(default_factory=dict)


def grants_blueprint(parts: Parts) -> Blueprint:
    """The pages of grants."""
    pages = Blueprint("grants", __name__, url_prefix="/grants")
    database = parts.context.database

    @pages.get("")
    @requires_role(*READERS)
    def index() -> str:
        state = request.args.get("state", "")
        page = _page()
        found, total = parts.grants.page(state=state if state in STATES else "", page=page, per_page=PER_PAGE)
        return render_template(
            "grants.html",
            grants=found,
            total=total,
            page=page,
            page_count=max(1, -(-total // PER_PAGE)),
            state=state,
            states=STATES,
            titles=_titles(parts),
            may_request=current_operator().has_role(OFFICER),
        )

    @pages.get("/new")
    @requires_role(OFFICER)
    def new() -> str:
        return _show_form(parts, _Form(authority=request.args.get("authority", "")))

    @pages.post("/new")
    @requires_role(OFFICER)
    def create() -> AnyResponse | tuple[str, int]:
        form = _read_form()
        try:
            grant = parts.grants.request(_grant_request(form), current_operator())
        except RoleRequiredError:
            raise
        except (ServiceError, VerifyError) as exc:
            if isinstance(exc, ServiceError) and not exc.is_refusal:
                raise
            form.errors = _errors(exc)
            return _show_form(parts, form), 422
        if grant.serial:
            notify(_("The role has been granted; the attribute certificate was issued."))
        else:
            notify(_("The grant is on record and waits for the approval of a second person."), "info")
        return redirect(url_for("grants.show", grant_id=grant.id), 303)

    @pages.get("/<grant_id>")
    @requires_role(*READERS)
    def show(grant_id: str) -> str:
        return _show_grant(parts, parts.grants.load(grant_id))

    @pages.post("/<grant_id>/approve")
    @requires_role(APPROVER)
    def approve(grant_id: str) -> AnyResponse:
        shown = request.form.get("content_sha256", "")
        parts.grants.approve(grant_id, current_operator(), content_sha256=shown)
        notify(_("Approved; the attribute certificate was issued."))
        return redirect(url_for("grants.show", grant_id=grant_id), 303)

    def _show_grant(parts: Parts, grant: Grant) -> str:
        with database.reading() as connection:
            requester = parts.context.operators.find(connection, grant.requested_by)
            approver = (
                parts.context.operators.find(connection, grant.approved_by) if grant.approved_by else None
            )
        operator = current_operator()
        is_other = requester is None or requester.person != operator.person
        return render_template(
            "grant.html",
            grant=grant,
            states=STATES,
            titles=_titles(parts),
            events=_grant_events(
                grant,
                requester.name if requester else grant.requested_by,
                approver.name if approver else grant.approved_by or "",
            ),
            may_approve=grant.state in {"waiting", "approved"} and operator.has_role(APPROVER) and is_other,
            is_own=operator.has_role(APPROVER) and not is_other,
        )

    return pages


def certificates_blueprint(parts: Parts) -> Blueprint:
    """The pages of attribute certificates."""
    pages = Blueprint("certificates", __name__, url_prefix="/attribute-certificates")
    database, clock = parts.context.database, parts.context.clock

    @pages.get("")
    @requires_role(*READERS)
    def index() -> str:
        search = read_search(per_page=PER_PAGE)
        now = clock.now()
        with database.reading() as connection:
            found, total = find_certificates(connection, search, now)
            names = [authority.name for authority in parts.authorities.all(connection)]
        return render_template(
            "certificates.html",
            records=found,
            total=total,
            search=search,
            page_count=max(1, -(-total // search.per_page)),
            names=names,
            statuses=STATUSES,
            titles=_titles(parts),
            now=now,
        )

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
            status=record.status(now),
            statuses=STATUSES,
            reasons=REASONS,
            titles=_titles(parts),
            events=_certificate_events(record, now, _actor_name(parts, record.revoked_by)),
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


def _show_form(parts: Parts, form: _Form) -> str:
    with parts.context.database.reading() as connection:
        catalogue = parts.catalogues.find(connection) or Catalogue()
        names = [authority.name for authority in parts.authorities.all(connection)]
    if len(names) == 1:
        form.authority = form.authority or names[0]
    shown = [form.authority] if form.authority in names else names
    roles = {role.uri: role for name in shown for role in catalogue.assignable_by(name)}
    language = current_language()
    options = [
        (
            role.uri,
            role.title(language),
            gettext(_("needs a second person")) if role.second_person else role.uri,
        )
        for role in roles.values()
    ]
    return render_template("grant_form.html", form=form, names=names, role_options=options)


def _read_form() -> _Form:
    given = request.form
    file = request.files.get("holder_file")
    pasted = given.get("holder_pem", "").strip()
    content = file.read(64 * 1024 + 1) if file is not None and file.filename else b""
    # A DER file is shown back as nothing: the officer chooses it again.
    form = _Form(
        authority=given.get("authority", ""),
        holder_pem=pasted,
        roles=given.getlist("roles"),
        targets=given.get("targets", ""),
        until=given.get("until", ""),
    )
    request.environ["onecert.holder"] = content or pasted.encode()
    return form


def _grant_request(form: _Form) -> GrantRequest:
    return GrantRequest(
        authority=form.authority,
        holder=request.environ["onecert.holder"],
        roles=tuple(form.roles),
        targets=tuple(form.targets.split()),
        not_after=_end_of_day(form.until),
    )


def _end_of_day(text: str) -> datetime | None:
    """The last second of a day in China; None for no day."""
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as exc:
        raise RequestWrongError("until", _("not a date")) from exc
    return datetime.combine(day, time(23, 59, 59), CHINA_TIME)


def _errors(exc: ServiceError | VerifyError) -> dict[str, str]:
    if isinstance(exc, VerifyError):
        return {"holder_pem": exc.text(current_language())}
    text = gettext(exc.text, **exc.facts)
    if isinstance(exc, RequestWrongError):
        return {str(exc.facts["field"]): text}
    return {_FIELD_OF.get(exc.code, "authority") if isinstance(exc, PmiError) else "authority": text}


def _titles(parts: Parts) -> Mapping[str, str]:
    with parts.context.database.reading() as connection:
        catalogue = parts.catalogues.find(connection) or Catalogue()
    language = current_language()
    return {uri: role.title(language) for uri, role in catalogue.roles.items()}


def _page() -> int:
    text = request.args.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def _grant_events(grant: Grant, requester: str, approver: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"title": gettext(_("requested")), "at": grant.requested_at, "by": requester, "kind": "info"}
    ]
    if grant.needs_approval:
        events.append(
            {
                "title": gettext(_("approved by a second person")),
                "at": grant.approved_at,
                "by": approver,
                "kind": "success" if grant.approved_at else "neutral",
            }
        )
    if grant.serial is None:
        events.append({"title": gettext(_("issue of the certificate")), "at": None, "kind": "neutral"})
    return events


def _actor_name(parts: Parts, actor: str | None) -> str:
    """The name of an operator for people; other actors by their own word."""
    kind, _separator, operator_id = (actor or "").partition(":")
    if kind != "operator":
        return actor or ""
    with parts.context.database.reading() as connection:
        operator = parts.context.operators.find(connection, operator_id)
    return operator.name if operator else operator_id


def _certificate_events(record: Record, now: datetime, revoked_by: str) -> list[dict[str, Any]]:
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
