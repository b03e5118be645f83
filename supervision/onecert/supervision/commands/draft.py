"""`onecert trust-list draft`: import, begin, show, sign, discard the draft of the next list."""

from __future__ import annotations

import json
from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.operators import command_actor
from onecert.supervision.commands.edit import draft_add, draft_edit, draft_sample
from onecert.supervision.commands.parts import opened_supervision, read_pin, show_preview, show_signatures
from onecert.supervision.commands.pointer import pointer
from onecert.supervision.draft import draft_json
from onecert.supervision.draft_file import read_draft_file

__all__ = ["draft"]


@click.group()
def draft() -> None:
    """The draft of the next list."""


@draft.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@common_options
def draft_import(file: Path, data: Path, config: Path | None) -> None:
    """Make FILE the open draft; an open one is discarded."""
    content = read_draft_file(file)
    with opened_supervision(data, config) as (the, _):
        the.editor.import_draft(content, actor=command_actor())
        show_preview(the.editor.preview())


@draft.command("new")
@common_options
def draft_new(data: Path, config: Path | None) -> None:
    """Begin a draft that says what the published list says."""
    with opened_supervision(data, config) as (the, _):
        the.editor.begin_draft(actor=command_actor())
        show_preview(the.editor.preview())


@draft.command("show")
@common_options
def draft_show(data: Path, config: Path | None) -> None:
    """Print the draft as JSON, in the form that `draft import` reads."""
    with opened_supervision(data, config) as (the, _):
        record = the.editor.preview().record
    click.echo(json.dumps(draft_json(record.draft), ensure_ascii=False, indent=2))


@draft.command("diff")
@common_options
def draft_diff(data: Path, config: Path | None) -> None:
    """Show what the draft changes."""
    with opened_supervision(data, config) as (the, _):
        show_preview(the.editor.preview())


@draft.command("sign")
@click.option("--officer", "officer_id", required=True, metavar="ID", help="Whose key signs.")
@common_options
def draft_sign(officer_id: str, data: Path, config: Path | None) -> None:
    """Sign the draft with an officer's key. Two officers who are two people must sign.

    The officer types the PIN of the token; without a terminal it is a line of stdin.
    """
    with opened_supervision(data, config) as (the, _):
        pin = read_pin(f"PIN of {officer_id}")
        the.editor.sign(officer_id, pin=pin, actor=f"operator:{officer_id}")
        show_signatures(the.editor.preview())


@draft.command("discard")
@common_options
def draft_discard(data: Path, config: Path | None) -> None:
    """Give the draft up."""
    with opened_supervision(data, config) as (the, _):
        the.editor.discard_draft(actor=command_actor())
    click.echo("discarded", err=True)


draft.add_command(draft_add)
draft.add_command(pointer)
draft.add_command(draft_edit)
draft.add_command(draft_sample)
