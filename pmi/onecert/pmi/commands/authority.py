"""`onecert pmi authority …`: request, install, renew, list, show; suspend, resume, revoke."""

from __future__ import annotations

from pathlib import Path

import click
from cryptography import x509

from onecert.hsm import KeyAlgorithm
from onecert.pmi.authorities.directory import KINDS, SOURCE
from onecert.pmi.authorities.requests import make_request, sign_request
from onecert.pmi.authorities.states import REASONS
from onecert.pmi.commands.parts import (
    APPLY,
    INPUT,
    OPERATOR,
    OUTPUT,
    dump,
    opened_parts,
    read_operator,
    say,
    say_dry,
)
from onecert.pmi.errors import AuthorityUnfitError
from onecert.pmi.parts import Parts
from onecert.pmi.rest.authority_json import authority_detail, authority_json, outcome_json, survey_json
from onecert.server.commands.options import common_options
from onecert.server.languages import _
from onecert.server.operators.store import command_actor
from onecert.verifier.certificate import as_parsed, load_certificate

__all__ = ["authority"]

_ALGORITHMS = click.Choice([each.value for each in KeyAlgorithm])
_EACH = click.option("--each", is_flag=True, help="Change every certificate of a holder too.")


@click.group()
def authority() -> None:
    """Attribute authorities: a key on the token and a certificate of our CA."""


@authority.command("request")
@click.argument("name")
@click.option("--csr", "csr_file", required=True, type=OUTPUT, help="Write the request (PEM) here.")
@click.option("--algorithm", type=_ALGORITHMS, default="p-256", show_default=True)
@click.option("--organization", default="OneCert", help="The office that the authority belongs to.")
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    default=SOURCE,
    show_default=True,
    help="soa: gives what the catalogue says; aa: gives what it is delegated.",
)
@common_options
def request_authority(
    *,
    name: str,
    csr_file: Path,
    algorithm: str,
    organization: str,
    kind: str,
    data: Path,
    config: Path | None,
) -> None:
    """Make the key of NAME on the token and write a request for its certificate.

    Until the certificate is installed, asking again writes a request for the same key.
    """
    chosen = KeyAlgorithm(algorithm)
    with opened_parts(data, config) as parts:
        with parts.context.database.transaction() as connection:
            label = parts.authorities.register(connection, name, chosen, actor=command_actor(), kind=kind)
        request = make_request(parts.token, label, chosen, name=name, organization=organization)
        acrl_url = parts.authorities.acrl_url(name)
    csr_file.write_bytes(request)
    click.echo(dump({"name": name, "kind": kind, "csr": str(csr_file), "acrl": acrl_url}))
    say(_("hint: have it certified (profile attribute-authority), then run: onecert pmi authority install"))


@authority.command("renew")
@click.argument("name")
@click.option("--csr", "csr_file", required=True, type=OUTPUT, help="Write the request (PEM) here.")
@click.option("--new-key", is_flag=True, help="For a new key; the old one goes on signing its list.")
@click.option("--algorithm", type=_ALGORITHMS, default="p-256", show_default=True, help="Of a new key.")
@common_options
def renew_authority(
    *,
    name: str,
    csr_file: Path,
    new_key: bool,
    algorithm: str,
    data: Path,
    config: Path | None,
) -> None:
    """Write a request for a new certificate of NAME, under the same name.

    Asking again writes a request for the same key.
    """
    chosen = KeyAlgorithm(algorithm)
    with opened_parts(data, config) as parts:
        with parts.context.database.transaction() as connection:
            if new_key:
                actor = command_actor()
                label, found = parts.key_renewals.request(connection, name, chosen, actor=actor)
            else:
                found = parts.authorities.load(connection, name)
                label = found.key_label
        subject = found.certificate.certificate.subject
        request = sign_request(parts.token, label, chosen, subject)
    csr_file.write_bytes(request)
    click.echo(dump({"name": name, "csr": str(csr_file), "new_key": new_key}))
    say(_("hint: have it certified (profile attribute-authority), then run: onecert pmi authority install"))
    if new_key:
        say(_("hint: delegations name a key: after that, those to this authority must be given anew"))


