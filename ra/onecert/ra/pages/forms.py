"""The form of an application: choose authority and type, enter, correct, save, submit."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.entries import Entry
from onecert.ra.applications.records import Application
from onecert.ra.content.checking import Outcome
from onecert.ra.content.fields import FIELDS, FOLDED, GROUP_NAMES, KIND_HELP, Kind
from onecert.ra.errors import AuthorityUnknownError, FieldFault
from onecert.ra.life.machine import Act, State, acts_possible
from onecert.ra.operators.roles import ENTRY
from onecert.ra.pages.common import field_errors, named_errors, new_key, the_operator, the_ra
from onecert.ra.pages.shown import entry_of
from onecert.server.errors import ServiceError
from onecert.server.languages import _, gettext
from onecert.server.web import notify, requires_role

__all__ = ["add_to"]

CSR_FILE_MAX = 16 * 1024


def add_to(pages: Blueprint) -> None:
    """Add the entry clerk's forms."""
    pages.add_url_rule("/applications/new", "choose", _choose)
    pages.add_url_rule("/applications/new/<authority>/<kind>", "new", _new, methods=["GET", "POST"])
    pages.add_url_rule("/applications/<uuid:application_id>/edit", "edit", _edit, methods=["GET", "POST"])


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
    made = ra.applications.create(the_operator(), entry, request_key=key)
    if request.form.get("act") != "save" and made.state is State.DRAFT:
        return _submit(made)
    notify(_("Draft %(number)s is saved."), number=made.number)
    return redirect(url_for("applications.show", application_id=made.id), 303)


@requires_role(ENTRY)
def _edit(application_id: Any) -> AnyResponse | str:
    ra = the_ra()
    frozen = ra.reach.frozen(the_operator(), str(application_id))
    application = frozen.application
    if Act.SAVE not in acts_possible(application.business, application.state, frozenset({ENTRY})):
        return redirect(url_for("applications.show", application_id=application.id), 303)
    if request.method == "GET":
        outcome = ra.entries.check(entry_of(frozen)) if application.state is State.RETURNED else None
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
        the_operator(),
        application.id,
        entry,
        revision=int(revision) if revision.isascii() and revision.isdigit() else -1,
    )
    if request.form.get("act") != "save":
        return _submit(saved)
    notify(_("Your changes to %(number)s are saved."), number=saved.number)
    return redirect(url_for("applications.show", application_id=saved.id), 303)


def _submit(application: Application) -> AnyResponse:
    submitted = the_ra().applications.submit(the_operator(), application.id)
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
        opened=_opened(kind, values, faults),
        options=lambda item: [(value, gettext(label)) for value, label in item.choices.items()],
        required=lambda item: the_ra().entries.is_required(kind, item),
        consent_texts=the_ra().entries.findings.texts.in_force(),
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


def _opened(kind: Kind, values: Mapping[str, str], faults: Sequence[FieldFault]) -> set[str]:
    """Folded groups that are to be seen: something stands in them, or something is wrong."""
    faulty = {fault.field for fault in faults}
    return {
        field.group
        for field in FIELDS[kind]
        if field.group in FOLDED and (values.get(field.name) or field.name in faulty)
    }


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
