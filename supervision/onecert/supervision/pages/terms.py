"""What a service may sign and has promised: accepted policies, allowed algorithms, the service level."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from onecert.server.languages import _, gettext
from onecert.server.web import notify, requires_role
from onecert.supervision.draft import DraftService, draft_json
from onecert.supervision.edits import change_service
from onecert.supervision.errors import UploadError
from onecert.supervision.pages.common import EDITORS, Attempt, edit_draft, open_draft, posted
from onecert.verifier.algorithms import ALGORITHMS

__all__ = ["add_to"]

LEVELS = ("revocation_hours", "crl_hours", "ocsp_permille")


def add_to(pages: Blueprint) -> None:
    """Add the page of terms."""
    pages.add_url_rule("/draft/services/<authority>/terms", "terms", _terms, methods=["GET", "POST"])


@requires_role(*EDITORS)
def _terms(authority: str) -> Any:
    def page(refusal: dict[str, str] | None) -> str:
        record = open_draft()
        service = record.draft.service(authority)
        present = _present(authority)
        return render_template(
            "supervision/terms.html",
            record=record,
            service=service,
            values=dict(request.form) if refusal else _values(service, present),
            refusal=refusal,
        )

    def act() -> None:
        level = {**_present(authority).get("sla", {}), **{key: _number(key) for key in LEVELS}}
        changes = {
            "policies": list(dict.fromkeys(posted("policies", 20_000).split())),
            "algorithms": [
                _algorithm(line) for line in posted("algorithms", 20_000).splitlines() if line.strip()
            ],
            "sla": {key: value for key, value in level.items() if value is not None},
        }
        edit_draft(
            lambda draft: change_service(draft, authority, changes), {"authority": authority, "part": "terms"}
        )

    def done(_value: None) -> AnyResponse:
        notify(_("Saved. Signatures made before are void."))
        return redirect(url_for("draft.service", authority=authority), 303)

    return Attempt(act, page).answer(done)


def _present(authority: str) -> dict[str, Any]:
    services = draft_json(open_draft().draft)["services"]
    return next((each for each in services if each["id"] == authority), {})


def _values(service: DraftService, present: dict[str, Any]) -> dict[str, Any]:
    lines = [
        " ".join([row["name"], *(f"{key}={value}" for key, value in row.items() if key != "name")])
        for row in present.get("algorithms", [])
    ]
    return {
        "policies": "\n".join(service.policies),
        "algorithms": "\n".join(lines),
        **{key: present.get("sla", {}).get(key, "") for key in LEVELS},
    }


def _algorithm(line: str) -> dict[str, Any]:
    name, *terms = line.split()
    if name not in ALGORITHMS:
        known = ", ".join(sorted(ALGORITHMS))
        raise UploadError(
            gettext(
                _("%(name)s is no algorithm that is known; these are: %(known)s"), name=name[:40], known=known
            )
        )
    row: dict[str, Any] = {"name": name}
    for term in terms:
        key, equals, value = term.partition("=")
        if not equals:
            raise UploadError(gettext(_("%(text)s is no term of an algorithm"), text=term[:100]))
        row[key] = _whole(value) if key == "rsa_min_bits" else value
    return row


def _number(name: str) -> int | None:
    text = posted(name, 20)
    return _whole(text) if text else None


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UploadError(gettext(_("%(text)s is not a whole number"), text=text[:100]))
    return int(text)
