"""While somebody types: one field checked as soon as it is left, and the whole form saved.

Both are POST: what is typed stands in no address. A field comes back as a part of the page, with its value in
its one spelling, its fault or note, and for who the applicant is: the register's answer and what they have.
"""

from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.records import Application
from onecert.ra.errors import NotFoundError
from onecert.ra.operators.roles import ENTRY
from onecert.ra.pages import form_shown, forms
from onecert.ra.pages.common import the_operator, the_ra
from onecert.server.web import requires_role

__all__ = ["add_to"]


def add_to(pages: Blueprint) -> None:
    """Add what the form asks for while it is filled in."""
    pages.add_url_rule("/applications/typing/<authority>/<kind>/<name>", "typing", _field, methods=["POST"])
    pages.add_url_rule(
        "/applications/new/<authority>/<kind>/autosave", "autosave_new", _save_new, methods=["POST"]
    )
    pages.add_url_rule("/applications/<uuid:application_id>/autosave", "autosave", _save, methods=["POST"])


@requires_role(ENTRY)
def _field(authority: str, kind: str, name: str) -> str:
    wanted = forms.read_kind(kind)
    field = next((field for field in form_shown.fields_of(wanted) if field.name == name), None)
    if field is None:
        raise NotFoundError(name[:32])
    ra = the_ra()
    entry = forms.read_entry(wanted, authority[:64])
    value, faults, notes = ra.entries.check_one(field, entry.fields[name])
    values = {**entry.fields, name: value}
    before = request.form.get("before", "")[:36]
    outcome = ra.entries.check(entry)
    # Rules that look at two fields, such as a person's name that is a company's, belong to what was left.
    faults += [fault for fault in outcome.faults if fault.field == name and not faults and value]
    parts = form_shown.field_parts(
        wanted,
        authority[:64],
        values,
        faults=faults,
        notes=notes,
        besides=request.form.get("id", "")[:36] or before or None,
        before=ra.reach.frozen(the_operator(), before).values if before else None,
    )
    filled: dict[str, Any] | None = None
    register = parts["register"]
    if name == "uscc" and register and register["name"] and not values.get("organization_name", "").strip():
        filled = {**parts, "values": {**values, "organization_name": register["name"]}}
    return render_template("ra/form_field.html", item=field, f=parts, filled=filled)


@requires_role(ENTRY)
def _save_new(authority: str, kind: str) -> AnyResponse:
    ra = the_ra()
    wanted = forms.read_kind(kind)
    ra.directory.profile(authority, wanted.value)
    key = request.form.get("form_key", "")[:64]
    if not key:
        raise NotFoundError("form_key")
    return _answer(forms.keep(forms.read_entry(wanted, authority), key=key, application=None, typing=True))


@requires_role(ENTRY)
def _save(application_id: Any) -> AnyResponse:
    application = the_ra().reach.application(the_operator(), str(application_id))
    entry = forms.read_entry(application.kind, application.authority)
    return _answer(forms.keep(entry, key="", application=application, typing=True))


def _answer(kept: Application) -> Response:
    return jsonify(
        {
            "id": kept.id,
            "number": kept.number,
            "revision": kept.revision,
            "saved_at": the_ra().clock.now().isoformat(),
            "url": url_for("applications.autosave", application_id=kept.id),
        }
    )
