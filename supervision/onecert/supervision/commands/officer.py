"""`onecert trust-list officer`: the officers who sign the list, each with a key on a token of their own."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.operators import command_actor
from onecert.supervision.commands.parts import TIME, opened_supervision
from onecert.supervision.officers import all_officers
from onecert.supervision.publishing import publish_files

__all__ = ["officer"]


@click.group()
def officer() -> None:
    """The officers who sign the list, each with a key on a token of their own."""


@officer.command("add")
@click.argument("id", metavar="ID")
@click.option("--name", help="Opens the account too: the person's name.")
@click.option("--person", metavar="IDNUMBER", help="Number of the person's identity document. Not stored.")
@click.option("--valid-until", type=TIME, metavar="DATE", help="End of a new account (default: two years).")
@common_options
def officer_add(  # noqa: PLR0917 -- click hands over by name
    id: str,  # noqa: A002 -- the word people use for it
    name: str | None,
    person: str | None,
    valid_until: datetime | None,
    data: Path,
    config: Path | None,
) -> None:
    """Make the list key of officer ID. The account must have the role list.officer, or is opened here."""
    if bool(name) != bool(person):
        raise click.UsageError("--name and --person are given together, to open the account too")
    with opened_supervision(data, config) as (the, add_account):
        if name and person:
            until = valid_until or the.editor.clock.now() + timedelta(days=730)
            add_account(id, name=name, person=person, valid_until=until)
        added = the.editor.add_officer(id, actor=command_actor())
        publish_files(the.editor, the.published)
    click.echo(f"{added.id}\t{added.kid}\t{added.token_label}")


@officer.command("list")
@common_options
def officer_list(data: Path, config: Path | None) -> None:
    """Show the officers: id, key id, token."""
    with opened_supervision(data, config) as (the, _), the.editor.database.reading() as connection:
        for each in all_officers(connection):
            click.echo(f"{each.id}\t{each.kid}\t{each.token_label}")
