"""`onecert processes`: which processes run on a service's database, here and on other machines."""

from __future__ import annotations

import json
from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.contexts import open_member
from onecert.server.members import installed_members

__all__ = ["processes"]


@click.command()
@common_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.argument("services", nargs=-1)
def processes(data: Path, config: Path | None, services: tuple[str, ...], as_json: bool) -> None:
    """Show the processes of SERVICES, or of all that are installed: role, state, place, version, last seen.

    One that ended without a word is shown as gone for a day; what it left behind is taken up by the others.
    """
    for name in services or installed_members():
        opened = open_member(name, data, config=config)
        try:
            found = opened.processes.everyone()
        finally:
            opened.close()
        for each in found:
            if as_json:
                click.echo(json.dumps({"service": name, **each.as_json()}))
            else:
                place = f"{each.host}:{each.pid}"
                seen = f"{each.last_seen:%Y-%m-%dT%H:%M:%SZ}"
                click.echo("\t".join((name, each.id, each.role, each.state, place, each.version, seen)))
