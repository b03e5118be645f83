"""Pages of the clerks: the work queue, the form, one application, its review."""

from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.certificates import find_by_application
from onecert.ra.content import Outcome
from onecert.ra.duplicates import list_elsewhere
from onecert.ra.entries import Entry
from onecert.ra.errors import AuthorityUnknownError, InvalidApplicationError, NotFoundError
from onecert.ra.fields import CERTIFICATE_FIELDS, FIELDS, GROUP_NAMES, KIND_HELP, Kind
from onecert.ra.ids import masked_idcard
from onecert.ra.order_state import find_order
from onecert.ra.pages.common import (
    field_errors,
    find_idcard,
    lifeline,
    named_errors,
    new_key,
    the_ra,
)
from onecert.ra.records import (
    Application,
    Frozen,
    contributors,
    count_by_state,
    list_applications,
    list_events,
    load_application,
    load_frozen,
)
from onecert.ra.states import ENTRY, REVIEW, Act, State, acts_possible
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.operators import Operator, SamePersonError, check_different_people
from onecert.server.web import current_operator, notify, requires_role

__all__ = ["blueprint"]

# What a role looks at first when it opens the queue.
_TO_ENTER = (State.RETURNED, State.REFUSED_BY_CA, State.DRAFT)
_TO_REVIEW = (State.SUBMITTED,)
CSR_FILE_MAX = 16 * 1024


def blueprint() -> Blueprint:
    """The clerks' pages."""
    pages = Blueprint("applications", __name__)
    pages.add_url_rule("/", "index", _queue, methods=["GET", "POST"])
    pages.add_url_rule("/applications/new", "choose", _choose)
    pages.add_url_rule("/applications/new/<authority>/<kind>", "new", _new, methods=["GET", "POST"])
    pages.add_url_rule("/applications/<uuid:application_id>", "show", _show)
    pages.add_url_rule("/applications/<uuid:application_id>/edit", "edit", _edit, methods=["GET", "POST"])
    pages.add_url_rule("/applications/<uuid:application_id>/act", "act", _act, methods=["POST"])
    pages.add_url_rule("/applications/<uuid:application_id>/review", "review", _review)
    pages.add_url_rule("/applications/<uuid:application_id>/judge", "judge", _judge, methods=["POST"])
    return pages


def _queue() -> AnyResponse | str:
    """The work queue; a search for an id-card number stays out of the address and so out of every log."""
    operator = current_operator()
    search = (request.form if request.method == "POST" else request.args).get("q", "").strip()[:128]
    idcard = find_idcard(search)
    if request.method == "POST" and idcard is None:
        return redirect(url_for("applications.index", q=search or None, state="all" if search else None), 303)
    chosen = "all" if idcard else request.args.get("state", "mine")
    ra = the_ra()
    hashed = ra.vault.idcard_hmac(idcard) if idcard and request.method == "POST" else None
    states = _states_of(chosen, operator)
    with ra.database.reading() as connection:
        page = list_applications(
            connection,
            states=states,
            search="" if idcard else search,
            idcard_hmac=hashed,
            cursor=request.args.get("cursor"),
            oldest_first=chosen != "all" and not search,
        )
        counts = count_by_state(connection)
    return render_template(
        "ra/queue.html",
        page=page,
        counts=counts,
        chosen=chosen,
        mine=sum(counts[state] for state in _states_of("mine", operator)),
        search="" if idcard else search,
        listing=ra.directory.listing(),
        may_enter=operator.has_role(ENTRY),
        states=list(State),
    )


def _states_of(chosen: str, operator: Operator) -> tuple[State, ...]:
    if chosen in set(State):
        return (State(chosen),)
    if chosen == "all":
        return ()
    states = (_TO_REVIEW if operator.has_role(REVIEW) else ()) + (
        _TO_ENTER if operator.has_role(ENTRY) else ()
    )
    # Others read: show them what is under way.
    return states or (State.SUBMITTED, State.APPROVED, State.ORDERED)


@requires_role(ENTRY)
def _choose() -> str:
    listing = the_ra().directory.listing()
    return render_template("ra/choose.html", listing=listing, kind_help=KIND_HELP, kinds=list(Kind))


@requires_role(ENTRY)
def _new(authority: str, kind: str) -> AnyResponse | str:
    ra = the_ra()
    wanted = _kind(kind)
    ra.directory.profile(authority, wanted.value)
    if request.method == "GET":
        return _form(wanted, authority, {}, "", key=new_key(), action=request.path)
    entry, key = _entry_from_form(wanted, authority), request.form.get("form_key", "")[:64] or new_key()
    if request.form.get("act") != "save":
        refused = _find_refusal(entry, key=key, application=None)
        if refused is not None:
            return refused
    made = ra.applications.create(current_operator(), entry, request_key=key)
    if request.form.get("act") != "save" and made.state is State.DRAFT:
        return _submit(made)
    notify(_("Draft %(number)s is saved."), number=made.number)
    return redirect(url_for("applications.show", application_id=made.id), 303)