@authority.command("install")
@click.argument("name")
@click.option("--certificate", "certificate_file", required=True, type=INPUT, help="PEM or DER.")
@click.option("--chain", "chain_file", required=True, type=INPUT, help="PEM; the issuer first.")
@common_options
def install_authority(
    name: str, certificate_file: Path, chain_file: Path, data: Path, config: Path | None
) -> None:
    """Check the certificate of NAME, take it into use, and publish the first revocation list.

    A certificate for the present key takes the place of the present one; one for a new key begins its use.
    """
    certificate = load_certificate(certificate_file.read_bytes())
    try:
        chain = x509.load_pem_x509_certificates(chain_file.read_bytes())
    except ValueError as exc:
        raise AuthorityUnfitError(name, _("the chain is not in PEM")) from exc
    with opened_parts(data, config) as parts:
        with parts.context.database.transaction() as connection:
            # A new key, unless the certificate is for the present one.
            is_new = parts.key_renewals.waiting(connection, name) and (
                parts.authorities.load(connection, name).certificate.spki_der
                != as_parsed(certificate).spki_der
            )
            install = parts.key_renewals.install if is_new else parts.authorities.install
            installed = install(
                connection, name, certificate, chain, signer=parts.signer, actor=command_actor()
            )
        acrl = parts.publisher.publish(name)
    click.echo(
        dump(
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
    """List the authorities with their states, one JSON object a line."""
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        for each in parts.authorities.all(connection):
            click.echo(dump(authority_json(connection, parts, each)))
            if each in parts.key_renewals.ending(connection, parts.context.clock.now()):
                say(_("warning: the certificate of %(name)s ends soon"), name=each.name)
        for name in parts.authorities.requested(connection):
            click.echo(dump({"name": name, "serial": None}))


@authority.command("show")
@click.argument("name")
@common_options
def show_authority(name: str, data: Path, config: Path | None) -> None:
    """Show NAME: its keys, its history, and what it may give by delegation."""
    with opened_parts(data, config) as parts, parts.context.database.reading() as connection:
        click.echo(dump(authority_detail(connection, parts, name)))


@authority.command("suspend")
@click.argument("name")
@_EACH
@OPERATOR
@APPLY
@common_options
def suspend(*, name: str, each: bool, operator_id: str, apply: bool, data: Path, config: Path | None) -> None:
    """Suspend NAME: it gives nothing, and nothing that it gave counts, until it is resumed."""
    with opened_parts(data, config) as parts:
        _act(parts, name, "suspend", operator_id, apply=apply, each=each)


@authority.command("resume")
@click.argument("name")
@OPERATOR
@APPLY
@common_options
def resume(name: str, operator_id: str, apply: bool, data: Path, config: Path | None) -> None:
    """Take NAME back into use, with what was put on hold because of it."""
    with opened_parts(data, config) as parts:
        _act(parts, name, "resume", operator_id, apply=apply)


@authority.command("revoke")
@click.argument("name")
@click.option("--reason", required=True, type=click.Choice(list(REASONS)))
@_EACH
@OPERATOR
@APPLY
@common_options
def revoke(
    *, name: str, reason: str, each: bool, operator_id: str, apply: bool, data: Path, config: Path | None
) -> None:
    """Revoke NAME for good, and all under it. A source of authority is revoked by two people."""
    with opened_parts(data, config) as parts:
        _act(parts, name, "revoke", operator_id, apply=apply, reason=reason, each=each)


def _act(
    parts: Parts,
    name: str,
    act: str,
    operator_id: str,
    *,
    apply: bool,
    reason: str = "",
    each: bool = False,
) -> None:
    """Show what would happen, or do it: the same survey either way."""
    operator, states = read_operator(parts, operator_id), parts.authority_states
    survey = states.survey(name, act, reason=reason, each=each)
    if not apply:
        click.echo(dump(survey_json(survey)))
        say_dry()
        return
    shown = survey.content_sha256
    if act == "suspend":
        outcome = states.suspend(name, operator, content_sha256=shown, each=each)
    elif act == "resume":
        outcome = states.resume(name, operator, content_sha256=shown)
    else:
        outcome = states.revoke(name, operator, content_sha256=shown, reason=reason, each=each)
    click.echo(dump(outcome_json(outcome)))
    if not outcome.is_done:
        say(_("hint: nothing has changed yet; another administrator gives the same command"))
    elif act == "revoke":
        say(_("hint: have the CA revoke the certificate of %(name)s as well"), name=name)
