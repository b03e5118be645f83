"""`onecert pmi …`: authorities, the catalogue of roles, policies. Grants and decisions: ``cli_grants.py``.

Publishing shows what it would do until ``--apply`` is given, and runs the same code either way. Results go to
stdout as JSON, talk to stderr.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
from cryptography import x509

from onecert.hsm import KeyAlgorithm
from onecert.pmi import cli_grants
from onecert.pmi.authorities import make_request
from onecert.pmi.catalogue import read_catalogue
from onecert.pmi.cli_parts import APPLY, INPUT, OUTPUT, opened_parts, say, say_dry
from onecert.pmi.errors import AuthorityUnfitError
from onecert.pmi.policies import check_policy
from onecert.pmi.policy import PolicySource
from onecert.pmi.tokens import POLICY_KEY
from onecert.server.commands.options import common_options
from onecert.server.languages import _
from onecert.server.operators.store import command_actor
from onecert.verifier.certificate import load_certificate

__all__ = ["pmi"]


@click.group()
def pmi() -> None:
    """Attribute authorities, roles as attribute certificates, decisions."""


# ------------------------------------------------------------------ authorities


@pmi.group()
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
        request = make_request(parts.token.open(), label, kind, name=name, organization=organization)
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


# ------------------------------------------------------------------ the catalogue


@pmi.group()
def catalogue() -> None:
    """The catalogue of roles: names, who may give them, who must agree."""


@catalogue.command("publish")
@click.argument("file", type=INPUT)
@APPLY
@common_options
def publish_catalogue(file: Path, apply: bool, data: Path, config: Path | None) -> None:
    """Put the catalogue in FILE (TOML) in force as the next version."""
    read = read_catalogue(file)
    with opened_parts(data, config) as parts:
        if not apply:
            click.echo(json.dumps({"sha256": read.sha256, "roles": sorted(read.roles)}))
            say_dry()
            return
        with parts.context.database.transaction() as connection:
            published = parts.catalogues.publish(connection, read, actor=command_actor())
    row = {"version": published.version, "sha256": published.sha256, "roles": sorted(published.roles)}
    click.echo(json.dumps(row))


@catalogue.command("show")
@common_options
def show_catalogue(data: Path, config: Path | None) -> None:
    """Show the catalogue in force, one role a line."""
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        for row in json.loads(parts.catalogues.load(connection).to_json())["roles"]:
            click.echo(json.dumps(row, ensure_ascii=False))


# ------------------------------------------------------------------ policies


@pmi.group()
def policy() -> None:
    """Policies: signed, versioned, tested before they count."""


@policy.command("test")
@click.argument("file", type=INPUT)
def test_policy(file: Path) -> None:
    """Compile the policy in FILE (TOML) and run the tests inside it; needs no service."""
    source = PolicySource.from_toml(file.read_bytes())
    engine = check_policy(source)
    row = {
        "name": source.name,
        "sha256": source.sha256,
        "rules": list(engine.rules),
        "tests": len(source.cases),
    }
    click.echo(json.dumps(row))


@policy.command("publish")
@click.argument("file", type=INPUT)
@APPLY
@common_options
def publish_policy(file: Path, apply: bool, data: Path, config: Path | None) -> None:
    """Test, sign and put in force the policy in FILE as the next version."""
    source = PolicySource.from_toml(file.read_bytes())
    engine = check_policy(source)
    row = {
        "name": source.name,
        "sha256": source.sha256,
        "rules": list(engine.rules),
        "tests": len(source.cases),
    }
    if not apply:
        click.echo(json.dumps(row))
        say_dry()
        return
    with opened_parts(data, config) as parts:
        key = parts.token.own_key(POLICY_KEY)
        with parts.context.database.transaction() as connection:
            published = parts.policies.publish(connection, source, key=key, actor=command_actor())
    click.echo(json.dumps({**row, "version": published.version}))


@policy.command("show")
@common_options
def show_policy(data: Path, config: Path | None) -> None:
    """Show which policy is in force."""
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        active = parts.policies.load(connection)
    row = {"name": active.name, "version": active.version, "sha256": active.sha256}
    click.echo(json.dumps({**row, "rules": list(active.engine.rules)}))


for _command in cli_grants.COMMANDS:
    pmi.add_command(_command)
