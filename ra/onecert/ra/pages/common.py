"""What all pages share: the way to the registration authority, words for the templates, small helpers."""

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from flask import Flask, current_app, request

from onecert.ra.applications.records import Event
from onecert.ra.content.fields import ALL_FIELDS, KIND_NAMES
from onecert.ra.errors import FieldFault
from onecert.ra.life.machine import BUSINESS_NAMES, STATE_NAMES
from onecert.ra.operators.acting import ActingOperator, acting
from onecert.ra.pages import labels
from onecert.ra.review.service_level import Due
from onecert.ra.revocation.reasons import REASON_NAMES
from onecert.ra.service import Ra
from onecert.server.languages import _, format_datetime, gettext, ngettext
from onecert.server.operators.peer import read_peer_certificate
from onecert.server.web import current_operator
from onecert.server.web.access import current_session
from onecert.server.web.frame import current_frame

__all__ = [
    "EXTENSION",
    "field_errors",
    "find_idcard",
    "install_helpers",
    "lifeline",
    "named_errors",
    "new_key",
    "shown_count",
    "the_operator",
    "the_ra",
]

EXTENSION = "onecert.ra"
_LOOKS_LIKE_IDCARD = re.compile(r"[1-9][0-9]{16}[0-9Xx]")


def the_ra() -> Ra:
    """The registration authority of this application."""
    ra: Ra = current_app.extensions[EXTENSION]
    return ra


def the_operator() -> ActingOperator:
    """Who makes this request, with the client certificate that the connection proved."""
    operator, session = current_operator(), current_session()
    if session is not None:
        return acting(operator, session.certificate_sha256)
    certificate = read_peer_certificate(request.environ, current_frame().sign_in.config)
    return acting(operator, None if certificate is None else certificate.fingerprint(SHA256()).hex())


def install_helpers(app: Flask) -> None:
    """Words and small functions for the templates."""
    app.jinja_env.globals.update(
        state_names=STATE_NAMES,
        state_kinds=labels.STATE_KINDS,
        status_names=labels.STATUS_NAMES,
        status_kinds=labels.STATUS_KINDS,
        sighting_names=labels.SIGHTING_NAMES,
        sighting_kinds=labels.SIGHTING_KINDS,
        source_names=labels.SOURCE_NAMES,
        revocation_states=labels.REVOCATION_STATES,
        reason_names=REASON_NAMES,
        kind_names=KIND_NAMES,
        business_names=BUSINESS_NAMES,
        age=age,
        due_text=due_text,
        authority_title=lambda name: the_ra().directory.listing().shown(name),
    )


def age(since: datetime) -> str:
    """How long something has been waiting, in the largest unit that fits."""
    return _span(the_ra().clock.now() - since)


def _span(span: timedelta) -> str:
    minutes = max(0, int(span.total_seconds() // 60))
    if minutes < 1:
        return gettext(_("less than a minute"))
    if minutes < 60:
        return ngettext("%(count)s minute", "%(count)s minutes", minutes)
    if minutes < 48 * 60:
        return ngettext("%(count)s hour", "%(count)s hours", minutes // 60)
    return ngettext("%(count)s day", "%(count)s days", minutes // (24 * 60))


def shown_count(count: int, at_most: int) -> str:
    """A count that ended at `at_most` says so."""
    return f"{at_most}+" if count >= at_most else str(count)


def due_text(due: Due) -> str:
    """When something is due: how long it is over, how long is left, or the day when that is far off."""
    now = the_ra().clock.now()
    if due.standing == "overdue":
        return gettext(_("overdue by %(span)s"), span=_span(now - due.at))
    if due.at - now < timedelta(hours=12):
        return gettext(_("due in %(span)s"), span=_span(due.at - now))
    return gettext(_("due %(when)s"), when=format_datetime(due.at, seconds=False))


def new_key() -> str:
    """A random key for a form, so that a double click is one act."""
    return str(uuid.uuid4())


def field_errors(faults: Sequence[FieldFault]) -> dict[str, str]:
    """One text for each faulty field: what is wrong, and what to do."""
    errors: dict[str, str] = {}
    for fault in faults:
        text = gettext(fault.text, **fault.facts)
        if fault.hint:
            text = f"{text} {gettext(fault.hint, **fault.facts)}"
        errors.setdefault(fault.field, text)
    return errors


def named_errors(faults: Sequence[FieldFault]) -> dict[str, str]:
    """The same with the field's label in front, for summaries away from the field."""
    labels_of = {"csr": _("Certificate request (CSR)"), "whole": _("Application")}
    named = {}
    for name, text in field_errors(faults).items():
        label = ALL_FIELDS[name].label if name in ALL_FIELDS else labels_of.get(name, name)
        named[name] = gettext(_("%(field)s: %(text)s"), field=gettext(label), text=text)
    return named


def find_idcard(search: str) -> str | None:
    """The id-card number in a search box, if that is what was typed; it must not end up in an address."""
    text = search.strip().replace(" ", "")
    return text.upper() if _LOOKS_LIKE_IDCARD.fullmatch(text) else None


def lifeline(events: Sequence[Event], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Events for the frame's lifeline macro; `names` gives operators' names."""
    return [
        {
            "at": event.at,
            "title": gettext(labels.EVENT_NAMES.get(event.event, event.event)),
            "text": event.note,
            "by": gettext(_("Service")) if event.actor == "service" else names.get(event.actor, event.actor),
            "kind": labels.EVENT_KINDS.get(event.event, "neutral"),
        }
        for event in events
    ]
