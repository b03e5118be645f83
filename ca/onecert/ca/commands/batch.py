"""`onecert ca batch`: batches of a registration authority brought in, watched and read at the CA itself."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import click

from onecert.ca.batches.documents import PART_MAX_BYTES
from onecert.ca.commands.parts import APPLY, INPUT, actor, opened_ca, say, say_dry
from onecert.server.commands.options import common_options
from onecert.server.languages import _

__all__ = ["batch"]


@click.group()
def batch() -> None:
    """Many orders under one signature."""


@batch.command("submit")
@click.argument("head", type=INPUT)
@click.argument("lines", type=INPUT)
@common_options
def submit_batch(head: Path, lines: Path, data: Path, config: Path | None) -> None:
    """Take a batch in: the signed HEAD and all its LINES. The running service fills it; repeat at will."""
    with opened_ca(data, config) as opened:
        batches = opened.parts.batches
        progress, _is_new = batches.open(head.read_bytes())
        with lines.open("rb") as file:
            for part in batches.head(progress.batch).parts:
                content = b"".join(islice(iter(lambda: file.readline(PART_MAX_BYTES), b""), part.lines))
                progress = batches.add_part(progress.batch, part.number, content)
    click.echo(json.dumps(progress.as_json()))


@batch.command("status")
@click.argument("number")
@common_options
def show_batch(number: str, data: Path, config: Path | None) -> None:
    """Tell how far the batch NUMBER has come."""
    with opened_ca(data, config) as opened:
        click.echo(json.dumps(opened.parts.batches.progress(number).as_json()))


@batch.command("results")
@click.argument("number")
@click.option("--after", default=0, type=click.IntRange(0), help="The last line that you have already.")
@common_options
def show_results(number: str, after: int, data: Path, config: Path | None) -> None:
    """Write the results of the batch NUMBER as far as they are there, one JSON object a line."""
    with opened_ca(data, config) as opened:
        while True:
            *lines, last = opened.parts.batches.results(number, after=after)
            if not lines:
                return
            click.echo(b"".join(lines).decode(), nl=False)
            after = int(json.loads(last)["after"])


@batch.command("cancel")
@click.argument("number")
@APPLY
@common_options
def cancel_batch(number: str, apply: bool, data: Path, config: Path | None) -> None:
    """Begin no more lines of the batch NUMBER; what is on record already is finished."""
    with opened_ca(data, config) as opened:
        progress = opened.parts.batches.progress(number)
        if not apply:
            left = progress.lines - progress.issued - progress.refused - progress.cancelled
            say(_("would cancel up to %(lines)s lines of the batch %(batch)s"), lines=left, batch=number)
            say_dry()
            return
        progress = opened.parts.batches.cancel(number, actor=actor())
    click.echo(json.dumps(progress.as_json()))
