"""`onecert ca …`: ceremonies and registration authorities here, the other commands in modules of their own.

What cannot be undone shows what it would do until `--apply` is given, and runs the same code either way.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from onecert.ca.ceremonies.ceremony import Ceremony
from onecert.ca.ceremonies.file import load_ceremony_file
from onecert.ca.commands.activation import activation
from onecert.ca.commands.archive import archive
from onecert.ca.commands.authority import authority
from onecert.ca.commands.batch import batch
from onecert.ca.commands.check import check
from onecert.ca.commands.drill import drill
from onecert.ca.commands.key_blocklist import key_blocklist
from onecert.ca.commands.lint import lint_command
from onecert.ca.commands.mass_revocation import mass_revocation, security_officer
from onecert.ca.commands.parts import APPLY, INPUT, actor, opened_ca, say, say_dry
from onecert.ca.commands.profile import profile
from onecert.ca.commands.reconcile import reconcile
from onecert.ca.commands.records import authorities, certificate, delivered, issue
from onecert.ca.commands.reports import report
from onecert.ca.commands.revocation import crl, revoke
from onecert.ca.commands.status import status
from onecert.server.commands.options import common_options
from onecert.server.languages import _

__all__ = ["ca"]


OUTPUT = click.Path(dir_okay=False, path_type=Path)


@click.group()
def ca() -> None:
    """Certification authorities: ceremonies, revocation, lists, certificates of the system."""


@ca.command()
@click.argument("file", type=INPUT)
@APPLY
@click.option("--certificate", "certificate_file", type=INPUT, help="What the outside authority sent.")
@click.option("--out", "out_file", type=OUTPUT, help="Write here what goes to the other side, PEM.")
@click.option("--record", "record_file", type=OUTPUT, help="Write the signed record here.")
@common_options
def ceremony(
    *,
    file: Path,
    apply: bool,
    certificate_file: Path | None,
    out_file: Path | None,
    record_file: Path | None,
    data: Path,
    config: Path | None,
) -> None:
    """Make authorities, and certificates between them, from a reviewed FILE; see docs/ceremonies.md.

    Run twice, the second time changes nothing; interrupted, it goes on where it stopped.
    """
    reviewed = load_ceremony_file(file)
    certificate = certificate_file.read_bytes() if certificate_file is not None else None
    with opened_ca(data, config) as opened:
        held = Ceremony(reviewed, opened.parts, opened.roots, actor=actor(), certificate=certificate)
        for line in held.preview():
            click.echo(line)
        if held.is_held():
            say(_("this ceremony was held already; nothing changes"))
        elif not apply:
            say_dry()
            return
        if apply:
            try:
                for step in held.hold():
                    click.echo(f"{'+' if step.changed else '='} {step.text}")
            finally:
                if out_file is not None and held.for_others:
                    out_file.write_text(held.for_others, encoding="ascii")
        record = held.record()
        if record_file is not None and record is not None:
            record_file.write_bytes(record)


@click.group("registration-authority")
def registration_authority() -> None:
    """Whose orders count."""


@registration_authority.command("add")
@click.argument("name")
@click.option("--key", "key_file", required=True, type=INPUT)
@click.option("--scope", "scopes", required=True, multiple=True, metavar="AUTHORITY:PROFILE")
@common_options
def add_registration_authority(
    name: str, key_file: Path, scopes: tuple[str, ...], data: Path, config: Path | None
) -> None:
    """Register NAME with the public key that signs its orders, or set its scope anew."""
    with opened_ca(data, config) as opened:
        entry = opened.parts.registration_authorities.add(
            name, key_file.read_text(encoding="ascii"), list(scopes), actor=actor()
        )
    click.echo(json.dumps({"name": entry.name, "kid": entry.key_id, "scopes": sorted(entry.scopes)}))


@registration_authority.command("remove")
@click.argument("name")
@common_options
def remove_registration_authority(name: str, data: Path, config: Path | None) -> int:
    """Remove NAME; its orders are refused from now on."""
    with opened_ca(data, config) as opened:
        removed = opened.parts.registration_authorities.remove(name, actor=actor())
    if not removed:
        say(_("there is no registration authority %(name)s"), name=name)
        return 1
    return 0


@registration_authority.command("list")
@common_options
def list_registration_authorities(data: Path, config: Path | None) -> None:
    """List names, key ids and scopes, one JSON object a line."""
    with opened_ca(data, config) as opened:
        for entry in opened.parts.registration_authorities.entries():
            click.echo(json.dumps({"name": entry.name, "kid": entry.key_id, "scopes": sorted(entry.scopes)}))


for _command in (
    profile,
    registration_authority,
    activation,
    authorities,
    authority,
    batch,
    certificate,
    check,
    crl,
    delivered,
    issue,
    key_blocklist,
    lint_command,
    reconcile,
    report,
    revoke,
    status,
):
    ca.add_command(_command)
for _command in (archive, drill, mass_revocation, security_officer):
    ca.add_command(_command)
