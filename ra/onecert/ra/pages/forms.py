"""The form of an application: choose authority and type, enter, correct, save, submit.

What saves while somebody types is in `typing.py`, what follows a certificate in `following.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.applications.entries import Entry
from onecert.ra.applications.records import Application, Frozen, find_last_entered, find_last_place
from onecert.ra.content.checking import Outcome
from onecert.ra.content.fields import KIND_HELP, Kind
from onecert.ra.errors import (
    AuthorityUnknownError,
    EvidenceMissingError,
    FieldFault,
    FollowRefusedError,
    InvalidApplicationError,
    RequestKeyReusedError,
)
from onecert.ra.life.machine import Act, State, acts_possible
from onecert.ra.operators.roles import ENTRY
from onecert.ra.pages import form_shown, scans
from onecert.ra.pages.common import new_key, the_operator, the_ra
from onecert.ra.pages.shown import entry_of
from onecert.server.errors import ServiceError
from onecert.server.languages import _
from onecert.server.web import notify, requires_role

__all__ = ["add_to", "done", "keep", "read_entry", "read_kind", "read_revision", "with_faults"]

CSR_FILE_MAX = 16 * 1024


def add_to(pages: Blueprint) -> None:
    """Add the entry clerk's forms."""
    pages.add_url_rule("/applications/new", "choose", _choose)
    pages.add_url_rule("/applications/new/<authority>/<kind>", "new", _new, methods=["GET", "POST"])
    pages.add_url_rule("/applications/<uuid:application_id>/edit", "edit", _edit, methods=["GET", "POST"])


@requires_role(ENTRY)
def _choose() -> str:
    ra, operator = the_ra(), the_operator()
    with ra.database.reading() as connection:
        last = find_last_entered(connection, operator.id)
    return render_template(
        "ra/choose.html",
        listing=ra.directory.listing(),
        kind_help=KIND_HELP,
        kinds=list(Kind),
        last=last,
    )


@requires_role(ENTRY)
def _new(authority: str, kind: str) -> AnyResponse | str:
    ra = the_ra()
    wanted = read_kind(kind)
    ra.directory.profile(authority, wanted.value)
    if request.method == "GET":
        with ra.database.reading() as connection:
            usual = find_last_place(connection, the_operator().id)
        return form_shown.page(wanted, authority, usual, "", key=new_key())
    entry, key = read_entry(wanted, authority), request.form.get("form_key", "")[:64] or new_key()
    found = _typed_before()
    if sent := scans.read():
        return _with_scans(entry, sent, key=key, application=found)
    if request.form.get("act") != "save":
        refused = _find_refusal(entry, key=key, application=found)
        if refused is not None:
            return refused
    return done(keep(entry, key=key, application=found))


@requires_role(ENTRY)
def _edit(application_id: Any) -> AnyResponse | str:
    ra = the_ra()
    frozen = ra.reach.frozen(the_operator(), str(application_id))
    application = frozen.application
    if Act.SAVE not in acts_possible(application.business, application.state, frozenset({ENTRY})):
        return redirect(url_for("applications.show", application_id=application.id), 303)
    if request.method == "GET":
        return _form_of(frozen)
    entry = read_entry(application.kind, application.authority)
    if sent := scans.read():
        return _with_scans(entry, sent, key="", application=application)
    if request.form.get("act") != "save":
        refused = _find_refusal(entry, key="", application=application)
        if refused is not None:
            return refused
    return done(keep(entry, key="", application=application))


def _form_of(frozen: Frozen) -> str:
    """The form of what is kept, with what is wrong with it where that was asked for or found before."""
    ra, application = the_ra(), frozen.application
    outcome, collision = None, None
    if application.state is State.RETURNED or "check" in request.args:
        outcome = ra.entries.check(entry_of(frozen))
        try:
            ra.applications.check_follows(the_operator(), frozen)
        except InvalidApplicationError as refused:
            outcome = with_faults(outcome, refused.faults)
        except FollowRefusedError as refused:
            collision = refused
    return form_shown.page(
        application.kind,
        application.authority,
        frozen.values,
        frozen.csr_pem,
        application=application,
        outcome=outcome,
        collision=collision,
    )


def keep(entry: Entry, *, key: str, application: Application | None, typing: bool = False) -> Application:
    """Make the draft, or save over it; a key that made one before is the same draft.

    Raises:
        StaleFormError: it was changed in another tab or by a colleague since this form was opened.
    """
    ra, operator = the_ra(), the_operator()
    if application is None:
        try:
            return ra.applications.create(operator, entry, request_key=key)
        except RequestKeyReusedError:
            # The page saved while it was typed and never heard of it: its answer was lost on the way.
            application = ra.applications.find_draft(operator, key)
            if application is None or application.revision != 1:
                raise
            return ra.applications.save(operator, application.id, entry, revision=1, typing=typing)
    # A save that only goes before the submit is no step of its own either.
    is_on_the_way = typing or request.form.get("act") != "save"
    return ra.applications.save(
        operator, application.id, entry, revision=read_revision(), typing=is_on_the_way
    )


