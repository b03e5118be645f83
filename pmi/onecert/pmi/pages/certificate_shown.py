"""The page of one attribute certificate: what stands in it, above it, and what happened to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from flask import render_template, request
from sqlalchemy import Connection, select

from onecert.pmi.authorities.delegations import MAX_LEVELS
from onecert.pmi.grants.acts import APPROVER, OFFICER
from onecert.pmi.life.revocation import REASONS, REVOKERS
from onecert.pmi.models import holds
from onecert.pmi.pages.common import (
    HOLDER_WORDS,
    READERS,
    STATUS_KINDS,
    actor_name,
    attribute_names,
    shown_attributes,
    titles_of,
)
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import STATUSES, Record, load_certificate
from onecert.server.languages import _, gettext
from onecert.server.web import current_operator

__all__ = ["show_certificate"]


def show_certificate(parts: Parts, serial: str, *, errors: Mapping[str, str] | None = None) -> str:
    with parts.context.database.reading() as connection:
        record = load_certificate(connection, serial)
        path = list(_delegations_above(connection, record))
    grant = parts.grants.load(record.grant_id)
    now = parts.context.clock.now()
    return render_template(
        "certificate.html",
        record=record,
        path=path,
        now=now,
        grant=grant,
        attributes=shown_attributes(record.attributes, titles_of(parts), attribute_names(parts)),
        holder_words=HOLDER_WORDS[record.holder_form],
        status=record.status(now),
        statuses=STATUSES,
        kinds=STATUS_KINDS,
        reasons=REASONS,
        events=_events(parts, record, now),
        may_revoke=record.state in {"issued", "held"} and current_operator().has_role(*REVOKERS),
        may_change=record.status(now) == "valid"
        and record.kind == "grant"
        and not record.replaced_by
        and current_operator().has_role(OFFICER),
        errors=errors or {},
        given=request.form,
        may_ask=current_operator().has_role(*READERS),
        may_release=current_operator().has_role(OFFICER, APPROVER),
    )


def _delegations_above(connection: Connection, record: Record) -> Iterator[Record]:
    """The delegations under which it was given, the nearest first."""
    for _level in range(MAX_LEVELS):
        if not record.under:
            return
        record = load_certificate(connection, record.under)
        yield record


def _events(parts: Parts, record: Record, now: datetime) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"title": gettext(_("put on record")), "at": record.intended_at, "kind": "neutral"}
    ]
    if record.issued_at:
        events.append({"title": gettext(_("issued")), "at": record.issued_at, "kind": "success"})
    if record.not_before > record.intended_at:
        events.append({"title": gettext(_("valid from")), "at": record.not_before, "kind": "neutral"})
    events += _holds(parts, record)
    if record.revoked_at and record.state != "held":
        reason = gettext(REASONS[record.reason]) if record.reason in REASONS else record.reason
        events.append(
            {
                "title": gettext(STATUSES[record.state]),
                "text": reason,
                "at": record.revoked_at,
                "by": actor_name(parts, record.revoked_by),
                "kind": "danger",
            }
        )
    title = gettext(_("expired")) if now > record.not_after else gettext(_("ends"))
    return [*events, {"title": title, "at": record.not_after, "kind": "neutral"}]


def _holds(parts: Parts, record: Record) -> Iterator[dict[str, Any]]:
    chosen = select(holds).where(holds.c.serial == record.serial).order_by(holds.c.held_at).limit(50)
    with parts.context.database.reading() as connection:
        rows = connection.execute(chosen).mappings().all()
    for row in rows:
        by = actor_name(parts, row["held_by"])
        yield {"title": gettext(_("on hold")), "at": row["held_at"], "by": by, "kind": "warning"}
        # A revocation ends a hold as well; it stands in the line by itself.
        if row["released_at"] and row["released_at"] != record.revoked_at and record.state != "revoked":
            by = actor_name(parts, row["released_by"])
            yield {"title": gettext(_("released")), "at": row["released_at"], "by": by, "kind": "success"}
