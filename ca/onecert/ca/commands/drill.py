"""`onecert ca drill`: a live drill, a rehearsal of a mass revocation, and what drills have found."""

from __future__ import annotations

import json
from pathlib import Path

import click

from onecert.ca.commands.parts import actor, opened_ca
from onecert.ca.drills.drills import DONE, LIVE, Drill
from onecert.ca.revocation.mass_documents import read_selection
from onecert.server.commands.options import common_options
from onecert.server.languages import _, gettext

__all__ = ["drill"]

_ROWS = (
    ("recorded", _("request → on record")),
    ("refused_by_ocsp", _("request → refused by a verifier that asks OCSP")),
    ("list_published", _("request → list published")),
    ("refused_by_crl", _("request → refused by a verifier that reads the list")),
)


@click.group()
def drill() -> None:
    """Practise revocation and measure it."""


@drill.command("run")
@click.option("--authority", required=True)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@common_options
def run_drill(authority: str, as_json: bool, data: Path, config: Path | None) -> int:
    """Revoke a certificate made for it; measure until verifiers refuse. The service must be running."""
    with opened_ca(data, config) as opened:
        done = opened.parts.drills.run(authority, actor=actor())
    _say(done, as_json=as_json)
    return 0 if done.state == DONE else 1


@drill.command("rehearse")
@click.option("--authority", required=True)
@click.option("--profile", default=None, help="Only certificates of this profile.")
@click.option("--reason", default="keyCompromise")
@common_options
def rehearse(authority: str, profile: str | None, reason: str, data: Path, config: Path | None) -> None:
    """Do all of a mass revocation and keep nothing: what it would take, step by step."""
    selection = read_selection({"profile": profile} if profile else {"everything": True})
    with opened_ca(data, config) as opened:
        done = opened.parts.rehearsal.run(authority, selection, [], reason=reason, actor=actor())
    click.echo(json.dumps(done.as_json(), ensure_ascii=False))


@drill.command("show")
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@common_options
def show_drill(number: str, as_json: bool, data: Path, config: Path | None) -> None:
    """Show what the drill NUMBER has found."""
    with opened_ca(data, config) as opened:
        _say(opened.parts.drills.show(number), as_json=as_json)


@drill.command("list")
@common_options
def list_drills(data: Path, config: Path | None) -> None:
    """List the newest drills, newest first, one JSON object a line."""
    with opened_ca(data, config) as opened:
        for each in opened.parts.drills.latest():
            click.echo(json.dumps(each.as_json(), ensure_ascii=False))


def _say(done: Drill, *, as_json: bool) -> None:
    if as_json or done.kind != LIVE:
        click.echo(json.dumps(done.as_json(), ensure_ascii=False))
        return
    click.echo(f"{done.id}\t{done.authority}\t{done.state}")
    for name, text in _ROWS:
        milliseconds = done.result.get(name)
        click.echo(f"{'-' if milliseconds is None else milliseconds:>8} ms  {gettext(text)}")
    if "failed" in done.result:
        click.echo(str(done.result["failed"]))
    click.echo(gettext(_("Departments learn of a revocation when they ask next; nothing is pushed to them.")))