def _with_scans(
    entry: Entry, sent: Sequence[scans.Sent], *, key: str, application: Application | None
) -> AnyResponse:
    """Files came with the form: the draft is kept first, whatever is wrong with it, and they belong to it."""
    kept = keep(entry, key=key, application=application)
    if kept.state not in {State.DRAFT, State.RETURNED}:
        return done(kept)  # the second of two clicks
    refused = scans.keep(kept, sent)
    if request.form.get("act") != "save":
        page = _find_refusal(entry, key=key, application=kept, refused_scans=refused)
        if page is not None:
            return page
    if not refused:
        return done(kept)
    csr = entry.csr if isinstance(entry.csr, str) else ""
    shown = form_shown.page(
        entry.kind, entry.authority, entry.fields, csr, key=key, application=kept, refused_scans=refused
    )
    return make_response(shown, 422)


def _typed_before() -> Application | None:
    """The draft that saving while typing has made of this new form."""
    made = request.form.get("id", "")
    return the_ra().reach.application(the_operator(), made[:36]) if made else None


def done(kept: Application) -> AnyResponse:
    """Where the clerk goes from here, after submitting if that was the button."""
    if request.form.get("act") == "save":
        notify(_("Draft %(number)s is saved."), number=kept.number)
    elif kept.state in {State.DRAFT, State.RETURNED}:
        try:
            kept = the_ra().applications.submit(the_operator(), kept.id)
        except (InvalidApplicationError, FollowRefusedError):
            return redirect(url_for("applications.edit", application_id=kept.id, check=1), 303)
        except EvidenceMissingError as exc:
            notify(exc.text, "warning", **exc.facts)
            return redirect(url_for("evidence.of_application", record_id=kept.id), 303)
        notify(_("%(number)s is submitted. A second person reviews it now."), number=kept.number)
    return redirect(url_for("applications.show", application_id=kept.id), 303)


def _find_refusal(
    entry: Entry,
    *,
    key: str,
    application: Application | None,
    refused_scans: Sequence[scans.Refused] = (),
) -> Response | None:
    """The form again, with what was typed, when submitting would be refused."""
    ra = the_ra()
    outcome = ra.entries.check(entry)
    collision: ServiceError | None = ra.entries.find_collision(
        entry, the_operator(), besides=application.id if application else None
    )
    if application is not None and application.follows_serial is not None:
        collision = None  # the one it follows is no duplicate; submitting looks at the others
    if outcome.content is not None and collision is None:
        return None
    page = form_shown.page(
        entry.kind,
        entry.authority,
        entry.fields,
        entry.csr if isinstance(entry.csr, str) else "",
        key=key,
        application=application,
        outcome=outcome,
        collision=collision,
        refused_scans=refused_scans,
    )
    return make_response(page, 422 if outcome.faults else 409)


def with_faults(outcome: Outcome, faults: Sequence[FieldFault]) -> Outcome:
    """What the act itself found, shown at its fields as the form's own faults are."""
    return replace(outcome, faults=(*outcome.faults, *faults), content=None)


def read_entry(kind: Kind, authority: str) -> Entry:
    """What the form sent, field by field of the table."""
    fields = {field.name: request.form.get(field.name, "")[:2000] for field in form_shown.fields_of(kind)}
    csr: str | bytes = request.form.get("csr", "")[: 2 * CSR_FILE_MAX]
    uploaded = request.files.get("csr_file")
    if uploaded is not None and uploaded.filename:
        csr = uploaded.stream.read(CSR_FILE_MAX + 1)
        if csr.startswith(b"-----"):
            csr = csr.decode("ascii", "replace")
    # The version goes with the consent: a form that says nothing of consent says nothing of a version.
    if not fields["consent"]:
        fields["consent_version"] = ""
    return Entry(kind=kind, authority=authority, fields=fields, csr=csr)


def read_kind(kind: str) -> Kind:
    """Raises `AuthorityUnknownError` for what is no type of application."""
    try:
        return Kind(kind)
    except ValueError:
        raise AuthorityUnknownError(kind[:32], [each.value for each in Kind]) from None


def read_revision() -> int:
    """The revision that the form was opened with; what is no number fits none."""
    revision = request.form.get("revision", "")
    return int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 10 else -1
