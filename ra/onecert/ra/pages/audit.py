"""The audit trail as a page: who did what, newest first. Reading only; the signed export is a command."""

import json
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import select

from onecert.ra.operators.roles import ADMINISTRATOR, AUDITOR
from onecert.ra.pages.common import the_ra
from onecert.ra.pages.labels import AUDIT_EVENTS
from onecert.server.languages import _, gettext
from onecert.server.models import audit_entries
from onecert.server.web import requires_role

__all__ = ["blueprint"]

PAGE = 100


def blueprint() -> Blueprint:
    """For auditors and administrators."""
    pages = Blueprint("audit", __name__)
    pages.add_url_rule("/audit", "index", _list)
    return pages


@requires_role(AUDITOR, ADMINISTRATOR)
def _list() -> str:
    subject = request.args.get("subject", "").strip()[:200]
    before = request.args.get("before", "")
    query = select(audit_entries).order_by(audit_entries.c.seq.desc()).limit(PAGE + 1)
    if subject:
        query = query.where(audit_entries.c.subject == subject)
    if before.isascii() and before.isdigit() and len(before) < 18:
        query = query.where(audit_entries.c.seq < int(before))
    with the_ra().database.reading() as connection:
        rows = list(connection.execute(query).mappings())
    return render_template(
        "ra/audit.html",
        entries=[{**row, "details": _details(row["details"])} for row in rows[:PAGE]],
        next=rows[PAGE - 1]["seq"] if len(rows) > PAGE else None,
        subject=subject,
        names=AUDIT_EVENTS,
        caption=subject or gettext(_("All entries")),
    )


def _details(text: str) -> list[tuple[str, str]]:
    details: dict[str, Any] = json.loads(text)
    return [(name, _shown(value)) for name, value in sorted(details.items()) if value is not None]


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
