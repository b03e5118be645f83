"""`onecert pmi catalogue …`: publish, show, difference."""

from __future__ import annotations

import json
from pathlib import Path

import click
from sqlalchemy import Connection

from onecert.pmi.catalogue.content import Catalogue
from onecert.pmi.catalogue.reading import read_catalogue
from onecert.pmi.commands.parts import APPLY, INPUT, dump, opened_parts, say, say_dry
from onecert.pmi.parts import Parts
from onecert.pmi.rest.catalogue import changes_json
from onecert.server.commands.options import common_options
from onecert.server.languages import _
from onecert.server.operators.store import command_actor

__all__ = ["catalogue"]


@click.group()
def catalogue() -> None:
    """The catalogue of roles and attributes: names, who may give them, who must agree."""


@catalogue.command("publish")
@click.argument("file", type=INPUT)
@click.option("--sha256", default="", help="Of what was shown: publish this and nothing else.")
@APPLY
@common_options
def publish_catalogue(file: Path, sha256: str, apply: bool, data: Path, config: Path | None) -> int:
    """Show what the catalogue in FILE (TOML) changes, and put it in force as the next version."""
    read = read_catalogue(file)
    if sha256 and sha256 != read.sha256:
        say(_("the file is not what was shown: its SHA-256 is %(sha256)s"), sha256=read.sha256)
        return 1
    with opened_parts(data, config) as parts:
        with parts.context.database.reading() as connection:
            parts.catalogues.check_stable(connection, read)
            _show_changes(connection, parts, read)
        if not apply:
            click.echo(dump({"sha256": read.sha256, "roles": sorted(read.roles)}))
            say_dry()
            return 0
        with parts.context.database.transaction() as connection:
            published = parts.catalogues.publish(connection, read, actor=command_actor())
    row = {"version": published.version, "sha256": published.sha256, "roles": sorted(published.roles)}
    click.echo(dump(row))
    return 0


@catalogue.command("show")
@click.option("--version", type=int, help="Default: the one in force.")
@common_options
def show_catalogue(version: int | None, data: Path, config: Path | None) -> None:
    """Show a catalogue, one role, attribute or exclusion a line."""
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        content = json.loads(parts.catalogues.load(connection, version).to_json())
    for kind in ("roles", "attributes", "exclusions"):
        for row in content.get(kind, ()):
            click.echo(dump(row))


@catalogue.command("diff")
@click.argument("file", type=INPUT)
@common_options
def diff_catalogue(file: Path, data: Path, config: Path | None) -> None:
    """Show what FILE changes, and which live certificates and rules stand on what goes; one a line."""
    read = read_catalogue(file)
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        parts.catalogues.check_stable(connection, read)
        for row in changes_json(connection, parts, read):
            click.echo(dump(row))


def _show_changes(connection: Connection, parts: Parts, read: Catalogue) -> None:
    for row in changes_json(connection, parts, read):
        click.echo(dump(row), err=True)
