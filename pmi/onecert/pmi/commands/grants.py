"""`onecert pmi grant|approve|decide`."""

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
from onecert.pmi.decisions.decide import Asked
from onecert.pmi.decisions.policy import Resource, read_resource
from onecert.pmi.errors import RequestWrongError
from onecert.pmi.grants.acts import Grant, GrantRequest
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import load_certificate
from onecert.pmi.rest.certificates import certificate_json
from onecert.pmi.rest.grants import grant_json
from onecert.server.commands.options import common_options
from onecert.server.languages import _, current_language
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.attribute_certificate.parse import PEM_LABEL
from onecert.verifier.certificate import decode_pem

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


@click.command()
@click.option("--holder", required=True, type=INPUT, help="The identity certificate, PEM or DER.")
@click.option("--action", required=True)
@click.option("--resource", required=True, metavar="TYPE::ID")
@click.option("--attribute", "attributes", multiple=True, metavar="NAME=VALUE", help="Of the resource.")
@click.option(
    "--attribute-certificate", "files", multiple=True, type=INPUT, help="Default: the repository's."
)
@click.option("--target", metavar="URI", help="Who the relying party is.")
@common_options
def decide(
    *,
    holder: Path,
    action: str,
    resource: str,
    attributes: tuple[str, ...],
    files: tuple[Path, ...],
    target: str | None,
    data: Path,
    config: Path | None,
) -> int:
    """Ask whether a holder may do something. Exit code 0: permit, 1: deny."""
    try:
        named = read_resource(resource)
    except ValueError as exc:
        raise RequestWrongError("resource", str(exc)) from exc
    asked = Asked(
        certificate=holder.read_bytes(),
        action=action,
        resource=Resource(type=named.type, id=named.id, attributes=dict(map(_attribute, attributes))),
        attribute_certificates=[_der(file.read_bytes()) for file in files] if files else None,
        target=TargetIdentity.from_uris(target) if target else None,
    )
    with opened_parts(data, config) as parts:
        decided = parts.decider.decide(asked)
    language = current_language()
    row = {
        "decision": decided.decision,
        "result": decided.answer.result.value,
        "reasons": [reason.as_dict(language) for reason in decided.reasons],
        "obligations": list(decided.answer.obligations),
        "decision_id": decided.id,
        "policy_sha256": decided.policy.sha256,
        "subject": decided.identity.entity,
        "roles": list(decided.roles),
    }
    click.echo(dump(row))
    return 0 if decided.decision == "permit" else 1


COMMANDS = (grant, approve, decide)


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


def _attribute(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise RequestWrongError("attribute", _("not in the form NAME=VALUE"))
    if value in {"true", "false"}:
        return name, value == "true"
    return name, int(value) if value.removeprefix("-").isdigit() else value


def _der(data: bytes) -> bytes:
    return decode_pem(data, PEM_LABEL) if data.lstrip().startswith(b"-----") else data
