"""`onecert ca check`: reads everything that was issued again and compares it with the record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from onecert.ca.checking.checked_record import RULES, Finding, is_about_list
from onecert.ca.checking.rounds import LISTS, RECORD
from onecert.ca.commands.parts import opened_ca, plain_serial, say
from onecert.ca.parts import Parts
from onecert.server.commands.options import common_options
from onecert.server.languages import _, gettext

__all__ = ["check"]


@click.command()
@click.option("--authority", default=None, help="Only the certificates and lists of this one.")
@click.option("--serial", default=None, help="Only this certificate, in hexadecimal; needs --authority.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding.")
@common_options
def check(
    *, authority: str | None, serial: str | None, as_json: bool, data: Path, config: Path | None
) -> int:
    """Read all certificates and lists again and name what does not agree with the record.

    Changes nothing. Exit 0: nothing was found; 1: each line is a finding.
    """
    if serial is not None and authority is None:
        raise click.UsageError("--serial needs --authority")
    found: list[Finding] = []
    checked = 0
    with opened_ca(data, config) as opened:
        parts = opened.parts
        started = parts.clock.now()
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=None)
            for count, finding in _findings(parts, authority, serial):
                checked += count
                progress.update(task, completed=checked)
                if finding is not None:
                    found.append(finding)
                    click.echo(json.dumps(finding.as_json()) if as_json else _line(finding))
        if authority is None:
            # A whole round: what it says counts from now on.
            of_lists = [finding for finding in found if is_about_list(finding)]
            of_record = [finding for finding in found if not is_about_list(finding)]
            parts.check_rounds.record(RECORD, started, checked, of_record)
            parts.check_rounds.record(LISTS, started, 0, of_lists)
    say(_("%(checked)s certificates read, %(found)s findings"), checked=checked, found=len(found))
    return 1 if found else 0


def _findings(
    parts: Parts, authority: str | None, serial: str | None
) -> Iterator[tuple[int, Finding | None]]:
    """Yield how many certificates were read since the last time, each time with a finding or none."""
    if authority is not None and serial is not None:
        record = parts.ledger.certificate(parts.authorities.get(authority).name, plain_serial(serial))
        yield 1, None
        yield from ((0, finding) for finding in parts.checker.check(authority, record.serial))
        return
    chosen = parts.authorities.reload() if authority is None else [parts.authorities.get(authority)]
    for page in parts.checker.pages(authority=authority):
        yield page.checked, None
        yield from ((0, finding) for finding in page.findings)
    for each in chosen:
        yield from ((0, finding) for finding in parts.list_checker.check(each))


def _line(finding: Finding) -> str:
    where = f"{finding.authority}/{finding.serial}" if finding.serial else finding.authority
    text = gettext(RULES[finding.rule])
    return f"{finding.rule}\t{where}\t{text}" + (f"\t{finding.facts}" if finding.facts else "")
