"""Pages of the auditor: the signed export with how to check it, and the whole life of one certificate."""

import json
from typing import Any

from flask import Blueprint, Response, render_template, send_file
from werkzeug.wrappers import Response as AnyResponse

from onecert.ra.operators.roles import ADMINISTRATOR, AUDITOR
from onecert.ra.pages.common import new_key, the_operator, the_ra
from onecert.ra.pages.labels import AUDIT_EVENTS
from onecert.server.languages import gettext
from onecert.server.web import requires_role

__all__ = ["blueprint"]


def blueprint() -> Blueprint:
    """For auditors; administrators read lives as well."""
    pages = Blueprint("auditing", __name__)
    pages.add_url_rule("/audit/export", "index", _page)
    pages.add_url_rule("/audit/export", "export", _export, methods=["POST"])
    pages.add_url_rule("/audit/certificates/<authority>/<serial>", "life", _life)
    return pages


@requires_role(AUDITOR)
def _page() -> str:
    return render_template("ra/audit_export.html")


@requires_role(AUDITOR)
def _export() -> AnyResponse:
    """The file is open before its name is removed, so nothing stays on disk."""
    ra = the_ra()
    path = ra.auditing.export(the_operator(), name=f"audit-{new_key()}.jsonl")
    try:
        file = path.open("rb")
    finally:
        path.unlink()
    day = ra.figures.today()
    response: Response = send_file(
        file, mimetype="application/jsonl", as_attachment=True, download_name=f"onecert-ra-audit-{day}.jsonl"
    )
    response.call_on_close(file.close)
    return response


@requires_role(AUDITOR, ADMINISTRATOR)
def _life(authority: str, serial: str) -> str:
    ra, operator = the_ra(), the_operator()
    certificate = ra.reach.certificate(operator, authority, serial)
    entries = ra.auditing.life(operator, authority, serial)
    with ra.database.reading() as connection:
        names = {account.actor: account.name for account in ra.operators.all(connection)}
    return render_template(
        "ra/audit_life.html",
        certificate=certificate,
        events=[
            {
                "at": entry["at"],
                "title": gettext(AUDIT_EVENTS.get(entry["event"], entry["event"])),
                "text": _text(entry),
                "by": names.get(entry["actor"], entry["actor"]),
                "kind": "info",
            }
            for entry in entries
        ],
    )


def _text(entry: dict[str, Any]) -> str:
    """The number of the entry, what it is about, and what tells a reader something."""
    details = json.loads(entry["details"])
    told = [
        f"{name}: {details[name]}" for name in ("number", "reason", "code", "business") if details.get(name)
    ]
    return " · ".join([f"#{entry['seq']}", entry["subject"].partition(":")[0], *told])
