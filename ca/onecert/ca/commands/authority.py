"""`onecert ca authority …`: what an authority is, and its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from onecert.ca.authorities.authorities import DESTROYED, RETIRED, Authority
from onecert.ca.authorities.life import AuthorityLife
from onecert.ca.commands.parts import APPLY, OpenedCa, actor, opened_ca, say, say_dry
from onecert.server.commands.options import common_options
from onecert.server.languages import _

__all__ = ["authority"]

PEOPLE = click.option("--approved-by", "people", multiple=True, help="Twice: the two people who approved.")
RECORD = click.option(
    "--record",
    "record_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the signed record here.",
)


@click.group()
def authority() -> None:
    """What an authority is, and its end."""


@authority.command("list")
@common_options
def list_authorities(data: Path, config: Path | None) -> None:
    """List the authorities with line and state, one JSON object a line."""
    with opened_ca(data, config) as opened:
        for each in opened.parts.authorities.reload():
            click.echo(json.dumps(_shown(opened, each), ensure_ascii=False))


@authority.command("show")
@click.argument("name")
@common_options
def show_authority(name: str, data: Path, config: Path | None) -> None:
    """Show NAME with what it still has to answer for, as JSON."""
    with opened_ca(data, config) as opened:
        found = opened.parts.authorities.get(name)
        life = _life(opened)
        standing = life.standing(name)
        shown = _shown(opened, found) | {
            "certificates_not_ended": standing.not_ended,
            "certificates_good": standing.good,
            "last_certificate_ends": standing.last_end.isoformat() if standing.last_end else None,
            "key_label": found.key_label,
            "key_identifier": found.issuer.key_id.hex(),
            "further_certificates": len(found.further_der),
            "records": [act for act in (RETIRED, DESTROYED) if life.record(name, act) is not None],
        }
        click.echo(json.dumps(shown, ensure_ascii=False, indent=2))


@authority.command("retire")
@click.argument("name")
@click.option("--reason", default="")
@PEOPLE
@APPLY
@RECORD
@common_options
def retire(
    *,
    name: str,
    reason: str,
    people: tuple[str, ...],
    apply: bool,
    record_file: Path | None,
    data: Path,
    config: Path | None,
) -> None:
    """Let NAME issue no more; lists, OCSP and revocation go on."""
    with opened_ca(data, config) as opened:
        life = _life(opened)
        found = life.check_retire(name, people)
        filling = opened.parts.authorities.filling(found.line)
        say(
            _("would retire %(name)s; orders for %(line)s are filled by %(filling)s"),
            name=name,
            line=found.line,
            filling="-" if filling.name == name else filling.name,
        )
        if not apply:
            say_dry()
            return
        _write(life.retire(name, people, reason), record_file)
        say(_("retired: %(name)s"), name=name)


@authority.command("destroy-key")
@click.argument("name")
@click.option("--compromised", is_flag=True, help="Its key is known to others: do not wait.")
@PEOPLE
@APPLY
@RECORD
@common_options
def destroy_key(
    *,
    name: str,
    compromised: bool,
    people: tuple[str, ...],
    apply: bool,
    record_file: Path | None,
    data: Path,
    config: Path | None,
) -> None:
    """Publish the last lists of NAME and destroy its key, for good."""
    with opened_ca(data, config) as opened:
        life = _life(opened)
        found = life.check_destroy(name, people, compromised=compromised)
        say(
            _("would publish the last lists of %(name)s and destroy the key %(key)s on its token"),
            name=name,
            key=found.key_label,
        )
        if not apply:
            say_dry()
            return
        _write(life.destroy(name, people, compromised=compromised), record_file)
        say(_("destroyed: the key of %(name)s"), name=name)


def _life(opened: OpenedCa) -> AuthorityLife:
    return AuthorityLife(opened.parts, opened.roots, actor=actor())


def _write(record: bytes, path: Path | None) -> None:
    if path is not None:
        path.write_bytes(record)


def _shown(opened: OpenedCa, found: Authority) -> dict[str, Any]:
    latest = opened.parts.publisher.latest(found.name)
    return {
        "name": found.name,
        "kind": found.kind,
        "state": found.state,
        "issuer": found.issuer_name,
        "line": found.line,
        "orders_from": found.orders_from.isoformat() if found.orders_from else None,
        "predecessor": found.predecessor or None,
        "serial": found.serial,
        "not_after": found.issuer.not_after.isoformat(),
        "crl_next_update": latest.next_update.isoformat() if latest else None,
    }
