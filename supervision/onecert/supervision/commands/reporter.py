"""`onecert trust-list reporter`: whose key reports what a CA issues, and the record of it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from onecert.server.commands.options import common_options
from onecert.server.operators import command_actor
from onecert.supervision.commands.parts import TIME, opened_supervision
from onecert.supervision.issuance_rows import Reporter

__all__ = ["reporter"]


@click.group()
def reporter() -> None:
    """Whose key reports what a CA issues, and the record of it."""


@reporter.command("add")
@click.argument("service")
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Public key (PEM), as `onecert ca report key` writes it.",
)
@click.option(
    "--replace", is_flag=True, help="The service has another key already, which counts no more then."
)
@click.option(
    "--stated-until",
    type=TIME,
    metavar="DATE",
    help="Until then, times count as the CA states them: for what it issued before it had to report.",
)
@common_options
def reporter_add(  # noqa: PLR0917 -- click hands over by name
    service: str,
    key_file: Path,
    replace: bool,
    stated_until: datetime | None,
    data: Path,
    config: Path | None,
) -> None:
    """Register the key that reports for SERVICE of the trust list."""
    with opened_supervision(data, config) as (the, _account):
        added = the.issuance_reports.add_reporter(
            service,
            key_file.read_text(encoding="utf-8", errors="replace"),
            actor=command_actor(),
            replace=replace,
            stated_until=stated_until,
        )
    click.echo(_line(added))


@reporter.command("remove")
@click.argument("service")
@click.option("--apply", is_flag=True, help="Do it; without it only say what would be done.")
@common_options
def reporter_remove(service: str, apply: bool, data: Path, config: Path | None) -> None:
    """Take no more reports for SERVICE. What it has reported stays on record."""
    with opened_supervision(data, config) as (the, _account):
        if apply:
            click.echo(_line(the.issuance_reports.remove_reporter(service, actor=command_actor())))
            return
        for each in the.issuance_reports.reporters():
            if each.service == service:
                click.echo(_line(each))
        click.echo("hint: nothing has changed; add --apply to do it", err=True)


@reporter.command("list")
@common_options
def reporter_list(data: Path, config: Path | None) -> None:
    """Show who reports, one JSON object a line."""
    with opened_supervision(data, config) as (the, _account):
        for each in the.issuance_reports.reporters():
            click.echo(_line(each))


@reporter.command("recover")
@click.option("--apply", is_flag=True, help="Do it; without it only say what would be done.")
@common_options
def reporter_recover(apply: bool, data: Path, config: Path | None) -> None:
    """After a restored backup: take what departments have seen from the published record."""
    with opened_supervision(data, config) as (the, _account):
        missing = the.issuance_records.recover(actor=command_actor(), apply=apply)
    click.echo(json.dumps({"recovered" if apply else "missing": missing}))
    if missing and not apply:
        click.echo("hint: nothing has changed; add --apply to do it", err=True)


def _line(each: Reporter) -> str:
    return json.dumps(
        {
            "service": each.service,
            "kid": each.kid,
            "entries": each.entries,
            "reported_at": each.reported_at.isoformat() if each.reported_at else None,
        }
    )
