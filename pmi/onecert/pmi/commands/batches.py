"""`onecert pmi batch …`: many grants from a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import click

from onecert.pmi.commands.parts import (
    APPLY,
    INPUT,
    OPERATOR,
    dump,
    only_authority,
    opened_parts,
    read_operator,
    say,
    say_dry,
)
from onecert.pmi.grants.sheets import read_sheet
from onecert.pmi.holders.find import holder_finder
from onecert.pmi.parts import Parts
from onecert.pmi.rest.grant_json import batch_json, wrong_json
from onecert.server.commands.options import common_options
from onecert.server.languages import _
from onecert.server.operators.store import command_actor

__all__ = ["batch"]


@click.group()
def batch() -> None:
    """Many grants at once: from a file, approved as a whole."""


@batch.command("request")
@click.argument("file", type=INPUT)
@click.option("--authority", help="Default: the only one there is.")
@click.option("--id", "batch_id", default="", metavar="UUID", help="Makes it safe to ask twice.")
@click.option(
    "--only-good", is_flag=True, help="Leave out rows with faults; without this, one keeps all out."
)
@OPERATOR
@APPLY
@common_options
def request_batch(
    *,
    file: Path,
    authority: str | None,
    batch_id: str,
    only_good: bool,
    operator_id: str,
    apply: bool,
    data: Path,
    config: Path | None,
) -> int:
    """Ask for the grants in FILE: CSV with a header, or one JSON object a line. Exit code 1: faults."""
    with opened_parts(data, config) as parts:
        operator = read_operator(parts, operator_id)
        giver = authority or only_authority(parts)
        with parts.context.database.reading() as connection:
            catalogue = parts.catalogues.load(connection)
        rows = read_sheet(file.read_bytes(), catalogue, _finder(parts, file.parent), authority=giver)
        if not apply:
            judged = parts.batches.check(giver, rows, operator)
            wrong = [wrong_json(row) for row in judged if row.error is not None]
            click.echo(dump({"rows": len(judged), "wrong": wrong}))
            say_dry()
            return 1 if wrong else 0
        made = parts.batches.request(batch_id, giver, rows, operator, only_good=only_good)
        click.echo(dump(batch_json(made)))
        if made.state == "waiting":
            say(_("hint: a second person approves it: onecert pmi batch approve %(batch)s"), batch=made.id)
        if not made.state:
            say(_("nothing was recorded: correct the rows, or leave them out with --only-good"))
            return 1
    return 0


@batch.command("approve")
@click.argument("batch_id")
@OPERATOR
@APPLY
@common_options
def approve_batch(batch_id: str, operator_id: str, apply: bool, data: Path, config: Path | None) -> None:
    """Approve a batch as a second person, and issue its attribute certificates."""
    with opened_parts(data, config) as parts:
        operator = read_operator(parts, operator_id)
        found = parts.batches.load(batch_id)
        if not apply:
            click.echo(dump(batch_json(found)))
            say_dry()
            return
        parts.batches.approve(batch_id, operator, content_sha256=found.content_sha256)
        parts.batches.issue(batch_id, actor=operator.actor)
        click.echo(dump(batch_json(parts.batches.load(batch_id))))


@batch.command("refuse")
@click.argument("batch_id")
@click.option("--why", required=True, help="One sentence, for the person who asked.")
@OPERATOR
@common_options
def refuse_batch(batch_id: str, why: str, operator_id: str, data: Path, config: Path | None) -> None:
    """Refuse a batch that waits, or withdraw one's own."""
    with opened_parts(data, config) as parts:
        operator = read_operator(parts, operator_id)
        click.echo(dump(batch_json(parts.batches.refuse(batch_id, operator, why))))


@batch.command("issue")
@click.argument("batch_id")
@common_options
def issue_batch(batch_id: str, data: Path, config: Path | None) -> None:
    """Go on with an approved batch that was interrupted."""
    with opened_parts(data, config) as parts:
        parts.batches.issue(batch_id, actor=command_actor())
        click.echo(dump(batch_json(parts.batches.load(batch_id))))


@batch.command("show")
@click.argument("batch_id")
@click.option("--certificates", is_flag=True, help="Each serial number with the SHA-256 of its certificate.")
@common_options
def show_batch(batch_id: str, certificates: bool, data: Path, config: Path | None) -> None:
    """Show a batch; its certificates one a line, as the audit entries of its chunks hash them."""
    with opened_parts(data, config) as parts:
        click.echo(dump(batch_json(parts.batches.load(batch_id))))
        if not certificates:
            return
        for serial, der in parts.batches.certificates_of(batch_id):
            click.echo(f"{serial} {hashlib.sha256(der).hexdigest()}")


def _finder(parts: Parts, folder: Path) -> Callable[[str], bytes]:
    known = holder_finder(parts.context.database)

    def find(text: str) -> bytes:
        beside = folder / text if len(text) <= 255 and "\n" not in text else None
        return beside.read_bytes() if beside is not None and beside.is_file() else known(text)

    return find
