"""`onecert ca mass-revocation` and `onecert ca security-officer`: two officers, each with token and PIN."""

from __future__ import annotations

import hashlib
import json
import sys
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from onecert.ca.commands.parts import APPLY, INPUT, OpenedCa, actor, opened_ca, say, say_dry
from onecert.ca.errors import MassRevocationChangedError, MassRevocationLinesError, MassRevocationStateError
from onecert.ca.revocation.mass import CONFIRMED, RUNNING, STOPPED, MassRevocation
from onecert.ca.revocation.mass_documents import (
    CONFIRMATION_TYPE,
    PROPOSAL_TYPE,
    RESUMPTION_TYPE,
    STOP_TYPE,
    read_proposal,
)
from onecert.ca.revocation.security_officers import PROFILE_OFFICER, SECURITY_OFFICER
from onecert.server.commands.options import common_options
from onecert.server.languages import _, gettext

__all__ = ["mass_revocation", "security_officer"]

TIME = click.DateTime(["%Y-%m-%dT%H:%M:%S%z"])
OFFICER = click.option("--officer", required=True, metavar="ID", help="Who you are; your PIN is asked for.")
WHY = click.option("--why", required=True, help="One sentence for the record.")
# Of the hash of the frozen serials: enough that nobody types it without having seen it.
SEEN_MIN = 12


