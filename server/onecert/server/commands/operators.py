"""`onecert operators`: accounts, one-time links, certificates, suspension. Every act is audited."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import click
from cryptography import x509

from onecert.server.commands.options import common_options
from onecert.server.languages import CHINA_TIME, gettext
from onecert.server.members import Context, open_context
from onecert.server.operators.roles import Operator
from onecert.verifier.certificate import load_certificate

__all__ = ["operators"]


@click.group()
def operators() -> None:
    """The people who work with a service, and how they sign in."""


@operators.command()
@click.argument("service")
@click.argument("id", metavar="ID")
@click.option("--name", required=True, help="The person's name, as pages show it.")
@click.option(
    "--role", "roles", required=True, multiple=True, metavar="ROLE", help="May be given several times."
)
@click.option(
    "--person",
    required=True,
    metavar="IDNUMBER",
    help="Number of the person's identity document; “-” reads it from the terminal or stdin. Not stored.",
)
@click.option("--valid-until", required=True, metavar="DATE", help="Last day of the account: 2027-12-31.")
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@common_options
def add(  # noqa: PLR0917 -- click hands over by name
    service: str,
    id: str,  # noqa: A002 -- the word people use for it
    name: str,
    roles: tuple[str, ...],
    person: str,
    valid_until: str,
    certificate: Path | None,
    data: Path,
    config: Path | None,
) -> None:
    """Open the account ID in SERVICE."""
    end = _end_of_day(valid_until)
    loaded = None if certificate is None else _certificate(certificate)
    number = _read_number() if person == "-" else person
    with _open(service, data, config) as context, context.database.transaction() as connection:
        added = context.operators.add(connection, id, name, roles, number, end, loaded)
    click.echo(gettext("Added %(operator)s (%(name)s).", operator=added.id, name=added.name))
    if loaded is None:
        hint = gettext(
            "A first sign-in link: onecert operators link %(service)s %(operator)s",
            service=service,
            operator=id,
        )
        click.echo(hint, err=True)


@operators.command()
@click.argument("service")
@click.argument("id", metavar="ID")
@common_options
def link(service: str, id: str, data: Path, config: Path | None) -> None:  # noqa: A002 -- as in add
    """Print a sign-in link for ID: works once, within a day, in a browser on the service's own machine."""
    with _open(service, data, config) as context:
        with context.database.transaction() as connection:
            token = context.operators.create_link(connection, id)
        click.echo(f"{context.public_url}/sign-in/{token}")


@operators.command()
@click.argument("service")
@click.argument("id", metavar="ID")
@click.option(
    "--certificate",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The operator's certificate, PEM or DER.",
)
@common_options
def bind(service: str, id: str, certificate: Path, data: Path, config: Path | None) -> None:  # noqa: A002
    """Let ID sign in with this certificate."""
    loaded = _certificate(certificate)
    with _open(service, data, config) as context, context.database.transaction() as connection:
        context.operators.bind_certificate(connection, id, loaded)
    serial_hex = f"{loaded.serial_number:x}"
    click.echo(gettext("Bound certificate %(serial)s to %(operator)s.", serial=serial_hex, operator=id))


@operators.command()
@click.argument("service")
@click.argument("id", metavar="ID")
@common_options
def suspend(service: str, id: str, data: Path, config: Path | None) -> None:  # noqa: A002 -- as in add
    """Stop the account ID at once: its sessions end and its links are void."""
    with _open(service, data, config) as context, context.database.transaction() as connection:
        context.operators.suspend(connection, id)
    click.echo(gettext("Suspended %(operator)s; sessions have ended, links are void.", operator=id))


@operators.command()
@click.argument("service")
@click.argument("id", metavar="ID")
@common_options
def resume(service: str, id: str, data: Path, config: Path | None) -> None:  # noqa: A002 -- as in add
    """Let the suspended account ID work again."""
    with _open(service, data, config) as context, context.database.transaction() as connection:
        context.operators.resume(connection, id)
    click.echo(gettext("%(operator)s may sign in again.", operator=id))


@operators.command("list")
@click.argument("service")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@common_options
def list_(service: str, as_json: bool, data: Path, config: Path | None) -> None:
    """Show the accounts of SERVICE: id, state, last day, roles, name."""
    with _open(service, data, config) as context:
        with context.database.reading() as connection:
            found = context.operators.all(connection)
        now = context.clock.now()
    for operator in found:
        row = _row(operator, now)
        click.echo(json.dumps(row, ensure_ascii=False) if as_json else "\t".join(map(_cell, row.values())))


def _row(operator: Operator, now: datetime) -> dict[str, str | list[str]]:
    state = "active"
    if operator.suspended_at is not None:
        state = "suspended"
    elif now >= operator.valid_until:
        state = "expired"
    return {
        "id": operator.id,
        "state": state,
        "valid_until": _last_day(operator.valid_until),
        "roles": sorted(operator.roles),
        "name": operator.name,
    }


def _cell(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _end_of_day(text: str) -> datetime:
    """The account works to the end of this day in China."""
    try:
        day = date.fromisoformat(text)
        return (datetime.combine(day, time.min, CHINA_TIME) + timedelta(days=1)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter("a date is written 2027-12-31", param_hint="--valid-until") from None


def _last_day(end: datetime) -> str:
    return (end.astimezone(CHINA_TIME) - timedelta(microseconds=1)).date().isoformat()


def _certificate(file: Path) -> x509.Certificate:
    """Read the certificate in a file; of a chain, as `onecert ca issue` prints it, the first."""
    data = file.read_bytes()
    first, end, _chain = data.partition(b"-----END CERTIFICATE-----")
    return load_certificate(first.lstrip() + end + b"\n" if end else data)


def _read_number() -> str:
    """On a terminal the number is not shown; from a pipe it is one line."""
    if sys.stdin.isatty():
        return str(click.prompt(gettext("Identity document number"), hide_input=True, err=True))
    return sys.stdin.readline().strip()


@contextmanager
def _open(service: str, data: Path, config: Path | None) -> Iterator[Context]:
    context = open_context(service, data, config=config)
    try:
        yield context
    finally:
        context.database.close()
