"""`onecert ca profile`: versions of profiles after the ceremony, from the file to being in force."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from onecert.ca.authorities.authorities import pem
from onecert.ca.commands.mass_revocation import read_pin
from onecert.ca.commands.parts import APPLY, INPUT, OpenedCa, actor, opened_ca, say, say_dry
from onecert.ca.errors import UnknownProfileError
from onecert.ca.errors.profiles import ProfileFileError
from onecert.ca.profiles.desk import ProfileDraft
from onecert.ca.profiles.difference import compare_profiles
from onecert.ca.profiles.file import PROFILE_MAX_BYTES
from onecert.ca.profiles.profile import Profile, profile_from_json
from onecert.ca.profiles.schema import profile_schema
from onecert.ca.profiles.words import describe_certificate
from onecert.server.commands.options import common_options
from onecert.server.languages import Sentence, _, gettext

__all__ = ["profile"]

AUTHORITY = click.option("--authority", required=True, metavar="NAME")
TIME = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"])


@click.group()
def profile() -> None:
    """Profiles of certificates: new versions, signed by two people."""


@profile.command()
def schema() -> None:
    """Print the JSON Schema of profile files."""
    click.echo(json.dumps(profile_schema(), ensure_ascii=False, indent=2))


@profile.command()
@click.argument("file", type=INPUT)
@AUTHORITY
@common_options
def check(file: Path, authority: str, data: Path, config: Path | None) -> None:
    """Check FILE: its form, the standards' rules, its version, and a sample certificate."""
    with opened_ca(data, config) as opened:
        found, _sample = opened.parts.profile_desk.check(authority, _text(file))
    click.echo(json.dumps({"name": found.name, "version": found.version, "sha256": found.sha256}))


@profile.command()
@click.argument("file", type=INPUT)
@AUTHORITY
@click.option(
    "--pem", "pem_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the sample here."
)
@common_options
def preview(file: Path, authority: str, pem_file: Path | None, data: Path, config: Path | None) -> None:
    """Show what a certificate of FILE would say; signed with a throw-away key, never recorded."""
    with opened_ca(data, config) as opened:
        found, sample = opened.parts.profile_desk.check(authority, _text(file))
        difference = compare_profiles(opened.parts.authorities.get(authority).profiles.get(found.name), found)
    for row in describe_certificate(sample.certificate_der, found):
        mark = "" if row.is_critical is None else gettext(_("critical")) if row.is_critical else "-"
        click.echo(f"{row.title}\t{mark}\t{row.value}")
    for each in difference:
        say(_("changes %(field)s: “%(before)s” → “%(after)s”"), **vars(each))
    if pem_file is not None:
        pem_file.write_text(pem(sample.certificate_der), encoding="ascii")


@profile.command()
@click.argument("file", type=INPUT)
@AUTHORITY
@click.option("--from", "begins", type=TIME, default=None, help="In force from then on; default: at once.")
@common_options
def draft(file: Path, authority: str, begins: datetime | None, data: Path, config: Path | None) -> None:
    """Open a draft from FILE; one that is open for the same profile is replaced."""
    with opened_ca(data, config) as opened:
        at = None if begins is None else begins if begins.tzinfo else begins.replace(tzinfo=UTC)
        made = opened.parts.profile_desk.draft(authority, _text(file), in_force_from=at, actor=actor())
    click.echo(json.dumps(_facts(made), ensure_ascii=False))


@profile.command()
@click.argument("draft", metavar="DRAFT")
@click.option("--officer", required=True, metavar="ID", help="Who you are; your PIN is asked for.")
@click.option("--sha256", default=None, help="Sign only if the profile has this hash.")
@common_options
def sign(draft: str, officer: str, sha256: str | None, data: Path, config: Path | None) -> None:
    """Sign DRAFT with your token. Two officers sign, who are two people."""
    with opened_ca(data, config) as opened:
        desk = opened.parts.profile_desk
        found = desk.find(draft)
        _show(found.profile, err=True)
        signed = desk.sign(draft, officer, pin=read_pin(officer), sha256=sha256 or found.profile.sha256)
    click.echo(json.dumps(_facts(signed), ensure_ascii=False))


@profile.command()
@click.argument("draft", metavar="DRAFT")
@APPLY
@common_options
def install(draft: str, apply: bool, data: Path, config: Path | None) -> None:
    """Put DRAFT in force from its day on, when two officers have signed it."""
    with opened_ca(data, config) as opened:
        desk = opened.parts.profile_desk
        found = desk.find(draft)
        click.echo(json.dumps(_facts(found), ensure_ascii=False))
        if not apply:
            say_dry()
            return
        desk.install(draft, actor=actor())


