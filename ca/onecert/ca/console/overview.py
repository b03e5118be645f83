"""The first page: how everything stands. Red is only what needs a person, with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template
from flask import url_for as url
from sqlalchemy import select

from onecert.ca.authorities.authorities import ACTIVE, Authority
from onecert.ca.batches.models import batches
from onecert.ca.console.common import EVERYONE, Console
from onecert.ca.lists.standing import lists_json
from onecert.ca.revocation.mass import CONFIRMED, PROPOSED, RUNNING, STOPPED
from onecert.ca.status.folder_standing import standing_of
from onecert.server.health import examine
from onecert.server.languages import _, gettext
from onecert.server.web import requires_role
from onecert.server.web.frame import current_frame

__all__ = ["overview_pages"]

UNDER_WAY = (PROPOSED, CONFIRMED, RUNNING, STOPPED)
OPEN_BATCHES = ("arriving", "accepted")
# What each readiness check is about; others of the house stand under their own name.
_CHECKS: Mapping[str, tuple[str, str]] = {
    "token": (_("Token"), "authorities.index"),
    "clock": (_("Clock"), ""),
    "authorities": (_("Authorities"), "authorities.index"),
    "lists": (_("Revocation lists"), "overview.index"),
    "successors": (_("Successors"), "authorities.index"),
    "checker": (_("Checker"), "checks.index"),
    "reports": (_("Reports to the supervision"), ""),
    "timestamps": (_("Timestamps"), ""),
    "database": (_("Database"), ""),
    "disk": (_("Disk"), ""),
    "audit": (_("Audit trail"), ""),
    "jobs": (_("Jobs"), ""),
    "process": (_("Process"), ""),
}


@dataclass(frozen=True, kw_only=True)
class Light:
    """One line of the first table."""

    title: str
    ok: bool
    text: str = ""
    hint: str = ""
    code: str = ""
    url: str = ""


def overview_pages(console: Console) -> Blueprint:
    """The page /ca/."""
    pages = Blueprint("overview", __name__)

    @pages.get("/")
    @requires_role(*EVERYONE)
    def index() -> str:
        parts, at = console.parts, console.parts.clock.now()
        lights = readiness()
        return render_template(
            "ca/console/overview.html",
            lights=lights,
            problems=[light for light in lights if not light.ok],
            authorities=[authority_row(console, each, at) for each in parts.authorities.reload()],
            lists=[_list_row(row, at) for row in lists_json(parts)],
            answers=_answers(console, at),
            mass=[each for each in parts.mass_revocations.latest(50) if each.state in UNDER_WAY],
            batches=open_batches(console),
            drills=last_drills(console),
            rounds=parts.check_rounds.newest(),
            processes=_processes(console),
            now=at,
        )

    return pages


def readiness() -> list[Light]:
    """Every readiness check of the service, what is wrong first."""
    results, problems = examine(current_frame().name, current_frame().checks)
    wrong = {each["check"]: each for each in problems}
    lights = []
    for name in results:
        title, endpoint = _CHECKS.get(name, ("", ""))
        problem = wrong.get(name)
        lights.append(
            Light(
                title=gettext(title) if title else name,
                ok=problem is None,
                text=problem["text"] if problem else "",
                hint=problem["hint"] if problem else "",
                code=problem["code"] if problem else "",
                url=url(endpoint) if endpoint else "",
            )
        )
    return sorted(lights, key=lambda light: light.ok)


def authority_row(console: Console, authority: Authority, at: datetime) -> dict[str, Any]:
    """One authority, and who fills orders by its name."""
    authorities = console.parts.authorities
    filling = None if authority.is_root else authorities.filling(authority.line, at)
    return {
        "authority": authority,
        "state": authority.state,
        "is_issuing": not authority.is_root and authority.state == ACTIVE and filling is authority,
        "filling": filling.name if filling is not None and filling is not authority else "",
        "not_after": authority.issuer.not_after,
        "waits": bool(authority.orders_from and authority.orders_from > at),
    }


def open_batches(console: Console) -> list[Any]:
    """Batches that are not finished, with their progress; the oldest first, fifty at most."""
    query = select(batches.c.id).where(batches.c.state.in_(OPEN_BATCHES)).order_by(batches.c.received_at)
    with console.parts.database.reading() as connection:
        numbers = list(connection.execute(query.limit(50)).scalars())
    return [console.parts.batches.progress(number) for number in numbers]


def last_drills(console: Console) -> list[Any]:
    """The newest live drill of each authority."""
    newest: dict[str, Any] = {}
    for each in console.parts.drills.latest():
        if each.kind == "live":
            newest.setdefault(each.authority, each)
    return [newest[name] for name in sorted(newest)]


def _list_row(row: dict[str, Any], at: datetime) -> dict[str, Any]:
    moments = ("this_update", "next_update", "due_at", "overdue_at")
    row = {**row, **{name: datetime.fromisoformat(row[name]) for name in moments if row.get(name)}}
    is_there = row["number"] is not None
    life = (row["next_update"] - row["this_update"]).total_seconds() if is_there else 0
    age = (at - row["this_update"]).total_seconds() if is_there else 0
    row["percent"] = min(max(round(100 * age / life), 0), 100) if life > 0 else 100
    row["is_overdue"] = not is_there or at >= row["overdue_at"]
    row["is_behind"] = is_there and row["published_number"] != row["number"]
    return row


def _answers(console: Console, at: datetime) -> dict[str, Any]:
    standing = standing_of(console.parts.files.folder, at)
    seen = {
        name: None if moment is None else datetime.fromisoformat(moment)
        for name, moment in standing["answers"].items()
    }
    return {"seen": seen, "behind": standing["behind"]}


def _processes(console: Console) -> list[Any]:
    everyone = getattr(console.context.processes, "everyone", None)
    return [] if everyone is None else list(everyone())