def read_pin(officer: str, *, new: bool = False) -> str:
    """A PIN from the terminal, unseen; in a pipe the next line of stdin. Never an argument."""
    if sys.stdin.isatty():
        asked = gettext(_("PIN of %(officer)s"), officer=officer)
        return str(click.prompt(asked, hide_input=True, confirmation_prompt=new, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def _signed(opened: OpenedCa, officer: str, typ: str, payload: Mapping[str, Any]) -> bytes:
    parts = opened.parts
    at = parts.clock.now()
    return parts.officer_tokens.signed(officer, payload, typ=typ, pin=read_pin(officer), at=at)


@click.group("mass-revocation")
def mass_revocation() -> None:
    """Many certificates revoked by one decision of two people."""


@mass_revocation.command()
@click.option("--authority", required=True)
@click.option("--reason", required=True, help="A reason of RFC 5280, such as keyCompromise.")
@click.option("--invalidity-date", type=TIME, default=None)
@click.option("--everything", is_flag=True, help="All certificates of the authority.")
@click.option("--serials", type=INPUT, help="A file with one serial a line.")
@click.option("--keys", type=INPUT, help="A file with one SHA-256 of a public key a line.")
@click.option("--entities", type=INPUT, help="A file with one entity a line, as the record names it.")
@click.option("--profile")
@click.option("--registration-authority")
@click.option("--batch")
@click.option("--issued-from", type=TIME)
@click.option("--issued-until", type=TIME)
@OFFICER
@WHY
@APPLY
@common_options
def propose(
    *,
    authority: str,
    reason: str,
    invalidity_date: datetime | None,
    officer: str,
    why: str,
    apply: bool,
    data: Path,
    config: Path | None,
    **chosen: Any,
) -> None:
    """Select certificates and freeze the list, for a second officer to confirm."""
    selection, content = _selection(chosen)
    payload: dict[str, Any] = {
        "mass_revocation": f"mr-{uuid.uuid4()}",
        "authority": authority,
        "selection": selection,
        "reason": reason,
        "invalidity_date": invalidity_date.isoformat() if invalidity_date else None,
        "requested_by": [officer],
        "why": why,
    }
    with opened_ca(data, config) as opened:
        parts = opened.parts
        others = parts.authorities.others_of_line(authority)
        if others:
            say(
                _("only what %(authority)s issued; propose the others of its line too: %(others)s"),
                authority=authority,
                others=", ".join(others),
            )
        unsigned = {"officer": officer, "created_at": parts.clock.now().isoformat(), **payload}
        try:
            found = parts.mass_revocations.preview(read_proposal(unsigned), content)
        except MassRevocationLinesError as exc:
            for fault in exc.faults:
                click.echo(fault, err=True)
            raise
        if not apply:
            say(
                _("would freeze %(certificates)s certificates of %(holders)s holders; revoked: %(already)s"),
                certificates=found.certificates,
                holders=found.holders,
                already=found.already,
            )
            say_dry()
            return
        made, _is_new = parts.mass_revocations.propose(_signed(opened, officer, PROPOSAL_TYPE, payload))
        if content:
            made = parts.mass_revocations.add_lines(made.mass_revocation, content)
    click.echo(json.dumps(made.as_json(), ensure_ascii=False))
    say(
        _(
            "hint: to be confirmed before %(until)s: onecert ca mass-revocation confirm %(number)s "
            "--officer ID --seen SHA256 --apply"
        ),
        until=made.expires_at.isoformat(),
        number=made.mass_revocation,
    )


@mass_revocation.command()
@click.argument("number")
@click.option("--serials", is_flag=True, help="The frozen serials instead, one a line.")
@common_options
def show(number: str, serials: bool, data: Path, config: Path | None) -> None:
    """Show how the mass revocation NUMBER stands, and what its selection would be now."""
    with opened_ca(data, config) as opened:
        if serials:
            for serial in opened.parts.mass_revocations.serials(number):
                click.echo(serial)
            return
        _show(opened, number)


def _show(opened: OpenedCa, number: str) -> MassRevocation:
    made = opened.parts.mass_revocations.show(number)
    drift = opened.parts.mass_revocations.drift(number) if made.confirmed_at is None else None
    now = None if drift is None else vars(drift)
    click.echo(json.dumps(made.as_json() | {"now": now}, ensure_ascii=False))
    if drift is not None and not drift.is_same:
        say(
            _("the selection would be %(now)s certificates now; what is frozen and revoked is %(frozen)s"),
            now=drift.certificates,
            frozen=made.certificates,
        )
    return made


@mass_revocation.command()
@click.argument("number")
@OFFICER
@click.option("--seen", default="", metavar="SHA256", help="The first letters of serials_sha256 as shown.")
@APPLY
@common_options
def confirm(*, number: str, officer: str, seen: str, apply: bool, data: Path, config: Path | None) -> None:
    """Confirm NUMBER as the second officer. The running service carries it out at once."""
    with opened_ca(data, config) as opened:
        made = _show(opened, number)
        if not apply:
            say(
                _("would revoke %(count)s certificates of %(authority)s for good: %(reason)s, “%(why)s”"),
                count=made.certificates,
                authority=made.authority,
                reason=made.reason,
                why=made.why,
            )
            say_dry()
            return
        frozen = made.serials_sha256
        if frozen is None or len(seen) < SEEN_MIN or not frozen.startswith(seen.lower()):
            raise MassRevocationChangedError(number)
        payload = {
            "mass_revocation": number,
            "proposal_sha256": made.proposal_sha256,
            "serials_sha256": frozen,
            "certificates": made.certificates,
            "confirmed_by": [officer],
        }
        made = opened.parts.mass_revocations.confirm(_signed(opened, officer, CONFIRMATION_TYPE, payload))
    click.echo(json.dumps(made.as_json(), ensure_ascii=False))
    say(_("hint: where no service runs: onecert ca mass-revocation run %(number)s --apply"), number=number)
    if made.is_whole:
        say(
            _(
                "%(authority)s issues nothing any more. Next: revoke its certificate at its root, and"
                " have the supervision withdraw it from the trust list (onecert trust-list)."
            ),
            authority=made.authority,
        )


@mass_revocation.command()
@click.argument("number")
@click.option("--officer", metavar="ID", help="To go on with one that was stopped.")
@click.option("--why", default="", help="With --officer: one sentence for the record.")
@APPLY
@common_options
def run(*, number: str, officer: str | None, why: str, apply: bool, data: Path, config: Path | None) -> None:
    """Carry NUMBER out here and now, beside the service or without it; again after an interruption."""
    with opened_ca(data, config) as opened:
        service, work = opened.parts.mass_revocations, opened.parts.mass_revocation_work
        made = service.show(number)
        if made.state == STOPPED and officer is None:
            raise MassRevocationStateError(number, made.state)
        if not apply:
            say(_("would revoke up to %(count)s certificates"), count=made.certificates - made.done)
            say_dry()
            return
        if made.state == STOPPED and officer is not None:
            payload = {"mass_revocation": number, "requested_by": [officer], "why": why}
            made = service.resume(_signed(opened, officer, RESUMPTION_TYPE, payload))
        if made.state not in (CONFIRMED, RUNNING):
            raise MassRevocationStateError(number, made.state)
        while made.state in (CONFIRMED, RUNNING):
            work.run(timedelta(seconds=2), only=number)
            made = service.show(number)
            say(
                _("%(done)s of %(all)s certificates done"),
                done=made.done,
                all=made.certificates,
            )
    click.echo(json.dumps(made.as_json(), ensure_ascii=False))


@mass_revocation.command()
@click.argument("number")
@OFFICER
@WHY
@common_options
def stop(number: str, officer: str, why: str, data: Path, config: Path | None) -> None:
    """Stop NUMBER; one officer may. What is revoked already stays so."""
    with opened_ca(data, config) as opened:
        payload = {"mass_revocation": number, "requested_by": [officer], "why": why}
        made = opened.parts.mass_revocations.stop(_signed(opened, officer, STOP_TYPE, payload))
    click.echo(json.dumps(made.as_json(), ensure_ascii=False))


@mass_revocation.command("list")
@common_options
def list_mass_revocations(data: Path, config: Path | None) -> None:
    """List the newest, newest first, one JSON object a line."""
    with opened_ca(data, config) as opened:
        for made in opened.parts.mass_revocations.latest():
            click.echo(json.dumps(made.as_json(), ensure_ascii=False))


def _selection(chosen: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The selection of the options, and the lines of a file that it names."""
    given = {name: value for name, value in chosen.items() if value}
    files = {"serials": "serial", "keys": "key_sha256", "entities": "entity"}
    if "everything" in given and len(given) == 1:
        return {"everything": True}, b""
    named = [name for name in given if name in files]
    if not given or (named and len(given) > 1) or "everything" in given:
        raise click.UsageError("give --everything, or one file, or rules: exactly one of the three")
    if named:
        lines = [line.strip() for line in given[named[0]].read_text(encoding="utf-8").splitlines()]
        content = "".join(f"{line}\n" for line in lines if line).encode()
        head = {
            "kind": files[named[0]],
            "count": content.count(b"\n"),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        return {"lines": head}, content
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.items()
    }, b""


@click.group("security-officer")
def security_officer() -> None:
    """Officers who propose and confirm mass revocations, each with a key on a token of their own."""


@security_officer.command("add")
@click.argument("officer", metavar="ID")
@click.option("--name", help="Opens the account too: the person's name.")
@click.option("--person", metavar="IDNUMBER", help="Number of the person's identity document. Not stored.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([SECURITY_OFFICER, PROFILE_OFFICER]),
    default=[SECURITY_OFFICER],
    show_default=True,
    help="Of the account that is opened.",
)
@common_options
def add_officer(  # noqa: PLR0917 -- click hands over by name
    officer: str,
    name: str | None,
    person: str | None,
    roles: tuple[str, ...],
    data: Path,
    config: Path | None,
) -> None:
    """Make the key of officer ID. The account has the role ca.security or ca.profiles, or is opened here.

    The officer types the PIN: of the own token, or with SoftHSM a new one. Without a terminal it is a line of
    stdin.
    """
    if bool(name) != bool(person):
        raise click.UsageError("--name and --person are given together, to open the account too")
    with opened_ca(data, config) as opened:
        parts = opened.parts
        label = parts.officer_tokens.label(officer)
        if name and person:
            until = parts.clock.now() + timedelta(days=730)
            with parts.database.transaction() as connection:
                opened.context.operators.add(connection, officer, name, list(roles), person, until)
        pin = read_pin(officer, new=parts.config.token_module is None)
        with parts.officer_tokens.key(officer, pin=pin, create=True) as key:
            public = key.public_key()
        parts.security_officers.add(officer, public, token_label=label, actor=actor())
    click.echo(json.dumps({"officer": officer, "token": label}))


@security_officer.command("remove")
@click.argument("officer", metavar="ID")
@APPLY
@common_options
def remove_officer(officer: str, apply: bool, data: Path, config: Path | None) -> None:
    """Let officer ID leave; what the key signs from now on counts no more."""
    with opened_ca(data, config) as opened:
        if not apply:
            say(_("would remove the security officer %(officer)s"), officer=officer)
            say_dry()
            return
        opened.parts.security_officers.remove(officer, actor=actor())
    click.echo(json.dumps({"officer": officer, "removed": True}))


@security_officer.command("list")
@common_options
def list_officers(data: Path, config: Path | None) -> None:
    """List the officers, one JSON object a line."""
    with opened_ca(data, config) as opened:
        for each in opened.parts.security_officers.everyone():
            facts = {"officer": each.id, "kid": each.key_id, "token": each.token_label}
            click.echo(json.dumps(facts))
