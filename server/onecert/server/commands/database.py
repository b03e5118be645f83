"""`onecert database migrate`: bring a service's tables to this version, without starting it."""

from __future__ import annotations

from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.contexts import SERVER_MIGRATIONS, open_member
from onecert.server.members import installed_members
from onecert.server.migrations.run import current_revisions

__all__ = ["database"]


@click.group()
def database() -> None:
    """The services' databases."""


@database.command()
@common_options
@click.argument("services", nargs=-1)
def migrate(data: Path, config: Path | None, services: tuple[str, ...]) -> None:
    """Migrate the databases of SERVICES, or of all that are installed.

    Starting a service does the same; run this first when several instances start at once.
    """
    for name in services or installed_members():
        opened = open_member(name, data, config=config)
        try:
            revisions = current_revisions(
                opened.context.database, [SERVER_MIGRATIONS, opened.member.migrations]
            )
        finally:
            opened.close()
        for package, revision in revisions.items():
            click.echo(f"{name}: {package} {revision}")
