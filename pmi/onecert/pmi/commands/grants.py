"""`onecert pmi grant|approve|revoke|list|export|acrl|verify|decide`."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from onecert.pmi.commands.parts import APPLY, INPUT, OUTPUT, end_of_day, opened_parts, say, say_dry
from onecert.pmi.decisions.decide import Asked
from onecert.pmi.decisions.policy import Resource, read_resource
from onecert.pmi.errors import AuthorityUnknownError, RequestWrongError
from onecert.pmi.grants.acts import Grant, GrantRequest
from onecert.pmi.life.revocation import REASONS
from onecert.pmi.parts import Parts
from onecert.pmi.repository.search import Search, find_certificates, load_certificate
from onecert.pmi.rest.certificates import certificate_json, pem
from onecert.pmi.rest.grants import grant_json
from onecert.server.commands.options import common_options
from onecert.server.languages import _, current_language
from onecert.server.operators import Operator
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.attribute_certificate.parse import PEM_LABEL
from onecert.verifier.certificate import decode_pem, parse_certificate

__all__ = ["COMMANDS"]

OPERATOR = click.option("--operator", "operator_id", required=True, metavar="ID", help="Who acts.")
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
        operator = _operator(parts, operator_id)
        asked = GrantRequest(
            id=grant_id,
            authority=authority or _only_authority(parts),
            holder=holder.read_bytes(),
            roles=roles,
            targets=targets,
            not_after=end_of_day(until),
        )
        if not apply:
            click.echo(_dump(grant_json(parts.grants.preview(asked, operator))))
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
        operator = _operator(parts, operator_id)
        found = parts.grants.load(grant_id)
        if not apply:
            click.echo(_dump(grant_json(found)))
            say_dry()
            return
        _show_grant(parts, parts.grants.approve(grant_id, operator, content_sha256=found.content_sha256))


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
        operator = _operator(parts, operator_id)
        now = parts.context.clock.now()
        if not apply:
            click.echo(_dump(certificate_json(parts.revocations.preview(serial, reason=reason), now)))
            say_dry()
            return
        record, acrl = parts.revocations.revoke(serial, reason=reason, operator=operator)
        number = None if acrl is None else acrl.number
        click.echo(_dump({**certificate_json(record, now), "acrl_number": number}))


@click.command("list")
@click.option("--holder", default="", help="A certificate file, or part of a name, an id, a serial number.")
@click.option("--authority", default="")
@click.option("--role", default="", metavar="URI")
@click.option("--status", default="", help="valid, revoked, expired, intended, abandoned")
@click.option("--page", default=1, type=click.IntRange(1))
@common_options
def list_certificates(
    *, holder: str, authority: str, role: str, status: str, page: int, data: Path, config: Path | None
) -> None:
    """List attribute certificates, newest first, one JSON object a line."""
    if holder and Path(holder).is_file():
        holder = hashlib.sha256(parse_certificate(Path(holder).read_bytes()).der).hexdigest()
    search = Search(holder=holder, authority=authority, role=role, status=status, page=page, per_page=100)
    with opened_parts(data, config) as parts:
        now = parts.context.clock.now()
        with parts.context.database.reading() as connection:
            found, total = find_certificates(connection, search, now)
        for record in found:
            click.echo(_dump(certificate_json(record, now)))
    say(_("%(shown)s of %(total)s"), shown=len(found), total=total)


@click.command()
@click.argument("serial")
@click.option(
    "--out", required=True, type=OUTPUT, help="Write it here: DER if the name ends in .der, else PEM."
)
@common_options
def export(serial: str, out: Path, data: Path, config: Path | None) -> int:
    """Write an attribute certificate into a file."""
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        der = load_certificate(connection, serial).certificate_der
    if der is None:
        say(_("it was never signed"))
        return 1
    if out.suffix == ".der":
        out.write_bytes(der)
    else:
        out.write_text(pem(der), encoding="ascii")
    return 0


@click.command()
@click.argument("authority")
@click.option("--out", type=OUTPUT, help="Write the newest list (DER) here.")
@click.option("--renew", is_flag=True, help="Make and publish a new one first.")
@common_options
def acrl(authority: str, out: Path | None, renew: bool, data: Path, config: Path | None) -> None:
    """Show, renew or write the revocation list of an AUTHORITY."""
    with opened_parts(data, config) as parts:
        if renew:
            parts.publisher.publish(authority)
        with parts.context.database.reading() as connection:
            parts.authorities.load(connection, authority)
            newest = parts.publisher.newest(connection, authority)
    if newest is None:
        raise AuthorityUnknownError(authority)
    if out is not None:
        out.write_bytes(newest.der)
    row = {
        "authority": authority,
        "number": newest.number,
        "this_update": newest.this_update.isoformat(),
        "next_update": newest.next_update.isoformat(),
    }
    click.echo(_dump(row))


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
    click.echo(_dump(row))
    return 0 if decided.decision == "permit" else 1


COMMANDS = (grant, approve, revoke, list_certificates, export, acrl, decide)


def _operator(parts: Parts, operator_id: str) -> Operator:
    with parts.context.database.reading() as connection:
        return parts.context.operators.load(connection, operator_id)


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
    click.echo(_dump(content))
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


def _dump(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False)
