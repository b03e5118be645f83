"""`onecert trust-list publish`, `show`: what leaves the house."""

from __future__ import annotations

from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.operators import command_actor
from onecert.supervision.commands.parts import opened_supervision, show_preview
from onecert.supervision.errors import NothingPublishedError
from onecert.supervision.records import find_publication

__all__ = ["publish", "show"]


@click.command()
@click.option("--apply", is_flag=True, help="Publish; without it only show what would be published.")
@common_options
def publish(apply: bool, data: Path, config: Path | None) -> None:
    """Publish the signed draft under the next number."""
    with opened_supervision(data, config) as (the, _):
        if not apply:
            preview = the.editor.preview()
            click.echo(f"would publish the trust list number {preview.sequence}:")
            show_preview(preview)
            click.echo("hint: nothing was published; add --apply to publish it", err=True)
            return
        publication = the.editor.publish(actor=command_actor())
        click.echo(
            f"published number {publication.sequence}, good until {publication.next_update.isoformat()}"
        )
        the.release(actor=command_actor())


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The signed document itself.")
@common_options
def show(as_json: bool, data: Path, config: Path | None) -> None:
    """Show the published list."""
    with opened_supervision(data, config) as (the, _), the.editor.database.reading() as connection:
        publication = find_publication(connection)
        now = the.editor.clock.now()
    if publication is None:
        raise NothingPublishedError
    if as_json:
        click.echo(publication.document.decode("ascii"))
        return
    click.echo(
        f"{publication.sequence}\t{publication.issued_at.isoformat()}\t{publication.next_update.isoformat()}"
    )
    for service in publication.draft.services:
        in_force = [entry for entry in service.history if entry.start <= now]
        present = max(in_force, key=lambda entry: entry.start).status.value if in_force else "-"
        click.echo(f"{service.id}\t{present}\t{service.name.en}\t{service.name.zh}")
