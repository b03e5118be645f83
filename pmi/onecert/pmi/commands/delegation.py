"""`onecert pmi delegation …`: grant, list, tree, revoke."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from onecert.pmi.authorities.states import REASONS
from onecert.pmi.authorities.tree import Node, read_tree
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
from onecert.pmi.grants.acts import GrantRequest
from onecert.pmi.grants.request import DELEGATION
from onecert.pmi.parts import Parts
from onecert.pmi.rest.authority_json import certificate_pem
from onecert.pmi.rest.certificates import certificate_json
from onecert.pmi.rest.grant_json import grant_json
from onecert.server.commands.options import common_options
from onecert.server.languages import _

__all__ = ["delegation"]

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def delegation() -> None:
    """What authorities let other authorities give."""


@delegation.command("grant")
@click.argument("giver")
@click.option("--to", "receiver", help="The name of an authority here.")
@click.option("--certificate", type=INPUT, help="The certificate of an authority elsewhere, PEM or DER.")
@click.option("--role", "roles", multiple=True, metavar="URI")
@click.option("--attribute", "attributes", multiple=True, metavar="NAME=JSON", help="One value; repeat it.")
@click.option("--depth", type=click.IntRange(0, 16), help="How many further delegations may follow.")
@click.option("--permitted", multiple=True, metavar="NAME", help="Holders below this, such as O=…,C=CN.")
@click.option("--excluded", multiple=True, metavar="NAME", help="No holders below this.")
@click.option("--until", type=_DAY, help="The last day; default: as long as is allowed.")
@click.option("--id", "grant_id", default="", metavar="UUID", help="Makes it safe to ask twice.")
@OPERATOR
@APPLY
@common_options
def grant(
    *,
    giver: str,
    receiver: str | None,
    certificate: Path | None,
    roles: tuple[str, ...],
    attributes: tuple[str, ...],
    depth: int | None,
    permitted: tuple[str, ...],
    excluded: tuple[str, ...],
    until: datetime | None,
    grant_id: str,
    operator_id: str,
    apply: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Ask for a delegation by the authority GIVER; another administrator approves it.

    Without --depth, the receiver may delegate as far as what is above it allows.
    """
    constraints: dict[str, Any] = {} if depth is None else {"depth": depth}
    constraints |= {
        name: list(names) for name, names in (("permitted", permitted), ("excluded", excluded)) if names
    }
    with opened_parts(data, config) as parts:
        asked = GrantRequest(
            kind=DELEGATION,
            id=grant_id,
            authority=giver,
            holder=_certificate_of(parts, receiver, certificate),
            roles=roles,
            attributes=_read_attributes(attributes),
            holder_form="key",
            constraints=constraints,
            not_after=end_of_day(until),
        )
        operator = read_operator(parts, operator_id)
        if not apply:
            click.echo(dump(grant_json(parts.grants.preview(asked, operator))))
            say_dry()
            return
        found = parts.grants.request(asked, operator)
        click.echo(dump(grant_json(found)))
        say(_("hint: a second person approves it: onecert pmi approve %(grant)s"), grant=found.id)


@delegation.command("list")
@common_options
def list_delegations(data: Path, config: Path | None) -> None:
    """List the delegations that have not ended, one JSON object a line."""
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        tree, _given = read_tree(connection, parts.context.clock.now())
    for nodes in tree.values():
        for node in nodes:
            _echo(node)


@delegation.command("tree")
@common_options
def show_tree(data: Path, config: Path | None) -> None:
    """Draw who delegated to whom, with the certificates under each delegation."""
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        tree, given = read_tree(connection, parts.context.clock.now())
    for name, nodes in sorted(tree.items()):
        click.echo(f"{name} ({given.get(name, 0)})")
        for node in nodes:
            _draw(node, "  ")


@delegation.command("revoke")
@click.argument("serial")
@click.option("--reason", required=True, type=click.Choice(list(REASONS)))
@OPERATOR
@APPLY
@common_options
def revoke(
    *, serial: str, reason: str, operator_id: str, apply: bool, data: Path, config: Path | None
) -> None:
    """Revoke one delegation; what was given under it ends with it, unless another one covers it."""
    with opened_parts(data, config) as parts:
        operator, now = read_operator(parts, operator_id), parts.context.clock.now()
        if not apply:
            click.echo(dump(certificate_json(parts.revocations.preview(serial, reason=reason), now)))
            say_dry()
            return
        record, _acrl = parts.revocations.revoke(serial, reason=reason, operator=operator)
        click.echo(dump(certificate_json(record, now)))


def _certificate_of(parts: Parts, receiver: str | None, certificate: Path | None) -> bytes:
    if (receiver is None) == (certificate is None):
        raise RequestWrongError("to", _("either the name of an authority of ours, or a certificate"))
    if certificate is not None:
        return certificate.read_bytes()
    with parts.context.database.reading() as connection:
        return certificate_pem(parts.authorities.load(connection, str(receiver))).encode()


def _read_attributes(given: tuple[str, ...]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for each in given:
        name, equals, text = each.partition("=")
        try:
            if not equals:
                raise ValueError("no value")
            value = json.loads(text)
        except ValueError as exc:
            raise RequestWrongError("attribute", _("not NAME=VALUE with a value in JSON")) from exc
        found.setdefault(name, []).append(value)
    return found


def _echo(node: Node) -> None:
    content = node.as_dict()
    below = content.pop("delegations")
    click.echo(dump({**content, "delegations": len(below)}))
    for each in node.below:
        _echo(each)


def _draw(node: Node, indent: str) -> None:
    holder = node.holder or node.holder_name
    state = "" if node.state == "issued" else f", {node.state}"
    until = f"{node.not_after:%Y-%m-%d}"
    click.echo(f"{indent}{holder} ({node.certificates}) {node.serial[:12]} until {until}{state}")
    for each in node.below:
        _draw(each, indent + "  ")
