"""The form as it is shown: fields, faults, notes, what the register says, what the applicant has already."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import render_template, request

from onecert.ra.applications.entries import Entry
from onecert.ra.applications.records import Application
from onecert.ra.content.checking import Note, Outcome
from onecert.ra.content.fields import CERTIFICATE_FIELDS, FIELDS, FOLDED, GROUP_NAMES, Field, Kind
from onecert.ra.errors import FieldFault
from onecert.ra.life.machine import Business, State
from onecert.ra.pages.common import field_errors, named_errors, the_operator, the_ra
from onecert.ra.pages.review import remarks_shown
from onecert.ra.pages.scans import Refused, scans_of
from onecert.ra.pages.shown import REGISTER_KINDS
from onecert.ra.registry.answers import sentence
from onecert.ra.review.remarks import last_return
from onecert.server.errors import ServiceError
from onecert.server.languages import gettext

__all__ = ["LOOKED_UP", "field_parts", "fields_of", "page", "register_note"]

# Fields that name the applicant: typing one asks the register and looks for what is there already.
LOOKED_UP = frozenset({"uscc", "idcard", "device_name"})
# What stands in the certificate cannot be changed on the way.
KEEPING = frozenset({Business.RENEW, Business.REPLACE})


def fields_of(kind: Kind) -> tuple[Field, ...]:
    """The fields of a type, in the order of the form."""
    return FIELDS[kind]


def page(
    kind: Kind,
    authority: str,
    values: Mapping[str, str],
    csr: str,
    *,
    key: str = "",
    application: Application | None = None,
    outcome: Outcome | None = None,
    collision: ServiceError | None = None,
    followed: Mapping[str, Any] | None = None,
    refused_scans: Sequence[Refused] = (),
) -> str:
    """The whole form.

    Args:
        followed: of a renewal, change or replacement that is not kept yet: business, certificate, values of
            before, reasons to choose from.
    """
    remarks = _remarks(application)
    faults = (*(outcome.faults if outcome else ()), *remarks)
    kept_csr = "" if any(fault.code == "CSR_PRIVATE_KEY" for fault in faults) else csr
    return render_template(
        "ra/form.html",
        groups=GROUP_NAMES,
        opened=_opened(kind, values, faults),
        consent_texts=the_ra().entries.findings.texts.in_force(),
        csr=kept_csr,
        key=key,
        application=application,
        is_remarked=bool(remarks),
        named_errors=named_errors(faults),
        csr_preview=outcome.request if outcome else None,
        collision=collision,
        collision_text=gettext(collision.text, **collision.facts) if collision else "",
        collision_hint=gettext(collision.hint, **collision.facts) if collision else "",
        collision_link=_link(collision),
        followed=followed,
        scans=scans_of(application, _business(application, followed), kind, refused_scans),
        f=field_parts(
            kind,
            authority,
            values,
            faults=faults,
            notes=outcome.notes if outcome else (),
            besides=followed["before"] if followed else (application.id if application else None),
            before=followed["values"] if followed else _before(application),
            keeps=_business(application, followed) in KEEPING,
        ),
    )


def field_parts(
    kind: Kind,
    authority: str,
    values: Mapping[str, str],
    *,
    faults: Sequence[FieldFault] = (),
    notes: Sequence[Note] = (),
    besides: str | None = None,
    before: Mapping[str, str] | None = None,
    keeps: bool = False,
) -> dict[str, Any]:
    """What the macros of single fields need; also for one field that is checked while it is typed."""
    ra = the_ra()
    return {
        "kind": kind,
        "authority": authority,
        "fields": FIELDS[kind],
        "values": values,
        "errors": field_errors(faults),
        "notes": {note.field: gettext(note.text) for note in notes},
        "options": lambda item: [(value, gettext(label)) for value, label in item.choices.items()],
        "required": lambda item: ra.entries.is_required(kind, item),
        "before": before,
        "keeps": keeps,
        "named_by": "idcard" if kind in {Kind.CITIZEN, Kind.EMPLOYEE} else "uscc",
        "certified": CERTIFICATE_FIELDS[kind],
        "register": register_note(values),
        "others": _others(kind, authority, values, besides),
    }


def register_note(values: Mapping[str, str]) -> dict[str, str] | None:
    """What the register says about what stands in the form now; None: there is nothing to ask about yet."""
    ra = the_ra()
    uscc = values.get("uscc", "")
    field = next(field for field in FIELDS[Kind.ORGANISATION] if field.name == "uscc")
    cleaned, faults, _notes = ra.entries.check_one(field, uscc)
    if not cleaned or faults:
        return None
    answer = ra.entries.findings.look({"uscc": cleaned})
    if answer is None:
        return None
    name = values.get("organization_name", "").strip()
    shown = name or answer.name
    verdict = answer.verdict(shown)
    return {
        "text": sentence(answer, shown),
        "kind": REGISTER_KINDS.get(verdict, "danger"),
        "name": answer.name,
    }


def _business(application: Application | None, followed: Mapping[str, Any] | None) -> Business:
    if followed is not None:
        business: Business = followed["business"]
        return business
    return application.business if application is not None else Business.NEW


def _before(application: Application | None) -> Mapping[str, str] | None:
    """What the certificate that an application follows was applied for with; None: it follows none."""
    if application is None or application.follows_authority is None or application.follows_serial is None:
        return None
    ra, operator = the_ra(), the_operator()
    certificate = ra.reach.certificate(operator, application.follows_authority, application.follows_serial)
    return ra.reach.frozen(operator, certificate.application_id).values


def _others(kind: Kind, authority: str, values: Mapping[str, str], besides: str | None) -> list[Any]:
    """Applications and certificates of the same applicant, once somebody is named."""
    if not any(values.get(name) for name in LOOKED_UP):
        return []
    ra, operator = the_ra(), the_operator()
    with ra.database.reading() as connection:
        scope = ra.reach.scope(connection, operator)
    entry = Entry(kind=kind, authority=authority, fields=values, csr="")
    return ra.entries.list_others(entry, scope, besides=besides)


def _link(collision: ServiceError | None) -> str | None:
    """The other application's id, when the reader may open it."""
    wanted = collision.facts.get("application") if collision else None
    return str(wanted) if wanted else None


def _remarks(application: Application | None) -> list[FieldFault]:
    """What the reviewer objected to, each at its field, when a returned application is opened."""
    if application is None or application.state is not State.RETURNED or request.method != "GET":
        return []
    with the_ra().database.reading() as connection:
        shown = remarks_shown(last_return(connection, application.id))
    return [
        FieldFault(name or "whole", "RETURNED", "%(remark)s", facts={"remark": text})
        for name, texts in shown.items()
        for text in texts
    ]


def _opened(kind: Kind, values: Mapping[str, str], faults: Sequence[FieldFault]) -> set[str]:
    """Folded groups that are to be seen: something stands in them, or something is wrong."""
    faulty = {fault.field for fault in faults}
    return {
        field.group
        for field in FIELDS[kind]
        if field.group in FOLDED and (values.get(field.name) or field.name in faulty)
    }
