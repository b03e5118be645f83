"""`onecert ca certificate list`, `history` and `index`: what was issued, found and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from onecert.ca.commands.parts import actor, opened_ca, plain_serial
from onecert.ca.search.history import history, history_lines
from onecert.ca.search.questions import found_json
from onecert.ca.search.search import LIMIT_MAX
from onecert.ca.search.terms import Query, read_query
from onecert.server.commands.options import common_options

__all__ = ["history_of_certificate", "index_certificates", "list_certificates"]

_HELP = {
    "name": "Part of a name, two characters or more.",
    "name_begins": "The beginning of a name.",
    "alternative_name": "A host name, address or e-mail address.",
    "identity": "A whole identification number.",
    "serial_begins": "Six digits or more.",
    "sha1": "The thumbprint that Windows shows.",
    "key_id": "The subject key identifier.",
    "ordered_by": "ra:NAME or command:USER.",
    "issued_from": "A moment with its zone, such as 2026-12-01T00:00:00+08:00.",
}


def _asked(command: Callable[..., Any]) -> Callable[..., Any]:
    for field in reversed(fields(Query)):
        option = click.option("--" + field.name.replace("_", "-"), field.name, help=_HELP.get(field.name))
        command = option(command)
    return command


@click.command("list")
@_asked
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--numbers", is_flag=True, help="Show the whole numbers of people.")
@common_options
def list_certificates(
    *, limit: int, numbers: bool, data: Path, config: Path | None, **asked: str | None
) -> None:
    """List certificates by everything that is known of them, one JSON object a line."""
    query = read_query({name: value for name, value in asked.items() if value is not None})
    with opened_ca(data, config) as opened:
        after, left = None, limit
        while left:
            page = opened.parts.enquiries.search(
                query, limit=min(left, LIMIT_MAX), after=after, actor=actor()
            )
            for found in page.found:
                click.echo(json.dumps(found_json(found, numbers=numbers), ensure_ascii=False))
            after, left = page.next, left - len(page.found)
            if after is None:
                break


@click.command("history")
@click.option("--authority", required=True)
@click.option("--serial", required=True, help="Hexadecimal.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with certificate and chain.")
@click.option("--numbers", is_flag=True, help="Show the whole numbers of people.")
@common_options
def history_of_certificate(
    *, authority: str, serial: str, as_json: bool, numbers: bool, data: Path, config: Path | None
) -> None:
    """Tell everything that happened to one certificate, oldest first."""
    with opened_ca(data, config) as opened:
        parts = opened.parts
        name = parts.authorities.get(authority).name
        plain = plain_serial(serial)
        told = history(parts.database, parts.authorities, name, plain, numbers=numbers)
        parts.enquiries.record_reading(name, plain, actor=actor(), details={"masked": False})
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        for line in history_lines(told):
            click.echo(line)


@click.command("index")
@common_options
def index_certificates(data: Path, config: Path | None) -> None:
    """Bring the index of the search up to date; the service does so by itself."""
    with opened_ca(data, config) as opened:
        done = 0
        while count := opened.parts.search_index.run():
            done += count
    click.echo(json.dumps({"segments": done}))
