"""`onecert pmi revoke`."""

from __future__ import annotations

from pathlib import Path

import click

from onecert.pmi.commands.parts import APPLY, OPERATOR, dump, opened_parts, read_operator, say_dry
from onecert.pmi.life.revocation import REASONS
from onecert.pmi.rest.certificates import certificate_json
from onecert.server.commands.options import common_options

__all__ = ["COMMANDS"]


@click.command()
@click.argument("serial")
@click.option("--reason", type=click.Choice(list(REASONS)), default="privilegeWithdrawn", show_default=True)
@OPERATOR
@APPLY
@common_options
def revoke(
    *, serial: str, reason: str, operator_id: str, apply: bool, data: Path, config: Path | None
) -> None:
    """Revoke the attribute certificate with this SERIAL (hexadecimal) and publish the list."""
    with opened_parts(data, config) as parts:
        operator = read_operator(parts, operator_id)
        now = parts.context.clock.now()
        if not apply:
            click.echo(dump(certificate_json(parts.revocations.preview(serial, reason=reason), now)))
            say_dry()
            return
        record, acrl = parts.revocations.revoke(serial, reason=reason, operator=operator)
        number = None if acrl is None else acrl.number
        click.echo(dump({**certificate_json(record, now), "acrl_number": number}))


COMMANDS = (revoke,)
