"""`onecert pmi list|export|acrl|bundle|ldif`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from onecert.pmi.commands.parts import OUTPUT, dump, opened_parts, say
from onecert.pmi.errors import AuthorityUnknownError
from onecert.pmi.repository.ldif import SCHEMA, write_ldif
from onecert.pmi.repository.search import Search, load_certificate, search_certificates
from onecert.pmi.rest.certificates import certificate_json, pem
from onecert.server.commands.options import common_options
from onecert.server.languages import _
from onecert.verifier.certificate import parse_certificate

__all__ = ["COMMANDS"]


@click.command("list")
@click.option("--holder", default="", help="A certificate file, or part of a name, an id, a serial number.")
@click.option("--authority", default="")
@click.option("--role", default="", metavar="URI")
@click.option("--attribute", default="", metavar="NAME=VALUE", help="With this value of an attribute.")
@click.option("--kind", default="", type=click.Choice(["", "grant", "delegation"]))
@click.option("--status", default="", help="valid, held, revoked, expired, intended, abandoned")
@click.option("--expiring-days", type=click.IntRange(1), help="Valid, and ends within so many days.")
@click.option("--after", default="", help="Go on after the page before.")
@common_options
def list_certificates(
    *,
    holder: str,
    authority: str,
    role: str,
    attribute: str,
    kind: str,
    status: str,
    expiring_days: int | None,
    after: str,
    data: Path,
    config: Path | None,
) -> None:
    """List attribute certificates, newest first, one JSON object a line, 100 at once."""
    if holder and Path(holder).is_file():
        holder = hashlib.sha256(parse_certificate(Path(holder).read_bytes()).der).hexdigest()
    name, _equals, value = attribute.partition("=")
    search = Search(
        holder=holder,
        authority=authority,
        role=role,
        attribute=name,
        value=value,
        kind=kind,
        status=status,
        expiring_days=expiring_days,
        after=after,
        per_page=100,
    )
    with opened_parts(data, config) as parts:
        now = parts.context.clock.now()
        with parts.context.database.reading() as connection:
            found = search_certificates(connection, search, now)
        for record in found.records:
            click.echo(dump(certificate_json(record, now)))
    if found.next:
        say(_("hint: there are more: add --after %(next)s"), next=found.next)


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
    click.echo(dump(row))


@click.command()
@click.option("--out", required=True, type=OUTPUT, help="The ZIP file to write.")
@click.option("--target", default="", metavar="URI", help="Only what this application may use.")
@common_options
def bundle(out: Path, target: str, data: Path, config: Path | None) -> None:
    """Write the offline bundle: certificates, delegations, lists, policy, signed by the policy key."""
    with opened_parts(data, config) as parts, out.open("wb") as file:
        manifest = parts.bundles.make(file, target=target)
    row = {"use_until": manifest["use_until"], "members": len(manifest["members"]), "out": str(out)}
    click.echo(dump(row))


@click.command()
@click.option("--out", required=True, type=OUTPUT, help="The LDIF file to write.")
@click.option("--changes", is_flag=True, help="Modify entries that are in the directory already.")
@click.option("--schema", type=OUTPUT, help="Also write the schema (OpenLDAP) here.")
@common_options
def ldif(out: Path, schema: Path | None, data: Path, config: Path | None, *, changes: bool) -> None:
    """Write authorities, holders and lists as LDIF for a directory, in the standard schema."""
    with opened_parts(data, config) as parts, out.open("w", encoding="ascii") as file:
        at = parts.context.clock.now()
        with parts.context.database.reading() as connection:
            file.writelines(
                write_ldif(connection, parts.authorities, parts.publisher, at, as_changes=changes)
            )
    if schema is not None:
        schema.write_text(SCHEMA, encoding="ascii")


COMMANDS = (list_certificates, export, acrl, bundle, ldif)
