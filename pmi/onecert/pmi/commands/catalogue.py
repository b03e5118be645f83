"""`onecert pmi catalogue …`: publish, show."""

from __future__ import annotations

import json
from pathlib import Path

import click

from onecert.pmi.catalogue.reading import read_catalogue
from onecert.pmi.commands.parts import APPLY, INPUT, opened_parts, say_dry
from onecert.server.commands.options import common_options
from onecert.server.operators.store import command_actor

__all__ = ["catalogue"]


@click.group()
def catalogue() -> None:
    """The catalogue of roles: names, who may give them, who must agree."""


@catalogue.command("publish")
@click.argument("file", type=INPUT)
@APPLY
@common_options
def publish_catalogue(file: Path, apply: bool, data: Path, config: Path | None) -> None:
    """Put the catalogue in FILE (TOML) in force as the next version."""
    read = read_catalogue(file)
    with opened_parts(data, config) as parts:
        if not apply:
            click.echo(json.dumps({"sha256": read.sha256, "roles": sorted(read.roles)}))
            say_dry()
            return
        with parts.context.database.transaction() as connection:
            published = parts.catalogues.publish(connection, read, actor=command_actor())
    row = {"version": published.version, "sha256": published.sha256, "roles": sorted(published.roles)}
    click.echo(json.dumps(row))


@catalogue.command("show")
@common_options
def show_catalogue(data: Path, config: Path | None) -> None:
    """Show the catalogue in force, one role a line."""
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        for row in json.loads(parts.catalogues.load(connection).to_json())["roles"]:
            click.echo(json.dumps(row, ensure_ascii=False))
