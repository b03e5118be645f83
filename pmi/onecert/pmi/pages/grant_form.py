"""The form of a grant: an officer says who gets what from whom, sees what would be issued, and sends it.

Nothing is kept before the officer has seen who the holder is by the trust list, and everything that would
stand in the certificate. What is wrong is told at its field. A number that is made with the form keeps one
that is sent twice from being two.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.pmi.authorities.delegations import Held
from onecert.pmi.authorities.directory import Authority
from onecert.pmi.authorities.states import ADMINISTRATOR
from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.errors import PmiError, RequestWrongError
from onecert.pmi.grants.acts import OFFICER, Grant, GrantRequest
from onecert.pmi.grants.request import DELEGATION, DRAWN, GRANT
from onecert.pmi.pages.common import (
    HOLDER_WORDS,
    attribute_names,
    day_of,
    end_of_day,
    error_text,
    read_certificate,
    shown_attributes,
    titles_of,
)
from onecert.pmi.pages.grant_fields import fields_of, read_values
from onecert.pmi.parts import Parts
from onecert.server.errors import ServiceError
from onecert.server.languages import CHINA_TIME, _, current_language, gettext
from onecert.server.operators import check_role
from onecert.server.operators.errors import RoleRequiredError
from onecert.server.web import current_operator, notify, requires_role
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.roles import find_role
from onecert.verifier.errors import VerifyError

__all__ = ["add_grant_form"]

# Which field of the form an error belongs to; what is not here is told at the authority, the first of them.
_FIELD_OF = {
    "ROLE_UNKNOWN": "roles",
    "ROLE_NOT_ASSIGNABLE": "roles",
    "SEPARATION_OF_DUTY": "roles",
    "EXCEEDS_DELEGATION": "roles",
    "HOLDER_UNFIT": "holder_pem",
    "VALIDITY_WRONG": "until",
    "AUTHORITY_ENDS": "until",
    "DELEGATION_LOOP": "receiver",
    "DELEGATE_IS_SOURCE": "receiver",
    "DELEGATE_UNFIT": "receiver",
}
# What the request calls its parts -> the field where they are typed.
_TYPED_AT = {
    "attributes": "roles",
    "holder": "holder_pem",
    "recipient": "recipient_pem",
    "not_before": "since",
    "not_after": "until",
    "constraints": "permitted",
}


_TYPED = (
    *("key", "kind", "authority", "receiver", "depth", "permitted", "excluded", "holder_pem"),
    *("recipient_pem", "holder_form", "targets", "target_groups", "since", "until"),
)


@dataclass
class _Form:
    """What the officer typed, and what is wrong with it."""

    key: str = ""
    kind: str = GRANT
    authority: str = ""
    receiver: str = ""
    depth: str = ""
    permitted: str = ""
    excluded: str = ""
    holder_pem: str = ""
    recipient_pem: str = ""
    roles: list[str] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=dict)
    holder_form: str = "certificate"
    targets: str = ""
    target_groups: str = ""
    since: str = ""
    until: str = ""
    short_lived: bool = False
    audit_identity: bool = False
    errors: dict[str, str] = field(default_factory=dict)

    def hidden(self) -> list[tuple[str, str]]:
        """Everything that was typed, for a page that only sends it on."""
        pairs = [(name, getattr(self, name)) for name in _TYPED]
        pairs += [("roles", role) for role in self.roles]
        pairs += [(f"attribute-{name}", text) for name, texts in self.values.items() for text in texts]
        pairs += [(name, "yes") for name in ("short_lived", "audit_identity") if getattr(self, name)]
        return [(name, value) for name, value in pairs if value]


def add_grant_form(pages: Blueprint, parts: Parts) -> None:
    """Add the form to the pages of grants."""

    @pages.get("/new")
    @requires_role(OFFICER, ADMINISTRATOR)
    def new() -> str:
        given, key = request.args, str(uuid.uuid4())
        form = _Form(key=key, kind=_kind(given.get("kind", "")), authority=given.get("authority", ""))
        return _show_form(parts, form)

    @pages.post("/new")
    @requires_role(OFFICER, ADMINISTRATOR)
    def create() -> AnyResponse | str | tuple[str, int]:
        form, act = _read_form(parts), request.form.get("act", "")
        if form.errors or act == "edit":
            return _show_form(parts, form), 422 if form.errors else 200
        try:
            asked = _grant_request(parts, form)
            if act != "send":
                return _show_preview(parts, form, parts.grants.preview(asked, current_operator()))
            grant = parts.grants.request(asked, current_operator())
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


def _kind(text: str) -> str:
    """What is asked for: a delegation, or a grant; each has its own people."""
    kind = DELEGATION if text == DELEGATION else GRANT
    check_role(current_operator(), ADMINISTRATOR if kind == DELEGATION else OFFICER)
    return kind


def _show_form(parts: Parts, form: _Form) -> str:
    with parts.context.database.reading() as connection:
        catalogue = parts.catalogues.find(connection) or Catalogue()
        authorities = [each for each in parts.authorities.all(connection) if each.state == "active"]
        names = [each.name for each in authorities]
        if len(names) == 1:
            form.authority = names[0]
        chosen = next((each for each in authorities if each.name == form.authority), None)
        held = (
            None if chosen is None else parts.delegations.held(connection, chosen, parts.context.clock.now())
        )
    roles, attributes = _may_give(catalogue, chosen, held)
    return render_template(
        "grant_form.html",
        form=form,
        names=names,
        chosen=chosen,
        role_options=[(role.uri, role.title(current_language()), _terms(role)) for role in roles],
        fields=fields_of(attributes, form.values),
        is_encrypted=any(each.encrypted for each in attributes),
        holder_words=HOLDER_WORDS,
        receivers=[each.name for each in authorities if each.kind != "soa" and each.name != form.authority],
        lifetime_max=parts.config.grant_lifetime_max.days,
        today=day_of(parts.context.clock.now()),
    )


def _may_give(
    catalogue: Catalogue, authority: Authority | None, held: Sequence[Held] | None
) -> tuple[Sequence[Any], Sequence[Any]]:
    """Roles and attributes that stand in the form: by the catalogue; by delegation only what is held.

    Values of other attributes, name space and period are judged when the form is sent.
    """
    if authority is None:
        return (), ()
    if held is None:
        return catalogue.assignable_by(authority.name), catalogue.attributes_of(authority.name)
    values: dict[str, set[bytes]] = {}
    for each in held:
        for oid, those in each.limits.attributes.items():
            values.setdefault(oid, set()).update(those)
    found = (find_role(value) for value in values.get(Oid.ROLE.dotted_string, ()))
    uris = {role.name for role in found if role is not None}
    return (
        [role for uri, role in sorted(catalogue.roles.items()) if uri in uris],
        [each for _name, each in sorted(catalogue.attributes.items()) if each.oid in values],
    )


def _terms(role: Any) -> str:
    terms = [gettext(_("%(days)s days at most"), days=role.max_days)]
    if role.second_person:
        terms.append(gettext(_("needs a second person")))
    return " · ".join(terms)


def _show_preview(parts: Parts, form: _Form, grant: Grant) -> str:
    return render_template(
        "grant_preview.html",
        form=form,
        grant=grant,
        attributes=shown_attributes(grant.attributes, titles_of(parts), attribute_names(parts)),
        holder_words=HOLDER_WORDS[grant.holder_form],
        now=parts.context.clock.now(),
    )


def _read_form(parts: Parts) -> _Form:
    errors: dict[str, str] = {}
    given, prefix = request.form, "attribute-"
    kind = _kind(given.get("kind", ""))
    certificates = {"holder": "", "recipient": ""}
    for name in certificates:
        try:
            certificates[name] = read_certificate(name)
        except RequestWrongError as exc:
            errors.update(_errors(exc))
    receiver = given.get("receiver", "")
    if receiver:
        with parts.context.database.reading() as connection:
            known = {each.name: each for each in parts.authorities.all(connection)}
        if receiver in known:
            certificate = known[receiver].certificate.certificate
            certificates["holder"] = certificate.public_bytes(Encoding.PEM).decode("ascii").strip()
    return _Form(
        key=given.get("key", "") or str(uuid.uuid4()),
        kind=kind,
        receiver=receiver,
        depth=given.get("depth", "").strip(),
        permitted=given.get("permitted", ""),
        excluded=given.get("excluded", ""),
        authority=given.get("authority", ""),
        holder_pem=certificates["holder"],
        recipient_pem=certificates["recipient"],
        roles=given.getlist("roles"),
        values={name.removeprefix(prefix): given.getlist(name) for name in given if name.startswith(prefix)},
        # An authority keeps what was delegated to it when its certificate is renewed for the same key.
        holder_form="key" if kind == DELEGATION else given.get("holder_form", "certificate"),
        targets=given.get("targets", ""),
        target_groups=given.get("target_groups", ""),
        since=given.get("since", ""),
        until=given.get("until", ""),
        short_lived=bool(given.get("short_lived")),
        audit_identity=bool(given.get("audit_identity")),
        errors=errors,
    )


def _grant_request(parts: Parts, form: _Form) -> GrantRequest:
    with parts.context.database.reading() as connection:
        catalogue = parts.catalogues.find(connection) or Catalogue()
    values: dict[str, list[Any]] = {"role": list(form.roles)}
    for name, texts in form.values.items():
        values[name] = read_values(catalogue.attribute(name), texts)
    return GrantRequest(
        id=form.key,
        kind=form.kind,
        constraints=_constraints(form) if form.kind == DELEGATION else {},
        authority=form.authority,
        holder=form.holder_pem.encode(),
        attributes={name: each for name, each in values.items() if each},
        targets=tuple(form.targets.split()),
        target_groups=tuple(form.target_groups.split()),
        holder_form=form.holder_form,
        short_lived=form.short_lived,
        audit_identity=DRAWN if form.audit_identity else "",
        recipient=form.recipient_pem.encode(),
        not_before=_start_of_day(form.since, parts.context.clock.now()),
        not_after=end_of_day(form.until),
    )


def _constraints(form: _Form) -> dict[str, Any]:
    """How far it may be delegated on, and to whom what is under it may be given."""
    found: dict[str, Any] = {}
    if form.depth:
        if not (form.depth.isascii() and form.depth.isdigit() and len(form.depth) < 3):
            raise RequestWrongError("depth", _("a number from 0 to 16, or nothing"))
        found["depth"] = int(form.depth)
    for name, text in (("permitted", form.permitted), ("excluded", form.excluded)):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            found[name] = lines
    return found


def _start_of_day(text: str, now: datetime) -> datetime | None:
    """The first second of a day in China; None for no day and for today, which begins now."""
    day = end_of_day(text, "since")
    if day is None or day.date() == now.astimezone(CHINA_TIME).date():
        return None
    return datetime.combine(day.date(), time(0), CHINA_TIME)


def _errors(exc: ServiceError | VerifyError) -> dict[str, str]:
    if isinstance(exc, VerifyError):
        return {_FIELD_OF.get(exc.code, "holder_pem"): exc.text(current_language())}
    facts: Mapping[str, Any] = exc.facts
    if isinstance(exc, RequestWrongError):
        name = str(facts["field"])
        return {_TYPED_AT.get(name, name): gettext(str(facts["reason"]))}
    text = error_text(exc)
    if exc.code.startswith("ATTRIBUTE_") and "name" in facts:
        name = str(facts["name"])
        return {"roles" if name == "role" else f"attribute-{name}": text}
    return {_FIELD_OF.get(exc.code, "authority") if isinstance(exc, PmiError) else "authority": text}
