"""The form of a grant: an officer says who gets what from whom; what is wrong is told at its field."""

from __future__ import annotations

from dataclasses import dataclass, field

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.errors import PmiError, RequestWrongError
from onecert.pmi.grants.acts import OFFICER, GrantRequest
from onecert.pmi.pages.common import end_of_day
from onecert.pmi.parts import Parts
from onecert.server.errors import ServiceError
from onecert.server.languages import _, current_language, gettext
from onecert.server.operators.errors import RoleRequiredError
from onecert.server.web import current_operator, notify, requires_role
from onecert.verifier.errors import VerifyError

__all__ = ["add_grant_form"]

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


def add_grant_form(pages: Blueprint, parts: Parts) -> None:
    """Add the form to the pages of grants."""

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
        not_after=end_of_day(form.until),
    )


def _errors(exc: ServiceError | VerifyError) -> dict[str, str]:
    if isinstance(exc, VerifyError):
        return {"holder_pem": exc.text(current_language())}
    text = gettext(exc.text, **exc.facts)
    if isinstance(exc, RequestWrongError):
        return {str(exc.facts["field"]): text}
    return {_FIELD_OF.get(exc.code, "authority") if isinstance(exc, PmiError) else "authority": text}
