"""Administrators' pages of operators: who they are, what is asked about them, a second person's yes or no."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Blueprint, make_response, redirect, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.content.fields import KIND_NAMES
from onecert.ra.errors import EnrolmentInvalidError, NotFoundError, ScopeInvalidError
from onecert.ra.operators.accounts import Account, Standing, describe_accounts
from onecert.ra.operators.enrolment import Ask, EnrolmentKind, list_enrolments, load_enrolment
from onecert.ra.operators.roles import ADMINISTRATOR, AUDITOR
from onecert.ra.operators.scopes import ANY, Grant
from onecert.ra.pages.common import the_operator, the_ra
from onecert.ra.pages.organisation_words import ASK_NAMES, ASK_STATES, STANDING_KINDS, STANDING_NAMES
from onecert.ra.points.points import list_points
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.web import notify, requires_role

__all__ = ["add_to"]

Tabs = Callable[[Connection, str], list[dict[str, Any]]]
CHINA = timezone(timedelta(hours=8))
CERTIFICATE_MAX = 16 * 1024
SCOPE_LINES = 3
_PEM = b"-----BEGIN CERTIFICATE-----"
# Which field of the form a refusal is about.
_FIELDS = {
    "operator": "operator",
    "valid_until": "valid_until",
    "certificate_pem": "certificate",
    "scope": "point",
}


def add_to(pages: Blueprint, tabs: Tabs) -> None:
    """Add them to the pages of the organisation, whose tabs they share."""

    @requires_role(ADMINISTRATOR, AUDITOR)
    def accounts() -> str:
        return _accounts(tabs)

    @requires_role(ADMINISTRATOR, AUDITOR)
    def enrolments() -> str:
        return _enrolments(tabs)

    pages.add_url_rule("/organisation/operators", "accounts", accounts)
    pages.add_url_rule("/organisation/operators/<account>", "account", _account)
    pages.add_url_rule("/organisation/operators/<account>/suspend", "suspend", _suspend, methods=["POST"])
    pages.add_url_rule("/organisation/requests", "enrolments", enrolments)
    pages.add_url_rule("/organisation/requests/new/<kind>", "ask", _ask, methods=["GET", "POST"])
    pages.add_url_rule("/organisation/requests/<uuid:enrolment>", "enrolment", _enrolment)
    pages.add_url_rule("/organisation/requests/<uuid:enrolment>/decide", "decide", _decide, methods=["POST"])


def _accounts(tabs: Tabs) -> str:
    ra, now = the_ra(), the_ra().clock.now()
    wanted = request.args.get("state", "")
    with ra.database.reading() as connection:
        every = describe_accounts(connection, ra.operators.all(connection), at=now)
        shown = tabs(connection, "accounts")
        points = _point_names(connection)
    counts = {standing: sum(each.standing is standing for each in every) for standing in Standing}
    return render_template(
        "ra/organisation/accounts.html",
        tabs=shown,
        accounts=[each for each in every if not wanted or each.standing == wanted],
        total=len(every),
        counts=counts,
        points=points,
        wanted=wanted,
        **_words(),
    )


@requires_role(ADMINISTRATOR, AUDITOR)
def _account(account: str) -> str:
    return _account_page(account)


def _account_page(account: str, error: ServiceError | None = None) -> str:
    ra = the_ra()
    found = _load(account)
    with ra.database.reading() as connection:
        asked = [each for each in list_enrolments(connection) if each.operator_id == account]
        names = {each.id: each.name for each in ra.operators.all(connection)}
        points = _point_names(connection)
    return render_template(
        "ra/organisation/account.html",
        account=found,
        points=points,
        asked=asked,
        names=names,
        error=error,
        reason=request.form.get("reason", ""),
        **_words(),
    )


@requires_role(ADMINISTRATOR)
def _suspend(account: str) -> AnyResponse:
    try:
        done = the_ra().enrolments.suspend(the_operator(), account, reason=request.form.get("reason", ""))
    except ServiceError as error:
        if not error.is_refusal or error.status == 404:
            raise
        return make_response(_account_page(account, error), error.status)
    notify(_("The account of %(name)s is suspended; its sessions have ended."), name=done.name)
    return redirect(url_for("organisation.account", account=account), 303)


def _enrolments(tabs: Tabs) -> str:
    state = request.args.get("state", "waiting")
    with the_ra().database.reading() as connection:
        found = list_enrolments(connection, state=state if state in {"waiting", "done", "refused"} else None)
        shown = tabs(connection, "enrolments")
        names = {each.id: each.name for each in the_ra().operators.all(connection)}
    return render_template(
        "ra/organisation/enrolments.html", tabs=shown, enrolments=found, state=state, names=names, **_words()
    )


@requires_role(ADMINISTRATOR)
def _ask(kind: str) -> AnyResponse | str:
    if kind not in set(EnrolmentKind):
        raise NotFoundError(kind[:32])
    wanted = EnrolmentKind(kind)
    if request.method == "GET":
        return _ask_form(wanted, MultiDict({"operator": request.args.get("operator", "")}))
    try:
        made = the_ra().enrolments.ask(the_operator(), _read_ask(wanted))
    except ServiceError as error:
        if not error.is_refusal:
            raise
        return make_response(_ask_form(wanted, request.form, error), error.status)
    notify(_("The request is on record. Another administrator decides about it now."))
    return redirect(url_for("organisation.enrolment", enrolment=made.id), 303)


def _ask_form(kind: EnrolmentKind, form: Any, error: ServiceError | None = None) -> str:
    ra = the_ra()
    listing = ra.directory.listing()
    with ra.database.reading() as connection:
        points = [point for point in list_points(connection) if point.closed_at is None]
    account = None
    if kind is not EnrolmentKind.ENROL:
        account = _load(form.get("operator", ""))
    lines = [
        Grant(*line)
        for line in zip(*(form.getlist(name) for name in ("point", "authority", "profile")), strict=False)
    ]
    if not lines and account is not None:
        lines = list(account.grants)
    errors = {}
    if error is not None:
        name = str(error.facts.get("name", "")) if isinstance(error, EnrolmentInvalidError) else ""
        name = "point" if isinstance(error, ScopeInvalidError) else name
        errors[_FIELDS.get(name, name) or "form"] = _told(error, name)
    return render_template(
        "ra/organisation/ask.html",
        kind=kind,
        form=form,
        ticked=form.getlist("roles") or (account.operator.roles if account else ()),
        account=account,
        chosen_roles=form.getlist("roles") or (sorted(account.operator.roles) if account else []),
        errors=errors,
        lines=[*lines, *([Grant("", "", "")] * max(1, SCOPE_LINES - len(lines)))][
            : max(SCOPE_LINES, len(lines) + 1)
        ],
        point_options=[
            (ANY, gettext(_("All acceptance points"))),
            *((point.id, point.name) for point in points),
        ],
        authority_options=[
            (ANY, gettext(_("All authorities"))),
            *((name, listing.shown(name)) for name in sorted(listing.authorities)),
        ],
        profile_options=[
            (ANY, gettext(_("All types"))),
            *((each.value, gettext(name)) for each, name in KIND_NAMES.items()),
        ],
        **_words(),
    )


def _told(error: ServiceError, name: str) -> str:
    texts: Mapping[str, str] = {
        "operator": _(
            "This account name cannot be used: small letters, digits, dots and hyphens, not yet taken."
        ),
        "name": _("Enter the name, up to 80 characters."),
        "person": _("Enter the number of the person's identity document."),
        "roles": _("Choose at least one role."),
        "valid_until": _("Enter a day in the future on which the account ends."),
        "scope": _("Choose at least one acceptance point."),
        "certificate_pem": _("Choose a certificate file (PEM or DER)."),
    }
    if name in texts:
        return gettext(texts[name])
    return " ".join(gettext(text, **error.facts) for text in (error.text, error.hint) if text)


def _read_ask(kind: EnrolmentKind) -> Ask:
    form, is_enrol = request.form, kind is EnrolmentKind.ENROL
    has_scope = kind in {EnrolmentKind.ENROL, EnrolmentKind.SCOPE}
    return Ask(
        kind=kind,
        operator_id=form.get("operator", "").strip(),
        name=form.get("name", "").strip() if is_enrol else "",
        roles=tuple(form.getlist("roles")) if is_enrol or kind is EnrolmentKind.ROLES else (),
        valid_until=_read_day(form.get("valid_until", "")) if is_enrol else None,
        scope=_read_scope() if has_scope else (),
        certificate_pem=_read_certificate()
        if kind in {EnrolmentKind.ENROL, EnrolmentKind.CERTIFICATE}
        else "",
        person=form.get("person", "").strip()[:64] if is_enrol else "",
    )


def _read_day(text: str) -> datetime | None:
    """The end of this day in China."""
    try:
        day = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=CHINA)
    except ValueError:
        return None
    return (day + timedelta(days=1, seconds=-1)).astimezone(UTC)


def _read_scope() -> tuple[Grant, ...]:
    parts = [request.form.getlist(name) for name in ("point", "authority", "profile")]
    return tuple(
        Grant(point, authority or ANY, profile or ANY)
        for point, authority, profile in zip(*parts, strict=False)
        if point
    )


def _read_certificate() -> str:
    """The uploaded certificate in PEM; empty when there was none. Raises EnrolmentInvalidError."""
    file = request.files.get("certificate")
    data = file.read(CERTIFICATE_MAX + 1) if file is not None else b""
    if not data:
        return ""
    try:
        if len(data) > CERTIFICATE_MAX:
            raise ValueError("too long")
        load = x509.load_pem_x509_certificate if _PEM in data else x509.load_der_x509_certificate
        return load(data).public_bytes(Encoding.PEM).decode()
    except ValueError:
        raise EnrolmentInvalidError("certificate_pem") from None


@requires_role(ADMINISTRATOR, AUDITOR)
def _enrolment(enrolment: Any) -> str:
    return _enrolment_page(str(enrolment))


def _enrolment_page(request_id: str, error: ServiceError | None = None) -> str:
    ra, operator = the_ra(), the_operator()
    with ra.database.reading() as connection:
        found = load_enrolment(connection, request_id)
        known = ra.operators.find(connection, found.operator_id)
        account = describe_accounts(connection, [known], at=ra.clock.now())[0] if known else None
        points = _point_names(connection)
        names = {each.id: each.name for each in ra.operators.all(connection)}
        asker = ra.operators.find(connection, found.asked_by)
    pem = str(found.content["certificate_pem"])
    until = found.content["valid_until"]
    same = asker is not None and asker.person == operator.person
    return render_template(
        "ra/organisation/enrolment.html",
        enrolment=found,
        account=account,
        grants=[Grant(**line) for line in found.content["scope"]],
        certificate=_certificate(pem) if pem else None,
        valid_until=datetime.fromisoformat(until) if until else None,
        points=points,
        names=names,
        may_decide=operator.has_role(ADMINISTRATOR) and found.state == "waiting",
        is_own=same or (known is not None and known.person == operator.person),
        error=error,
        reason=request.form.get("reason", ""),
        **_words(),
    )


def _certificate(pem: str) -> dict[str, Any]:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial_hex": f"{certificate.serial_number:x}",
        "not_before": certificate.not_valid_before_utc,
        "not_after": certificate.not_valid_after_utc,
        "sha256": certificate.fingerprint(SHA256()).hex(),
    }


@requires_role(ADMINISTRATOR)
def _decide(enrolment: Any) -> AnyResponse:
    ra, request_id = the_ra(), str(enrolment)
    try:
        if request.form.get("act") == "agree":
            done = ra.enrolments.agree(the_operator(), request_id)
            notify(_("Agreed: it counts from now on."))
        else:
            done = ra.enrolments.refuse(the_operator(), request_id, reason=request.form.get("reason", ""))
            notify(_("Refused. Nothing has changed for the account."))
    except ServiceError as error:
        if not error.is_refusal or error.status == 404:
            raise
        return make_response(_enrolment_page(request_id, error), error.status)
    return redirect(url_for("organisation.enrolment", enrolment=done.id), 303)


def _load(account: str) -> Account:
    ra = the_ra()
    with ra.database.reading() as connection:
        found = ra.operators.find(connection, account)
        if found is None:
            raise NotFoundError(account[:32] or "-")
        return describe_accounts(connection, [found], at=ra.clock.now())[0]


def _point_names(connection: Connection) -> dict[str, str]:
    return {point.id: point.name for point in list_points(connection)}


def _words() -> dict[str, Any]:
    ra = the_ra()
    return {
        "ask_names": ASK_NAMES,
        "ask_states": ASK_STATES,
        "standing_names": STANDING_NAMES,
        "standing_kinds": STANDING_KINDS,
        "role_names": ra.operators.roles,
        "may_change": the_operator().has_role(ADMINISTRATOR),
        "any": ANY,
        "at": ra.clock.now(),
    }