@requires_role(ENTRY)
def _edit(application_id: Any) -> AnyResponse | str:
    ra = the_ra()
    with ra.database.reading() as connection:
        frozen = load_frozen(connection, ra.vault, str(application_id))
    application = frozen.application
    if Act.SAVE not in acts_possible(application.state, frozenset({ENTRY})):
        return redirect(url_for("applications.show", application_id=application.id), 303)
    if request.method == "GET":
        outcome = ra.entries.check(_entry_of(frozen)) if application.state is State.RETURNED else None
        return _form(
            application.kind,
            application.authority,
            frozen.values,
            frozen.csr_pem,
            application=application,
            outcome=outcome,
        )
    entry = _entry_from_form(application.kind, application.authority)
    if request.form.get("act") != "save":
        refused = _find_refusal(entry, key="", application=application)
        if refused is not None:
            return refused
    revision = request.form.get("revision", "")
    saved = ra.applications.save(
        current_operator(),
        application.id,
        entry,
        revision=int(revision) if revision.isascii() and revision.isdigit() else -1,
    )
    if request.form.get("act") != "save":
        return _submit(saved)
    notify(_("Your changes to %(number)s are saved."), number=saved.number)
    return redirect(url_for("applications.show", application_id=saved.id), 303)


def _submit(application: Application) -> AnyResponse:
    submitted = the_ra().applications.submit(current_operator(), application.id)
    notify(_("%(number)s is submitted. A second person reviews it now."), number=submitted.number)
    return redirect(url_for("applications.show", application_id=submitted.id), 303)


def _find_refusal(entry: Entry, *, key: str, application: Application | None) -> Response | None:
    """The form again, with what was typed, when submitting would be refused."""
    ra = the_ra()
    outcome = ra.entries.check(entry)
    collision = ra.entries.find_collision(entry, besides=application.id if application else None)
    if outcome.content is not None and collision is None:
        return None
    page = _form(
        entry.kind,
        entry.authority,
        dict(entry.fields),
        entry.csr if isinstance(entry.csr, str) else "",
        key=key,
        application=application,
        outcome=outcome,
        collision=collision,
    )
    return make_response(page, 422 if outcome.faults else 409)


def _form(
    kind: Kind,
    authority: str,
    values: dict[str, str] | Any,
    csr: str,
    *,
    key: str = "",
    action: str = "",
    application: Application | None = None,
    outcome: Outcome | None = None,
    collision: ServiceError | None = None,
) -> str:
    faults = outcome.faults if outcome else ()
    kept_csr = "" if any(fault.code == "CSR_PRIVATE_KEY" for fault in faults) else csr
    return render_template(
        "ra/form.html",
        kind=kind,
        authority=authority,
        fields=FIELDS[kind],
        groups=GROUP_NAMES,
        values=values,
        csr=kept_csr,
        key=key,
        application=application,
        errors=field_errors(faults),
        named_errors=named_errors(faults),
        csr_preview=outcome.request if outcome else None,
        collision=collision,
        collision_text=gettext(collision.text, **collision.facts) if collision else "",
        collision_hint=gettext(collision.hint, **collision.facts) if collision else "",
    )


def _show(application_id: Any) -> str:
    ra, operator = the_ra(), current_operator()
    with ra.database.reading() as connection:
        application = load_application(connection, str(application_id))
        events = list_events(connection, application.id)
        certificate = find_by_application(connection, application.id)
        order = find_order(connection, application.order_id)
        names = {account.id: account.name for account in ra.operators.all(connection)}
        elsewhere = list_elsewhere(connection, application)
        frozen, problem = _unsealed(application.id)
    acts = acts_possible(application.state, operator.roles)
    outcome = ra.entries.check(_entry_of(frozen)) if frozen else None
    return render_template(
        "ra/application.html",
        application=application,
        rows=_rows(frozen, operator) if frozen else [],
        groups=GROUP_NAMES,
        problem=problem,
        events=lifeline(events, names),
        certificate=certificate,
        order=order,
        elsewhere=elsewhere,
        acts=acts,
        Act=Act,
        csr_preview=outcome.request if outcome else None,
        faults=named_errors(outcome.faults) if outcome and application.state in _TO_ENTER else {},
        at=ra.clock.now(),
        names=names,
    )


def _unsealed(application_id: str) -> tuple[Frozen | None, ServiceError | None]:
    """The personal part; while the token is away the page shows the rest and says so."""
    ra = the_ra()
    try:
        with ra.database.reading() as connection:
            return load_frozen(connection, ra.vault, application_id), None
    except ServiceError as exc:
        if exc.is_refusal:
            raise
        return None, exc


