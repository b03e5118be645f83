"""`onecert pmi grant|approve`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from onecert.pmi.commands.parts import (
    APPLY,
    INPUT,
    OPERATOR,
    dump,
    end_of_day,
    opened_parts,
    read_operator,
    say,
    say_dry,
)
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import Grant, GrantRequest
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import load_certificate
from onecert.pmi.rest.certificates import certificate_json
from onecert.pmi.rest.grants import grant_json
from onecert.server.commands.options import common_options
from onecert.server.languages import _

__all__ = ["COMMANDS"]

DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--holder", required=True, type=INPUT, help="The identity certificate, PEM or DER.")
@click.option("--role", "roles", required=True, multiple=True, metavar="URI")
@click.option("--authority", help="Default: the only one there is.")
@click.option("--target", "targets", multiple=True, metavar="URI", help="Only for this application.")
@click.option("--until", type=DAY, help="The last day; default: as long as is allowed.")
@click.option("--id", "grant_id", default="", metavar="UUID", help="Makes it safe to ask twice.")
@OPERATOR
@APPLY
@common_options
def grant(
    *,
    holder: Path,
    roles: tuple[str, ...],
    authority: str | None,
    targets: tuple[str, ...],
    until: datetime | None,
    grant_id: str,
    operator_id: str,
    apply: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Grant roles to a holder; issued at once unless the catalogue wants a second person."""
    with opened_parts(data, config) as parts:
        operator = read_operator(parts, operator_id)
        asked = GrantRequest(
            id=grant_id,
            authority=authority or _only_authority(parts),
            holder=holder.read_bytes(),
            roles=roles,
            targets=targets,
            not_after=end_of_day(until),
        )
        if not apply:
            click.echo(dump(grant_json(parts.grants.preview(asked, operator))))
            say_dry()
            return
        _show_grant(parts, parts.grants.request(asked, operator))


@click.command()
@click.argument("grant_id")
@OPERATOR
@APPLY
@common_options
def approve(grant_id: str, operator_id: str, apply: bool, data: Path, config: Path | None) -> None:
    """Approve a grant as a second person, and issue its attribute certificate."""
    with opened_parts(data, config) as parts:
        operator = read_operator(parts, operator_id)
        found = parts.grants.load(grant_id)
        if not apply:
            click.echo(dump(grant_json(found)))
            say_dry()
            return
        _show_grant(parts, parts.grants.approve(grant_id, operator, content_sha256=found.content_sha256))


COMMANDS = (grant, approve)


def _only_authority(parts: Parts) -> str:
    with parts.context.database.reading() as connection:
        names = [each.name for each in parts.authorities.all(connection)]
    if len(names) != 1:
        raise RequestWrongError("authority", _("name one of several, or set one up first"))
    return names[0]


def _show_grant(parts: Parts, found: Grant) -> None:
    content: dict[str, Any] = grant_json(found)
    if found.serial:
        with parts.context.database.reading() as connection:
            record = load_certificate(connection, found.serial)
        content["certificate"] = certificate_json(record, parts.context.clock.now())
    click.echo(dump(content))
    if found.state == "waiting":
        say(_("hint: a second person approves it: onecert pmi approve %(grant)s"), grant=found.id)
