"""`onecert ca authorities`, `certificate show` and `issue`: what is on record, certificates of the system."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from onecert.ca.api import certificate_json
from onecert.ca.authorities.authorities import pem
from onecert.ca.commands.parts import APPLY, INPUT, actor, opened_ca, plain_serial, say, say_dry
from onecert.ca.commands.search import history_of_certificate, index_certificates, list_certificates
from onecert.ca.issuing.system_certificates import PROFILES, SystemCertificates
from onecert.ca.renewals.renewal import CHANGE, ISSUED, REKEY, RENEW, REPLACE
from onecert.server.commands.options import common_options
from onecert.server.languages import _

__all__ = ["authorities", "certificate", "delivered", "issue"]

KINDS = (RENEW, REKEY, CHANGE, REPLACE)
BEFORE = "before"


@click.command()
@common_options
def authorities(data: Path, config: Path | None) -> None:
    """List the authorities, one JSON object a line."""
    with opened_ca(data, config) as opened:
        for authority in opened.parts.authorities.reload():
            latest = opened.parts.publisher.latest(authority.name)
            click.echo(
                json.dumps(
                    {
                        "name": authority.name,
                        "kind": authority.kind,
                        "issuer": authority.issuer_name,
                        "serial": authority.serial,
                        "not_after": authority.issuer.not_after.isoformat(),
                        "profiles": {name: each.version for name, each in sorted(authority.profiles.items())},
                        "crl_number": latest.number if latest else None,
                        "crl_next_update": latest.next_update.isoformat() if latest else None,
                    }
                )
            )


@click.group()
def certificate() -> None:
    """Certificates on record."""


for _command in (list_certificates, history_of_certificate, index_certificates):
    certificate.add_command(_command)


@certificate.command("show")
@click.option("--authority", required=True)
@click.option("--serial", required=True, help="Hexadecimal.")
@click.option("--pem", "as_pem", is_flag=True, help="Write the certificate itself.")
@common_options
def show_certificate(authority: str, serial: str, as_pem: bool, data: Path, config: Path | None) -> None:
    """Show what is on record of one certificate."""
    with opened_ca(data, config) as opened:
        opened.parts.authorities.get(authority)
        record = opened.parts.ledger.certificate(authority, plain_serial(serial))
    if as_pem and record.certificate_der is not None:
        click.echo(pem(record.certificate_der), nl=False)
    else:
        click.echo(json.dumps(certificate_json(record)))


@click.command()
@click.option("--authority", required=True)
@click.option("--profile", required=True, type=click.Choice(PROFILES))
@click.option("--csr", "csr_file", required=True, type=INPUT)
@click.option("--common-name", required=True)
@click.option("--organization", default="")
@click.option("--organizational-unit", default="")
@click.option("--dns", "names", multiple=True, help="A host name or address of a TLS server.")
@click.option(
    "--may-give",
    "may_give",
    multiple=True,
    metavar="OID",
    help="An attribute that an attribute authority may give (aaControls); default: not limited.",
)
@click.option("--approved-by", "approved_by", multiple=True, help="Twice: the two people who approved.")
@click.option("--kind", type=click.Choice(KINDS), help="How it follows the certificate of --replaces.")
@click.option("--replaces", metavar="SERIAL", help="The certificate of this authority that it follows.")
@click.option(
    "--revoke-replaced",
    metavar="REASON",
    help="Revoke that one: superseded, affiliationChanged, keyCompromise.",
)
@click.option(
    "--revoke-when", metavar="WHEN", default=ISSUED, show_default=True, help="issued, delivered, or a moment."
)
@click.option("--early", metavar="REASON", help="Why it is renewed before the profile's window.")
@APPLY
@common_options
def issue(
    *,
    authority: str,
    profile: str,
    csr_file: Path,
    common_name: str,
    organization: str,
    organizational_unit: str,
    names: tuple[str, ...],
    may_give: tuple[str, ...],
    approved_by: tuple[str, ...],
    kind: str | None,
    replaces: str | None,
    revoke_replaced: str | None,
    revoke_when: str,
    early: str | None,
    apply: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Issue a certificate of the system itself; the certificate and its chain go to stdout as PEM.

    With --kind and --replaces it follows another one: docs/ca-api.md says what each kind may.
    """
    follows = _follows(authority, kind, replaces, revoke_replaced, revoke_when)
    if early is not None:
        if not follows:
            raise click.UsageError("--early is for --kind renew")
        follows["early"] = early
    subject = {"country": "CN", "common_name": common_name}
    if organization:
        subject["organization"] = organization
    if organizational_unit:
        subject["organizational_unit"] = organizational_unit
    csr_pem = csr_file.read_bytes().decode("ascii", errors="replace")
    with opened_ca(data, config) as opened:
        desk = SystemCertificates(opened.parts, actor=actor())
        request = desk.check(
            authority=authority,
            profile=profile,
            csr_pem=csr_pem,
            subject=subject,
            names=names,
            approved_by=approved_by,
            may_give=may_give,
        )
        order = desk.order(authority, request, csr_pem=csr_pem, approved_by=approved_by, follows=follows)
        request = desk.check_follows(request, order)
        if not apply:
            draft = desk.draft(authority, request)
            say(
                _("would issue %(profile)s for %(subject)s until %(until)s"),
                profile=profile,
                subject=common_name,
                until=draft.not_after.date(),
            )
            if revoke_replaced is not None:
                say(
                    _("would revoke %(serial)s as %(reason)s: %(when)s"),
                    serial=replaces,
                    reason=revoke_replaced,
                    when=BEFORE if kind == REPLACE else revoke_when,
                )
            say_dry()
            return
        record = desk.issue(authority, request, order)
        if follows:
            say(_("order %(order)s"), order=order.id)
        click.echo(pem(record.certificate_der or b""), nl=False)
        for above in opened.parts.authorities.chain_pem(opened.parts.authorities.get(authority)):
            click.echo(above, nl=False)


def _follows(
    authority: str, kind: str | None, replaces: str | None, reason: str | None, when: str
) -> dict[str, Any]:
    """What the options say, as an order says it."""
    if (kind is None) != (replaces is None) or (reason is not None and kind is None):
        raise click.UsageError("--kind and --replaces are given together, and --revoke-replaced with them")
    if kind is None or replaces is None:
        return {}
    follows: dict[str, Any] = {
        "kind": kind,
        "replaces": {"authority": authority, "serial": plain_serial(replaces)},
    }
    if reason is not None:
        follows["revoke_replaced"] = {"reason": reason} | ({} if kind == REPLACE else {"when": when})
    return follows


@click.command()
@click.argument("order")
@click.option("--delivered-by", "people", multiple=True, required=True, help="Who handed it over.")
@common_options
def delivered(order: str, people: tuple[str, ...], data: Path, config: Path | None) -> None:
    """Tell that the holder has the certificate of an ORDER of “onecert ca issue”."""
    with opened_ca(data, config) as opened:
        done = SystemCertificates(opened.parts, actor=actor()).delivered(order, people)
    click.echo(json.dumps(done.as_json()))
