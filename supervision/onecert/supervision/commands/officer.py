"""`onecert trust-list officer`: the officers who sign the list, each with a key on a token of their own."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.languages import _, gettext
from onecert.server.operators import command_actor
from onecert.supervision.commands.parts import TIME, opened_supervision, read_pin
from onecert.supervision.officers import all_officers, load_officer

__all__ = ["officer"]

NEXT_ROOT = _("hint: departments learn of this with the next root: onecert trust-list root draft")


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
    """Make the list key of officer ID. The account must have the role list.officer, or is opened here.

    The officer types the PIN: of the own token, or with SoftHSM a new one. Without a terminal it is a line of
    stdin.
    """
    if bool(name) != bool(person):
        raise click.UsageError("--name and --person are given together, to open the account too")
    with opened_supervision(data, config) as (the, add_account):
        if name and person:
            until = valid_until or the.editor.clock.now() + timedelta(days=730)
            add_account(id, name=name, person=person, valid_until=until)
        pin = read_pin(f"PIN of {id}", new=the.config.token_module is None)
        added = the.editor.add_officer(id, pin=pin, actor=command_actor())
    click.echo(f"{added.id}\t{added.kid}\t{added.token_label}")
    click.echo(gettext(NEXT_ROOT), err=True)


@officer.command("pin")
@click.argument("id", metavar="ID")
@common_options
def officer_pin(id: str, data: Path, config: Path | None) -> None:  # noqa: A002 -- as above
    """Change the PIN of officer ID's token: the old PIN, then the new one.

    Without a terminal these are two lines of stdin.
    """
    with opened_supervision(data, config) as (the, _account):
        old = read_pin(f"PIN of {id}")
        new = read_pin(f"new PIN of {id}", new=True)
        the.editor.change_pin(id, old=old, new=new, actor=f"operator:{id}")
    click.echo(f"changed\t{id}")


@officer.command("unlock")
@click.argument("id", metavar="ID")
@click.option("--apply", is_flag=True, help="Do it; without it only say what would be done.")
@common_options
def officer_unlock(id: str, apply: bool, data: Path, config: Path | None) -> None:  # noqa: A002 -- as above
    """Let PINs of officer ID be tried again after too many wrong ones. Ask the officer whose they were."""
    with opened_supervision(data, config) as (the, _account):
        with the.editor.database.reading() as connection:
            load_officer(connection, id)
        if apply:
            the.editor.unlock_officer(id, actor=command_actor())
    click.echo(f"{'unlocked' if apply else 'would unlock'}\t{id}")
    if not apply:
        click.echo("hint: nothing has changed; add --apply to let PINs be tried again", err=True)


@officer.command("remove")
@click.argument("id", metavar="ID")
@click.option("--apply", is_flag=True, help="Do it; without it only say what would be done.")
@common_options
def officer_remove(id: str, apply: bool, data: Path, config: Path | None) -> None:  # noqa: A002 -- as above
    """Let officer ID leave: the key signs no draft any more, and the next root does not name it."""
    with opened_supervision(data, config) as (the, _account):
        if not apply:
            with the.editor.database.reading() as connection:
                found = load_officer(connection, id)
            click.echo(f"would remove\t{found.id}\t{found.kid}")
            click.echo("hint: nothing has changed; add --apply to remove the officer", err=True)
            return
        removed = the.editor.remove_officer(id, actor=command_actor())
    click.echo(f"removed\t{removed.id}\t{removed.kid}")
    click.echo(gettext(NEXT_ROOT), err=True)


@officer.command("list")
@common_options
def officer_list(data: Path, config: Path | None) -> None:
    """Show the officers: id, key id, token."""
    with opened_supervision(data, config) as (the, _account), the.editor.database.reading() as connection:
        for each in all_officers(connection):
            click.echo(f"{each.id}\t{each.kid}\t{each.token_label}")
