"""Checks and drills: what the checker found and what each finding means; how quickly verifiers refused."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template
from flask import url_for as url

from onecert.ca.checking.checked_record import RULES, is_about_list
from onecert.ca.console.common import EVERYONE, READERS, Console, attempt, posted
from onecert.ca.console.overview import readiness
from onecert.ca.drills.drills import ASKED, LIVE, REHEARSAL, RUNNING, drill_profile
from onecert.ca.errors import DrillProfileError
from onecert.ca.revocation.security_officers import SECURITY_OFFICER
from onecert.server.languages import _, gettext
from onecert.server.web import current_operator, requires_role

__all__ = ["check_pages", "drill_pages"]

CHART = 40
# How far a running drill has come, in words.
_STEPS = {
    "issued": _("A certificate is made; verifiers are asked whether they accept it."),
    "accepted": _("Verifiers accept it. It is being revoked, and they are asked until they refuse."),
    "selected": _("The certificates are chosen; some are revoked and released again."),
    "chunks-tried": _("The lists are made, and thrown away."),
}


def check_pages(console: Console) -> Blueprint:
    """The page /ca/checks."""
    pages = Blueprint("checks", __name__)

    @pages.get("/checks")
    @requires_role(*EVERYONE)
    def index() -> str:
        rounds = console.parts.check_rounds.newest()
        findings = [
            {"finding": each, "means": gettext(RULES.get(each.rule, each.rule)), "todo": _todo(each)}
            for one in rounds.values()
            for each in one.first_findings
        ]
        total = sum(one.findings for one in rounds.values())
        return render_template(
            "ca/console/checks.html", rounds=rounds, findings=findings, total=total, lights=readiness()
        )

    return pages


def drill_pages(console: Console) -> Blueprint:
    """The pages under /ca/drills."""
    pages = Blueprint("drills", __name__)
    parts = console.parts

    def page(refusal: dict[str, Any] | None = None) -> str:
        latest = parts.drills.latest()
        live = [each for each in latest if each.kind == LIVE and each.refused_ms is not None]
        return render_template(
            "ca/console/drills.html",
            latest=latest,
            chart=_chart(list(reversed(live[:CHART]))),
            names=_drillable(console),
            issuing=[each.name for each in parts.authorities.reload() if not each.is_root],
            may_run=current_operator().has_role(SECURITY_OFFICER),
            limit_ms=round(parts.config.drill_limit.total_seconds() * 1000),
            refusal=refusal,
        )

    @pages.get("/drills")
    @requires_role(*READERS)
    def index() -> str:
        return page()

    @pages.get("/drills/<number>")
    @requires_role(*READERS)
    def show(number: str) -> str:
        drill = parts.drills.show(number)
        step = _STEPS.get(str(drill.result.get("step")), _("It begins within seconds."))
        return render_template(
            "ca/console/drill.html", drill=drill, is_open=drill.state in {ASKED, RUNNING}, step=gettext(step)
        )

    @pages.post("/drills/run")
    @requires_role(SECURITY_OFFICER)
    def run() -> Any:
        def act() -> Any:
            kind = LIVE if posted("act") == "run" else REHEARSAL
            number = parts.asked_drills.ask(kind, posted("authority", 64), actor=current_operator().actor)
            return redirect(url("drills.show", number=number), 303)

        return attempt(act, page)

    return pages


def _drillable(console: Console) -> list[str]:
    names = []
    for each in console.parts.authorities.reload():
        try:
            drill_profile(each)
        except DrillProfileError:
            continue
        names.append(each.name)
    return names


def _chart(drills: list[Any]) -> list[dict[str, Any]]:
    """Bars of a small picture, 100 high; the slowest reaches the top."""
    top = max([1, *(each.refused_ms for each in drills)])
    return [
        {"drill": each, "height": max(round(100 * each.refused_ms / top), 1), "x": 14 * at}
        for at, each in enumerate(drills)
    ]


def _todo(finding: Any) -> str:
    if is_about_list(finding):
        return gettext(
            _("Make the list anew: onecert ca crl publish. If it stays, call the operator of the service.")
        )
    return gettext(_("Do not change the record. Keep a copy of the database and call the CA's engineer."))
