"""`onecert ca report`: what the supervision is told about issued certificates."""

from __future__ import annotations

import json
from pathlib import Path

import click

from onecert.ca.commands.parts import APPLY, OpenedCa, actor, opened_ca, say_dry
from onecert.ca.reports.assembly import issuance_reports
from onecert.ca.reports.issuance_reports import IssuanceReports
from onecert.server.commands.options import common_options

__all__ = ["report"]


@click.group()
def report() -> None:
    """What the supervision is told about issued certificates."""


@report.command("key")
@common_options
def report_key(data: Path, config: Path | None) -> None:
    """Show the public key (PEM) that the supervision registers; made when there is none."""
    with opened_ca(data, config) as opened:
        click.echo(_reports(opened).public_key_pem(), nl=False)


@report.command("status")
@common_options
def report_status(data: Path, config: Path | None) -> None:
    """Show how far the reports have come, one JSON object for each authority."""
    with opened_ca(data, config) as opened:
        for each in _reports(opened).standing():
            since, last = each.oldest_unreported, each.acknowledged_at
            fields = {
                "authority": each.authority,
                "service": each.service,
                "reported": each.reported,
                "acknowledged_at": last.isoformat() if last else None,
                "oldest_unreported": since.isoformat() if since else None,
            }
            click.echo(json.dumps(fields))


@report.command("send")
@common_options
def report_send(data: Path, config: Path | None) -> None:
    """Send now what the running service would send within half a minute."""
    with opened_ca(data, config) as opened:
        click.echo(json.dumps({"acknowledged": _reports(opened).run()}))


@report.command("again")
@click.argument("authority")
@APPLY
@common_options
def report_again(authority: str, apply: bool, data: Path, config: Path | None) -> None:
    """Report everything of AUTHORITY once more, after the supervision was restored from a backup."""
    with opened_ca(data, config) as opened:
        if apply:
            _reports(opened).begin_again(authority, actor=actor())
        else:
            say_dry()


def _reports(opened: OpenedCa) -> IssuanceReports:
    return issuance_reports(opened.parts, opened.context)