@profile.command()
@click.argument("draft", metavar="DRAFT")
@APPLY
@common_options
def discard(draft: str, apply: bool, data: Path, config: Path | None) -> None:
    """Close DRAFT for good."""
    with opened_ca(data, config) as opened:
        click.echo(json.dumps(_facts(opened.parts.profile_desk.find(draft)), ensure_ascii=False))
        if not apply:
            say_dry()
            return
        opened.parts.profile_desk.discard(draft, actor=actor())


@profile.command("list")
@click.option("--authority", default=None, metavar="NAME")
@common_options
def list_profiles(authority: str | None, data: Path, config: Path | None) -> None:
    """List installed versions and open drafts, one JSON object a line."""
    with opened_ca(data, config) as opened:
        for row in opened.parts.profile_desk.versions(authority):
            begins, ended = row["in_force_from"] or row["added_at"], row["withdrawn_at"]
            facts = {
                "authority": row["authority"],
                "profile": row["name"],
                "version": row["version"],
                "sha256": row["sha256"],
                "in_force_from": begins.isoformat(),
                "withdrawn_at": ended.isoformat() if ended else None,
                "usable": row["in_force"],
                "signed": row["document"] is not None,
            }
            click.echo(json.dumps(facts))
        for each in opened.parts.profile_desk.drafts():
            if authority in {None, each.authority}:
                click.echo(json.dumps(_facts(each), ensure_ascii=False))


@profile.command()
@click.argument("name")
@AUTHORITY
@click.option("--version", type=int, default=None, help="Default: the one in force.")
@click.option("--document", is_flag=True, help="The document as two officers signed it.")
@common_options
def show(  # noqa: PLR0917 -- click hands over by name
    name: str, authority: str, version: int | None, document: bool, data: Path, config: Path | None
) -> None:
    """Show a version of NAME in its canonical form."""
    with opened_ca(data, config) as opened:
        row = _row(opened, authority, name, version)
        if document and row["document"] is not None:
            click.echo(row["document"].decode())
            return
        _show(profile_from_json(row["content"]))


@profile.command()
@click.argument("file", type=INPUT)
@AUTHORITY
@common_options
def diff(file: Path, authority: str, data: Path, config: Path | None) -> int:
    """Compare FILE with the version in force; exit code 1 when they differ."""
    with opened_ca(data, config) as opened:
        found, _sample = opened.parts.profile_desk.check(authority, _text(file))
        before = opened.parts.authorities.get(authority).profiles.get(found.name)
    difference = compare_profiles(before, found)
    for each in difference:
        click.echo(json.dumps(vars(each), ensure_ascii=False))
    return 1 if difference else 0


@profile.command()
@click.argument("name")
@AUTHORITY
@click.option("--version", type=int, required=True)
@click.option("--approved-by", multiple=True, metavar="PERSON")
@APPLY
@common_options
def withdraw(  # noqa: PLR0917 -- click hands over by name
    name: str,
    authority: str,
    version: int,
    approved_by: tuple[str, ...],
    apply: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Fill no order from this version of NAME any more."""
    with opened_ca(data, config) as opened:
        row = _row(opened, authority, name, version)
        say(_("would withdraw %(name)s, version %(version)s, sha256 %(sha256)s"), **row)
        if not apply:
            say_dry()
            return
        opened.parts.profile_desk.withdraw(authority, name, version, approved_by=approved_by, actor=actor())


def _text(file: Path) -> str:
    with file.open("rb") as stream:
        content = stream.read(PROFILE_MAX_BYTES + 1)
    try:
        return content.decode()
    except UnicodeDecodeError as exc:
        raise ProfileFileError([Sentence(_("it is not TOML: %(reason)s"), reason=str(exc)[:200])]) from exc


def _row(opened: OpenedCa, authority: str, name: str, version: int | None) -> dict[str, Any]:
    if version is None:
        version = opened.parts.authorities.get(authority).profile(name).version
    for row in opened.parts.profile_desk.versions(authority, name):
        if row["version"] == version:
            return dict(row)
    raise UnknownProfileError(authority, name)


def _show(profile: Profile, *, err: bool = False) -> None:
    text = json.dumps(json.loads(profile.as_json()), ensure_ascii=False, indent=2, sort_keys=True)
    click.echo(text, err=err)


def _facts(draft: ProfileDraft) -> dict[str, object]:
    return {
        "draft": draft.id,
        "authority": draft.authority,
        "profile": draft.profile.name,
        "version": draft.profile.version,
        "sha256": draft.profile.sha256,
        "in_force_from": draft.in_force_from.isoformat(),
        "signed_by": [signature["officer"] for signature in draft.signatures],
    }
