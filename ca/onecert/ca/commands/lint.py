"""`onecert ca lint`: names every rule that certificates, lists and requests of anybody break."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import click
from cryptography import x509

from onecert.ca.commands.parts import opened_ca, say
from onecert.ca.errors.lint import LintIssuerError, LintProfileError
from onecert.ca.errors.profiles import ProfileFileError
from onecert.ca.linting.artefacts import CERTIFICATE, FILE_MAX_BYTES, find_artefacts
from onecert.ca.linting.linter import Against, lint
from onecert.ca.profiles.file import PROFILE_MAX_BYTES, profile_from_text
from onecert.ca.profiles.profile import Profile, packaged_profile, packaged_profile_names, read_profile
from onecert.server.commands.options import common_options
from onecert.server.languages import _

__all__ = ["lint_command"]


@click.command("lint")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.option("--issuer", metavar="NAME|FILE", help="Who signed: an authority of this CA, or a certificate.")
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME|FILE",
    help="As which profile; needs --issuer.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object for each certificate, list or request."
)
@common_options
def lint_command(
    *,
    files: tuple[str, ...],
    issuer: str | None,
    profile_name: str | None,
    as_json: bool,
    data: Path,
    config: Path | None,
) -> int:
    """Lint FILES: certificates, lists and requests in DER, or any number of them in PEM; - is stdin.

    Whoever made them: the rules are those of the standards. With --issuer also what that issuer must have
    said and signed, with --profile also whether it is what the issuer makes by that profile. Nothing is
    changed or fetched.

    Exit 0: nothing was found; 1: each line is a finding.
    """
    against = _against(issuer, profile_name, data, config)
    count = found = 0
    for file in files:
        with click.open_file(file, "rb") as stream:
            content = stream.read(FILE_MAX_BYTES + 1)
        for number, artefact in enumerate(find_artefacts(content), start=1):
            findings = lint(artefact, against)
            count, found = count + 1, found + len(findings)
            place = f"{file}#{number}"
            if as_json:
                facts = {
                    "file": file,
                    "number": number,
                    "kind": artefact.kind,
                    "sha256": hashlib.sha256(artefact.content).hexdigest(),
                    "findings": [finding.as_json() for finding in findings],
                }
                click.echo(json.dumps(facts, ensure_ascii=False))
            else:
                for each in findings:
                    click.echo(f"{place}\t{artefact.kind}\t{each.rule}\t{each.text} ({each.source})")
    say(_("%(count)s read, %(found)s findings"), count=count, found=found)
    return 1 if found else 0


def _against(issuer: str | None, profile: str | None, data: Path, config: Path | None) -> Against:
    if issuer is None:
        if profile is not None:
            raise click.UsageError("--profile needs --issuer")
        return Against()
    if Path(issuer).is_file():
        certificate = _certificate(Path(issuer))
        return Against(issuer=certificate, profile=None if profile is None else _profile_of_file(profile))
    with opened_ca(data, config) as opened:
        authority = opened.parts.authorities.get(issuer)
    chosen = None
    if profile is not None:
        chosen = _profile_of_file(profile) if Path(profile).is_file() else authority.profile(profile)
    return Against(
        issuer=x509.load_der_x509_certificate(authority.certificate_der),
        addresses=authority.issuer,
        profile=chosen,
    )


def _certificate(file: Path) -> x509.Certificate:
    """Raises LintIssuerError."""
    with file.open("rb") as stream:
        content = stream.read(FILE_MAX_BYTES + 1)
    held: Sequence[bytes] = [each.content for each in find_artefacts(content) if each.kind == CERTIFICATE]
    if len(held) != 1:
        raise LintIssuerError(str(file))
    try:
        return x509.load_der_x509_certificate(held[0])
    except ValueError as exc:
        raise LintIssuerError(str(file)) from exc


def _profile_of_file(name: str) -> Profile:
    """A profile file, or one that comes with the CA.

    Raises:
        LintProfileError, ProfileFileError
    """
    if Path(name).is_file():
        with Path(name).open("rb") as stream:
            return profile_from_text(stream.read(PROFILE_MAX_BYTES + 1))
    data = packaged_profile(name) if name in packaged_profile_names() else None
    if data is None:
        raise LintProfileError(name, ", ".join(packaged_profile_names()))
    profile, faults = read_profile(data)
    if profile is None:
        # Without the identity forms of an authority many are not whole.
        raise ProfileFileError(faults)
    return profile
