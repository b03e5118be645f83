"""`onecert pmi grant|approve|refuse|withdraw`."""

from __future__ import annotations

import json
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
    only_authority,
    opened_parts,
    read_operator,
    say,
    say_dry,
)
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import Grant, GrantRequest
from onecert.pmi.grants.request import DRAWN, HOLDER_FORMS
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import load_certificate
from onecert.pmi.rest.certificates import certificate_json
from onecert.pmi.rest.grant_json import grant_json
from onecert.server.commands.options import common_options
from onecert.server.languages import _

__all__ = ["COMMANDS"]

DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--holder", required=True, type=INPUT, help="The identity certificate, PEM or DER.")
@click.option("--role", "roles", multiple=True, metavar="URI")
@click.option(
    "--value", "values", multiple=True, metavar="NAME=VALUE", help="Another attribute of the catalogue."
)
@click.option("--authority", help="Default: the only one there is.")
@click.option("--target", "targets", multiple=True, metavar="URI", help="Only for this application.")
@click.option("--target-group", "target_groups", multiple=True, metavar="URI", help="Only for this group.")
@click.option(
    "--holder-form",
    type=click.Choice(HOLDER_FORMS),
    default=HOLDER_FORMS[0],
    show_default=True,
    help="What the certificate names its holder by.",
)
@click.option("--short-lived", is_flag=True, help="For 24 hours at most, without revocation.")
@click.option("--audit-identity", is_flag=True, help="With a pseudonym for the logs of applications.")
@click.option("--recipient", type=INPUT, help="Certificate of who may read encrypted attributes.")
@click.option("--until", type=DAY, help="The last day; default: as long as is allowed.")
@click.option("--id", "grant_id", default="", metavar="UUID", help="Makes it safe to ask twice.")
@OPERATOR
@APPLY
@common_options
def grant(
    *,
    holder: Path,
    roles: tuple[str, ...],
    values: tuple[str, ...],
    authority: str | None,
    targets: tuple[str, ...],
    target_groups: tuple[str, ...],
    holder_form: str,
    short_lived: bool,
    audit_identity: bool,
    recipient: Path | None,
    until: datetime | None,
    grant_id: str,
    operator_id: str,
    apply: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Grant roles and attributes to a holder; issued at once unless the catalogue wants a second person."""
    with opened_parts(data, config) as parts:
        operator = read_operator(parts, operator_id)
        asked = GrantRequest(
            id=grant_id,
            authority=authority or only_authority(parts),
            holder=holder.read_bytes(),
            attributes=_attributes(parts, values),
            roles=roles,
            targets=targets,
            target_groups=target_groups,
            holder_form=holder_form,
            short_lived=short_lived,
            audit_identity=DRAWN if audit_identity else "",
            recipient=b"" if recipient is None else recipient.read_bytes(),
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


@click.command()
@click.argument("grant_id")
@click.option("--why", required=True, help="One sentence, for the person who asked.")
@OPERATOR
@common_options
def refuse(grant_id: str, why: str, operator_id: str, data: Path, config: Path | None) -> None:
    """Refuse a grant that waits for approval."""
    with opened_parts(data, config) as parts:
        operator = read_operator(parts, operator_id)
        click.echo(dump(grant_json(parts.grants.refuse(grant_id, operator, why))))


@click.command()
@click.argument("grant_id")
@OPERATOR
@common_options
def withdraw(grant_id: str, operator_id: str, data: Path, config: Path | None) -> None:
    """Take back one's own grant that waits for approval."""
    with opened_parts(data, config) as parts:
        operator = read_operator(parts, operator_id)
        click.echo(dump(grant_json(parts.grants.withdraw(grant_id, operator))))


COMMANDS = (grant, approve, refuse, withdraw)


def _attributes(parts: Parts, given: tuple[str, ...]) -> dict[str, list[Any]]:
    """Take NAME=VALUE: a text, or JSON where the attribute's values are not texts."""
    found: dict[str, list[Any]] = {}
    if not given:
        return found
    with parts.context.database.reading() as connection:
        catalogue = parts.catalogues.load(connection)
    for each in given:
        name, separator, text = each.partition("=")
        if not separator:
            raise RequestWrongError("value", _("not in the form NAME=VALUE"))
        value: Any = text
        if catalogue.attribute(name).takes_json:
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as exc:
                raise RequestWrongError(name, _("a value is not JSON")) from exc
        found.setdefault(name, []).append(value)
    return found


def _show_grant(parts: Parts, found: Grant) -> None:
    content: dict[str, Any] = grant_json(found)
    if found.serial:
        with parts.context.database.reading() as connection:
            record = load_certificate(connection, found.serial)
        content["certificate"] = certificate_json(record, parts.context.clock.now())
    click.echo(dump(content))
    if found.state == "waiting":
        say(_("hint: a second person approves it: onecert pmi approve %(grant)s"), grant=found.id)
