"""`onecert ca reconcile`: after a restore, tell the record what is outside."""

from __future__ import annotations

from pathlib import Path

import click

from onecert.ca.commands.parts import APPLY, actor, opened_ca, say, say_dry
from onecert.ca.operation.reconcile import read_outside
from onecert.ca.operation.reconcile import reconcile as bring_together
from onecert.server.commands.options import common_options
from onecert.server.languages import _

__all__ = ["reconcile"]


@click.command()
@click.argument("places", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--approved-by", "approved_by", multiple=True, metavar="NAME", help="Two people; give it twice."
)
@APPLY
@common_options
def reconcile(
    *, places: tuple[Path, ...], approved_by: tuple[str, ...], apply: bool, data: Path, config: Path | None
) -> int:
    """Compare the record with lists and certificates that are outside: files, or folders of them.

    Numbers of lists never go back, what was revoked stays so, and an unknown certificate of ours is put on
    record and revoked. Exit 1 while a list names a serial that no file explains.
    """
    if apply and len({each.strip().casefold() for each in approved_by} - {""}) < 2:
        raise click.UsageError("--apply needs --approved-by twice, by two people")
    files = [each for place in places for each in (sorted(place.rglob("*")) if place.is_dir() else [place])]
    with opened_ca(data, config) as opened:
        outside = read_outside(opened.parts, [each.read_bytes() for each in files if each.is_file()])
        done = bring_together(opened.parts, outside, approved_by=approved_by, apply=apply, actor=actor())
    for name, number in done.numbers.items():
        click.echo(f"number\t{name}\t{number}")
    for what, found in (
        ("revoked", done.revoked),
        ("unknown", done.unknown),
        ("unexplained", done.only_listed),
    ):
        for name, serial in found:
            click.echo(f"{what}\t{name}\t{serial}")
    if outside.foreign:
        say(_("%(count)s files or certificates are not of this CA"), count=outside.foreign)
    if not apply:
        say_dry()
    return 1 if done.only_listed else 0
