"""`onecert trust-list known`: certificates that are known, to preview what a draft does to holders."""

from __future__ import annotations

import json
from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.operators import command_actor
from onecert.supervision.commands.parts import json_option, opened_supervision
from onecert.supervision.errors import UploadError
from onecert.supervision.known import known_sources, read_known
from onecert.verifier.strict_json import format_time

__all__ = ["known"]

FILE_MAX_BYTES = 64 * 1024 * 1024
_SUFFIXES = {".pem", ".crt", ".cer", ".der", ".csv"}


@click.group()
def known() -> None:
    """Certificates that are known, to preview effects with."""


@known.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILE..."
)
@click.option("--source", metavar="TEXT", help="Where they come from (default: the name of the file).")
@common_options
def known_import(files: tuple[Path, ...], source: str | None, data: Path, config: Path | None) -> None:
    """Add the certificates in each FILE: PEM, DER, CSV with a column certificate, or a folder of them."""
    read = []
    for file in _files(files):
        with file.open("rb") as opened:
            content = opened.read(FILE_MAX_BYTES + 1)
        if len(content) > FILE_MAX_BYTES:
            raise UploadError(f"{file}: > {FILE_MAX_BYTES // 2**20} MiB")
        read.append((file, read_known(content)))
    with opened_supervision(data, config) as (the, _):
        for file, found in read:
            name = (source or file.name)[:200]
            added = the.editor.add_known(found.ders, source=name, actor=command_actor())
            click.echo(f"{file}\t{added}\t{len(found.ders) - added}\t{found.unreadable}")
    click.echo("file, new, there already, unreadable", err=True)


@known.command("list")
@json_option
@common_options
def known_list(as_json: bool, data: Path, config: Path | None) -> None:
    """Show the sources, and how many certificates came from each."""
    with opened_supervision(data, config) as (the, _), the.editor.database.reading() as connection:
        sources = known_sources(connection)
    if as_json:
        rows = [
            {"source": each.source, "count": each.count, "added_at": format_time(each.added_at)}
            for each in sources
        ]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for each in sources:
        click.echo(f"{each.source}\t{each.count}\t{format_time(each.added_at)}")


@known.command("remove")
@click.argument("source")
@common_options
def known_remove(source: str, data: Path, config: Path | None) -> None:
    """Forget the certificates that came from SOURCE."""
    with opened_supervision(data, config) as (the, _):
        click.echo(the.editor.remove_known(source, actor=command_actor()))


def _files(paths: tuple[Path, ...]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(each for each in path.iterdir() if each.suffix.lower() in _SUFFIXES)
        else:
            found.append(path)
    return found
