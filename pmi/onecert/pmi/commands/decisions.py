"""`onecert pmi decide`, `who-can`, `what-can`, `decisions show|replay|find`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from onecert.pmi.commands.parts import INPUT, dump, opened_parts
from onecert.pmi.decisions.decide import Asked
from onecert.pmi.errors import RequestWrongError
from onecert.server.commands.options import common_options
from onecert.server.languages import _, current_language
from onecert.verifier.attribute_certificate import TargetIdentity
from onecert.verifier.attribute_certificate.parse import PEM_LABEL
from onecert.verifier.certificate import decode_pem
from onecert.verifier.decision import QuestionWrongError, Resource, read_resource

__all__ = ["COMMANDS"]


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
    asked = Asked(
        certificate=holder.read_bytes(),
        action=action,
        resource=_resource(resource, attributes),
        attribute_certificates=[_der(file.read_bytes()) for file in files] if files else None,
        target=TargetIdentity.from_uris(target) if target else None,
    )
    with opened_parts(data, config) as parts:
        decision = parts.decider.decide(asked)
    click.echo(dump(decision.as_dict(current_language())))
    return 0 if decision.is_permitted else 1


COMMANDS = (decide,)


def _resource(text: str, attributes: tuple[str, ...]) -> Resource:
    try:
        named = read_resource(text)
    except QuestionWrongError as exc:
        raise RequestWrongError("resource", str(exc.facts["detail"])) from exc
    return Resource(type=named.type, id=named.id, attributes=dict(map(_attribute, attributes)))


def _attribute(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise RequestWrongError("attribute", _("not in the form NAME=VALUE"))
    if value in {"true", "false"}:
        return name, value == "true"
    return name, int(value) if value.removeprefix("-").isdigit() else value


def _der(data: bytes) -> bytes:
    return decode_pem(data, PEM_LABEL) if data.lstrip().startswith(b"-----") else data
