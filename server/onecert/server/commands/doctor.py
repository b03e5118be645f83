"""`onecert doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from onecert.server.clock import SystemClock
from onecert.server.commands.options import common_options
from onecert.server.languages import gettext
from onecert.server.members import installed_members, load_member

__all__ = ["doctor"]


@click.command()
@common_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--deep", is_flag=True, help="Read databases of any size whole; takes minutes.")
@click.argument("services", nargs=-1)
def doctor(data: Path, config: Path | None, as_json: bool, deep: bool, services: tuple[str, ...]) -> None:
    """Look at folders, clock, settings, databases, tokens, lists and running SERVICES; change nothing.

    Exit 0: nothing to do. Exit 1: something is to be done, and it says what.
    """
    from onecert.server.doctor import look  # noqa: PLC0415 - only this command needs it

    members = [load_member(name) for name in services or installed_members()]
    faults = 0
    for finding in look(members, data, config=config, clock=SystemClock(), deep=deep):
        faults += finding.is_fault
        if as_json:
            click.echo(json.dumps(asdict(finding), ensure_ascii=False))
        elif finding.is_fault:
            click.echo(f"!!  {finding.place}\t{finding.subject}\t{finding.text} [{finding.code}]")
            if finding.hint:
                click.echo(f"    {gettext('what to do: %(hint)s', hint=finding.hint)}")
        else:
            click.echo(f"ok  {finding.place}\t{finding.subject}\t{finding.text}".rstrip())
    if faults:
        sys.exit(1)
