"""`onecert pmi revoke|hold|release|renew|rebind|end-of-office`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

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
from onecert.pmi.life.offices import Who
from onecert.pmi.life.revocation import REASONS
from onecert.pmi.parts import Parts
from onecert.pmi.rest.certificates import certificate_json
from onecert.pmi.rest.grant_json import grant_json
from onecert.pmi.rest.holders import departure_json, leaving_json
from onecert.server.commands.options import common_options
from onecert.server.languages import _
from onecert.server.operators import Operator

__all__ = ["COMMANDS"]

SERIALS = click.argument("serials", nargs=-1, required=True, metavar="SERIAL…")


@click.command()
@SERIALS
@click.option("--reason", type=click.Choice(list(REASONS)), default="privilegeWithdrawn", show_default=True)
@OPERATOR
@APPLY
@common_options
def revoke(
    *,
    serials: tuple[str, ...],
    reason: str,
    operator_id: str,
    apply: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Revoke attribute certificates by their serial numbers (hexadecimal) and publish the list."""
    with opened_parts(data, config) as parts:
        _act(parts, "revoke", serials, read_operator(parts, operator_id), reason=reason, apply=apply)


@click.command()
@SERIALS
@OPERATOR
@APPLY
@common_options
def hold(*, serials: tuple[str, ...], operator_id: str, apply: bool, data: Path, config: Path | None) -> None:
    """Put attribute certificates on hold; they can be released."""
    with opened_parts(data, config) as parts:
        _act(parts, "hold", serials, read_operator(parts, operator_id), apply=apply)


@click.command()
@SERIALS
@OPERATOR
@APPLY
@common_options
def release(
    *, serials: tuple[str, ...], operator_id: str, apply: bool, data: Path, config: Path | None
) -> None:
    """Let attribute certificates that are on hold count again."""
    with opened_parts(data, config) as parts:
        _act(parts, "release", serials, read_operator(parts, operator_id), apply=apply)


@click.command()
@SERIALS
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day; default: as long as is allowed."
)
@click.option("--supersede", is_flag=True, help="Revoke the one before as soon as the new one is issued.")
@OPERATOR
@APPLY
@common_options
def renew(
    *,
    serials: tuple[str, ...],
    until: datetime | None,
    supersede: bool,
    operator_id: str,
    apply: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Give the same once more for a new period, with the approvals that the catalogue wants."""
    with opened_parts(data, config) as parts:
        operator, end = read_operator(parts, operator_id), end_of_day(until)
        for serial in serials:
            if apply:
                done = parts.renewals.renew(serial, operator, until=end, supersede=supersede)
                click.echo(dump(grant_json(done.grant)))
            else:
                click.echo(dump(grant_json(parts.renewals.preview(serial, operator, until=end))))
        if not apply:
            say_dry()


@click.command()
@click.argument("serial")
@click.option("--holder", required=True, type=INPUT, help="The holder's newer certificate, PEM or DER.")
@OPERATOR
@APPLY
@common_options
def rebind(
    *, serial: str, holder: Path, operator_id: str, apply: bool, data: Path, config: Path | None
) -> None:
    """Issue the attribute certificate SERIAL anew for a newer certificate of the same holder."""
    with opened_parts(data, config) as parts:
        operator = read_operator(parts, operator_id)
        if apply:
            click.echo(dump(grant_json(parts.rebindings.rebind(serial, holder.read_bytes(), operator))))
        else:
            click.echo(dump(grant_json(parts.rebindings.preview(serial, holder.read_bytes(), operator))))
            say_dry()


@click.command("end-of-office")
@click.option("--holder", type=INPUT, help="Any certificate of who leaves, PEM or DER, also a revoked one.")
@click.option("--entity", default="", metavar="ID", help="Everybody in this entity.")
@click.option("--person", default="", metavar="ID", help="This person, in every entity.")
@click.option(
    "--at",
    "effective_at",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]),
    help="Take effect at this time, such as 2026-12-31T16:00:00+0000; default: now.",
)
@OPERATOR
@APPLY
@common_options
def end_of_office(
    *,
    holder: Path | None,
    entity: str,
    person: str,
    effective_at: datetime | None,
    operator_id: str,
    apply: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Revoke everything that somebody who leaves holds, and refuse what waits, over all authorities."""
    who = Who.read(certificate=holder.read_bytes() if holder else b"", entity=entity, person=person)
    with opened_parts(data, config) as parts:
        operator = read_operator(parts, operator_id)
        leaving = parts.offices.leaving(who)
        if not apply:
            click.echo(dump(leaving_json(leaving, parts)))
            say(_("%(count)s would end"), count=len(leaving.records) + len(leaving.waiting))
            say_dry()
            return
        at = effective_at.astimezone(UTC) if effective_at else None
        departure = parts.offices.leave(who, operator, content_sha256=leaving.sha256, effective_at=at)
        click.echo(dump(departure_json(departure)))


COMMANDS = (revoke, hold, release, renew, rebind, end_of_office)


def _act(
    parts: Parts,
    act: str,
    serials: tuple[str, ...],
    operator: Operator,
    *,
    reason: str = "",
    apply: bool,
) -> None:
    """Show what would be done, or do it; one JSON object a line."""
    now = parts.context.clock.now()
    shown = parts.revocations.select(act, serials, reason=reason)
    if not apply:
        for record in shown.records:
            click.echo(dump(certificate_json(record, now)))
        say_dry()
        return
    done = parts.revocations.together(
        act, serials, reason=reason, content_sha256=shown.sha256, operator=operator
    )
    for record in done.records:
        acrl = done.acrls[record.authority]
        number = None if acrl is None else acrl.number
        click.echo(dump({**certificate_json(record, now), "acrl_number": number}))
