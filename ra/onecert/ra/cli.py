"""`onecert ra …`: the order key, imports, and what is waiting."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from onecert.ra.applications.records import list_applications
from onecert.ra.batches.imports import RowReport, import_rows, read_rows
from onecert.ra.content.fields import CONSENTS
from onecert.ra.errors import FieldFault
from onecert.ra.life.machine import State
from onecert.ra.member import make_keys
from onecert.ra.operators.scopes import EVERYWHERE
from onecert.ra.service import Ra, make_ra
from onecert.ra.vault.keys import public_key_pem
from onecert.ra.vault.token_keys import TokenKeys
from onecert.server.commands.options import common_options
from onecert.server.contexts import open_member
from onecert.server.languages import gettext
from onecert.server.members import Context
from onecert.server.operators import command_actor

__all__ = ["ra"]

REFUSED = 1


@click.group()
def ra() -> None:
    """The registration authority: its key, imports, and what is waiting."""


@ra.command()
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write the public key (PEM); “-” for stdout.",
)
@common_options
def key(out: Path, data: Path, config: Path | None) -> None:
    """Write the public key of the order-signing key; the key is made on the token when missing."""
    opened = open_member("ra", data, config=config)
    keys = make_keys(opened.config, opened.context)
    try:
        pem = public_key_pem(keys.order_key())
    finally:
        keys.close()
        opened.close()
    if str(out) == "-":
        click.echo(pem.decode(), nl=False)
        return
    out.write_bytes(pem)
    click.echo(f"wrote {out}", err=True)
    click.echo(f"hint: at the CA: onecert ca registration-authority add NAME --key {out} --scope …", err=True)


@ra.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--requests",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Holds the request <key>.csr of each row.",
)
@click.option("--operator", required=True, metavar="ID", help="The entry clerk who answers for the import.")
@click.option(
    "--consent",
    type=click.Choice(sorted(CONSENTS)),
    default="paper",
    show_default=True,
    help="How the applicants consented, where a row does not say.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
@common_options
@click.pass_context
def import_(  # noqa: PLR0917 -- click hands over by name
    ctx: click.Context,
    file: Path,
    requests: Path,
    operator: str,
    consent: str,
    as_json: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Enter and submit applications from a table (CSV or XLSX); a report for each row.

    Good rows become applications that wait for review; bad rows are named with their reasons and leave
    nothing behind. The exit code is 1 when a row was refused. Running it again enters nothing twice.
    """
    counts = {"submitted": 0, "known": 0, "refused": 0}
    with _opened(data, config) as (service, context):
        with context.database.reading() as connection:
            account = context.operators.load(connection, operator)
        rows = read_rows(file.read_bytes())
        said = {"consent": consent, "consent_version": service.entries.findings.texts.present}
        for report in import_rows(service.applications, account, rows, requests, defaults=said):
            counts[report.outcome] += 1
            click.echo(json.dumps(_as_json(report), ensure_ascii=False) if as_json else _as_text(report))
        with context.database.transaction() as connection:
            context.audit.record(
                connection,
                event="import.finished",
                actor=command_actor(),
                subject=f"operator:{operator}",
                details={"rows": sum(counts.values()), **counts},
            )
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()), err=True)
    if counts["refused"]:
        ctx.exit(REFUSED)


@ra.command()
@click.option("--state", "states", multiple=True, type=click.Choice([state.value for state in State]))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@common_options
def applications(states: tuple[str, ...], as_json: bool, data: Path, config: Path | None) -> None:
    """List applications, newest first: number, state, authority, type, name, id."""
    with _opened(data, config) as (_service, context):
        cursor: str | None = None
        while True:
            with context.database.reading() as connection:
                page = list_applications(
                    connection,
                    EVERYWHERE,
                    states=[State(state) for state in states],
                    cursor=cursor,
                    limit=200,
                )
            for item in page.items:
                row = {
                    "number": item.number,
                    "state": item.state.value,
                    "authority": item.authority,
                    "type": item.kind.value,
                    "name": item.name,
                    "id": item.id,
                }
                click.echo(json.dumps(row, ensure_ascii=False) if as_json else "\t".join(row.values()))
            cursor = page.next
            if cursor is None:
                return


@ra.command()
@common_options
def send(data: Path, config: Path | None) -> None:
    """Send approved orders and pending revocations to the CA now, without waiting for the job."""
    with _opened(data, config) as (service, context):
        now = context.clock.now()
        service.dispatch.run(now)
        service.revoking.run(now)
        with context.database.reading() as connection:
            waiting = list_applications(
                connection, EVERYWHERE, states=[State.APPROVED, State.ORDERED], limit=200
            )
    click.echo(f"{len(waiting.items)}{'+' if waiting.next else ''} waiting")


@contextmanager
def _opened(data: Path, config: Path | None) -> Iterator[tuple[Ra, Context]]:
    opened = open_member("ra", data, config=config)
    keys: TokenKeys = make_keys(opened.config, opened.context)
    service = make_ra(opened.config, opened.context, keys)
    try:
        yield service, opened.context
    finally:
        service.close()
        keys.close()
        opened.close()


def _as_text(report: RowReport) -> str:
    if report.application is not None:
        return f"row {report.row}\t{report.key}\t{report.outcome}\t{report.application.number}"
    reasons = "; ".join(_said(fault) for fault in report.faults)
    return f"row {report.row}\t{report.key}\t{report.outcome}\t{reasons}"


def _said(fault: FieldFault) -> str:
    place = f"{fault.field}: " if fault.field else ""
    return f"{place}{gettext(fault.text, **fault.facts)} [{fault.code}]"


def _as_json(report: RowReport) -> dict[str, Any]:
    found = report.application
    return {
        "row": report.row,
        "key": report.key,
        "outcome": report.outcome,
        "application": found.id if found else None,
        "number": found.number if found else None,
        "content_sha256": found.content_sha256 if found else None,
        "faults": [
            {
                "field": fault.field,
                "code": fault.code,
                "detail": gettext(fault.text, **fault.facts),
                "hint": gettext(fault.hint, **fault.facts) if fault.hint else "",
            }
            for fault in report.faults
        ],
    }