@requires_role(ENTRY)
def _act(application_id: Any) -> AnyResponse:
    """Submit, withdraw or take up again, from the application's own page."""
    ra, operator, wanted = the_ra(), current_operator(), request.form.get("act", "")
    if wanted == "withdraw":
        done = ra.applications.withdraw(operator, str(application_id))
        notify(_("%(number)s is withdrawn."), number=done.number)
    elif wanted == "reopen":
        done = ra.applications.reopen(operator, str(application_id))
        notify(_("%(number)s can be corrected now."), number=done.number)
        return redirect(url_for("applications.edit", application_id=done.id), 303)
    elif wanted == "submit":
        try:
            done = ra.applications.submit(operator, str(application_id))
        except InvalidApplicationError:
            return redirect(url_for("applications.edit", application_id=application_id), 303)
        notify(_("%(number)s is submitted. A second person reviews it now."), number=done.number)
    else:
        raise NotFoundError(wanted[:32] or "-")
    return redirect(url_for("applications.show", application_id=done.id), 303)


@requires_role(REVIEW)
def _review(application_id: Any) -> AnyResponse | str:
    ra, operator = the_ra(), current_operator()
    with ra.database.reading() as connection:
        frozen = load_frozen(connection, ra.vault, str(application_id))
        application = frozen.application
        others = [ra.operators.load(connection, name) for name in contributors(connection, application.id)]
        elsewhere = list_elsewhere(connection, application)
        names = {account.id: account.name for account in ra.operators.all(connection)}
    if application.state is not State.SUBMITTED:
        return redirect(url_for("applications.show", application_id=application.id), 303)
    try:
        for other in others:
            check_different_people(operator, other)
        same_person = None
    except SamePersonError as exc:
        same_person = exc
    outcome = ra.entries.check(_entry_of(frozen))
    return render_template(
        "ra/review.html",
        application=application,
        certified=_rows(frozen, operator, certified=True),
        kept=_rows(frozen, operator, certified=False),
        groups=GROUP_NAMES,
        # The hash of what this page shows, computed from it, and not read from the record.
        shown_sha256=frozen.sha256(outcome.content) if outcome.content else "",
        csr_preview=outcome.request,
        csr_pem=frozen.csr_pem,
        notes=[(note.field, gettext(note.text)) for note in outcome.notes],
        faults=named_errors(outcome.faults),
        elsewhere=elsewhere,
        same_person=same_person,
        names=names,
    )


@requires_role(REVIEW)
def _judge(application_id: Any) -> AnyResponse:
    ra, operator = the_ra(), current_operator()
    wanted, reason = request.form.get("act", ""), request.form.get("reason", "")
    target = str(application_id)
    if wanted == "approve":
        ra.applications.approve(operator, target, content_sha256=request.form.get("content_sha256", "")[:64])
        done = ra.dispatch.carry_out(target)
        if done.state is State.ISSUED:
            notify(_("%(number)s is approved and the certificate is issued."), number=done.number)
        elif done.state is State.REFUSED_BY_CA:
            notify(_("%(number)s was approved, but the authority refused it."), "danger", number=done.number)
        else:
            notify(
                _(
                    "%(number)s is approved. The authority could not be reached yet; "
                    "the order goes out by itself."
                ),
                "warning",
                number=done.number,
            )
    elif wanted == "return":
        done = ra.applications.send_back(operator, target, reason=reason)
        notify(_("%(number)s is returned for correction."), number=done.number)
    elif wanted == "reject":
        done = ra.applications.reject(operator, target, reason=reason)
        notify(_("%(number)s is rejected."), number=done.number)
    else:
        raise NotFoundError(wanted[:32] or "-")
    return redirect(url_for("applications.show", application_id=done.id), 303)


def _rows(
    frozen: Frozen, operator: Operator, *, certified: bool | None = None
) -> list[tuple[str, list[tuple[Any, str]]]]:
    """Fields by group; people other than clerks see persons' numbers masked.

    Args:
        certified: only the fields that go into the certificate, or only the others.
    """
    on_certificate = CERTIFICATE_FIELDS[frozen.application.kind]
    full = operator.has_role(ENTRY, REVIEW)
    grouped: dict[str, list[tuple[Any, str]]] = {}
    for field in FIELDS[frozen.application.kind]:
        value = frozen.values.get(field.name, "")
        if value and certified in {None, field.name in on_certificate}:
            if field.check == "idcard" and not full:
                value = masked_idcard(value)
            grouped.setdefault(field.group, []).append((field, value))
    return list(grouped.items())


def _entry_of(frozen: Frozen) -> Entry:
    application = frozen.application
    return Entry(
        kind=application.kind, authority=application.authority, fields=frozen.values, csr=frozen.csr_pem
    )


def _entry_from_form(kind: Kind, authority: str) -> Entry:
    fields = {field.name: request.form.get(field.name, "")[:2000] for field in FIELDS[kind]}
    csr: str | bytes = request.form.get("csr", "")[: 2 * CSR_FILE_MAX]
    uploaded = request.files.get("csr_file")
    if uploaded is not None and uploaded.filename:
        csr = uploaded.stream.read(CSR_FILE_MAX + 1)
        if csr.startswith(b"-----"):
            csr = csr.decode("ascii", "replace")
    return Entry(kind=kind, authority=authority, fields=fields, csr=csr)


def _kind(kind: str) -> Kind:
    try:
        return Kind(kind)
    except ValueError:
        raise AuthorityUnknownError(kind[:32], [each.value for each in Kind]) from None
