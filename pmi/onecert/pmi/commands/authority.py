"""`onecert pmi authority …`: request, install, list."""

from __future__ import annotations

import json
from pathlib import Path

import click
from cryptography import x509

from onecert.hsm import KeyAlgorithm
from onecert.pmi.authorities.requests import make_request
from onecert.pmi.commands.parts import INPUT, OUTPUT, opened_parts, say
from onecert.pmi.errors import AuthorityUnfitError
from onecert.server.commands.options import common_options
from onecert.server.languages import _
from onecert.server.operators.store import command_actor
from onecert.verifier.certificate import load_certificate

__all__ = ["authority"]


@click.group()
def authority() -> None:
    """Attribute authorities: a key on the token and a certificate of our CA."""


@authority.command("request")
@click.argument("name")
@click.option("--csr", "csr_file", required=True, type=OUTPUT, help="Write the request (PEM) here.")
@click.option(
    "--algorithm",
    type=click.Choice([each.value for each in KeyAlgorithm]),
    default="p-256",
    show_default=True,
)
@click.option("--organization", default="OneCert", help="The office that the authority belongs to.")
@common_options
def request_authority(
    *, name: str, csr_file: Path, algorithm: str, organization: str, data: Path, config: Path | None
) -> None:
    """Make the key of NAME on the token and write a request for its certificate.

    Until the certificate is installed, asking again writes a request for the same key.
    """
    kind = KeyAlgorithm(algorithm)
    with opened_parts(data, config) as parts:
        with parts.context.database.transaction() as connection:
            label = parts.authorities.register(connection, name, kind, actor=command_actor())
        request = make_request(parts.token, label, kind, name=name, organization=organization)
        acrl_url = parts.authorities.acrl_url(name)
    csr_file.write_bytes(request)
    click.echo(json.dumps({"name": name, "csr": str(csr_file), "acrl": acrl_url}))
    say(_("hint: have it certified (profile attribute-authority), then run: onecert pmi authority install"))


@authority.command("install")
@click.argument("name")
@click.option("--certificate", "certificate_file", required=True, type=INPUT, help="PEM or DER.")
@click.option("--chain", "chain_file", required=True, type=INPUT, help="PEM; the issuer first.")
@common_options
def install_authority(
    name: str, certificate_file: Path, chain_file: Path, data: Path, config: Path | None
) -> None:
    """Check the certificate of NAME, take it into use, and publish the first revocation list."""
    certificate = load_certificate(certificate_file.read_bytes())
    try:
        chain = x509.load_pem_x509_certificates(chain_file.read_bytes())
    except ValueError as exc:
        raise AuthorityUnfitError(name, _("the chain is not in PEM")) from exc
    with opened_parts(data, config) as parts:
        with parts.context.database.transaction() as connection:
            installed = parts.authorities.install(
                connection, name, certificate, chain, signer=parts.signer, actor=command_actor()
            )
        acrl = parts.publisher.publish(name)
    click.echo(
        json.dumps(
            {
                "name": name,
                "serial": f"{installed.certificate.serial:x}",
                "not_after": installed.certificate.not_after.isoformat(),
                "acrl": installed.acrl_url,
                "acrl_number": acrl.number,
            }
        )
    )


@authority.command("list")
@common_options
def list_authorities(data: Path, config: Path | None) -> None:
    """List the authorities, one JSON object a line."""
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        for each in parts.authorities.all(connection):
            newest = parts.publisher.newest(connection, each.name)
            row = {
                "name": each.name,
                "subject": each.certificate.subject_text,
                "serial": f"{each.certificate.serial:x}",
                "not_after": each.certificate.not_after.isoformat(),
                "acrl_number": newest.number if newest else None,
                "acrl_next_update": newest.next_update.isoformat() if newest else None,
            }
            click.echo(json.dumps(row, ensure_ascii=False))
        for name in parts.authorities.requested(connection):
            click.echo(json.dumps({"name": name, "serial": None}))
