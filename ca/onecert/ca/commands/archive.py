"""`onecert ca archive`: what need not be kept here any more, written into files with proof, then removed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from onecert.ca.archive.archives import MAX_OCTETS, REMOVED
from onecert.ca.archive.check import check_archive
from onecert.ca.archive.removal import APPROVALS, REMOVAL_TYPE
from onecert.ca.commands.mass_revocation import read_pin
from onecert.ca.commands.parts import APPLY, INPUT, OpenedCa, actor, opened_ca, plain_serial, say, say_dry
from onecert.server.commands.options import common_options
from onecert.server.documents import sign_document
from onecert.server.languages import _
from onecert.verifier.jws import key_id

__all__ = ["archive"]

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_GIB = 1024**3


def _month(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if _MONTH.fullmatch(value) is None:
        raise click.BadParameter("a month is written like 2011-11")
    return value


@click.group()
def archive() -> None:
    """Records of certificates, batches and mass revocations that ended long ago: docs/decisions/0008."""


@archive.command()
@common_options
def due(data: Path, config: Path | None) -> None:
    """List the months whose records need not be kept here any more, one JSON object a line."""
    with opened_ca(data, config) as opened:
        for each in opened.parts.archives.due():
            click.echo(json.dumps(vars(each)))


@archive.command()
@click.option("--authority", required=True, help="An authority, =batches or =mass-revocations.")
@click.option("--month", required=True, callback=_month, help="Of the end of what it is about: 2011-11.")
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="Another folder.")
@click.option(
    "--max-gib",
    type=click.FloatRange(min=0, min_open=True),
    default=MAX_OCTETS / _GIB,
    show_default=True,
    help="A file that is longer is followed by another.",
)
@click.option("--again", is_flag=True, help="Give up what was exported of this month before.")
@common_options
def export(
    *,
    authority: str,
    month: str,
    folder: Path | None,
    max_gib: float,
    again: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Write the records of a month into signed files. Nothing is removed."""
    with opened_ca(data, config) as opened:
        made = opened.parts.archives.export(
            authority,
            month,
            actor=actor(),
            folder=folder,
            max_octets=max(1, int(max_gib * _GIB)),
            again=again,
        )
        for each in made:
            click.echo(json.dumps(each.as_json()))
    say(_("hint: copy the files to where they will be kept; onecert ca archive remove needs them here"))


@archive.command()
@click.argument("file", type=INPUT)
@click.option("--key", "key_files", type=INPUT, multiple=True, help="Public key of the audit heads, PEM.")
@click.option("--audit-export", type=INPUT, help="Also find each audit entry in this export.")
@common_options
def check(
    file: Path, key_files: tuple[Path, ...], audit_export: Path | None, data: Path, config: Path | None
) -> None:
    """Check FILE offline: no database, no network. Default keys: those in DATA/ca/audit-keys."""
    keys = {}
    for each in key_files or sorted((data / "ca" / "audit-keys").glob("*.pem")):
        try:
            key = load_pem_public_key(each.read_bytes())
        except (ValueError, UnsupportedAlgorithm) as exc:
            raise click.BadParameter(f"{each} is no public key in PEM form") from exc
        keys[key_id(key)] = key  # type: ignore[arg-type]  # one of another kind signs nothing
    click.echo(json.dumps(vars(check_archive(file, keys, audit_export=audit_export))))  # type: ignore[arg-type]


@archive.command("list")
@common_options
def list_archives(data: Path, config: Path | None) -> None:
    """List all archives with their states, one JSON object a line."""
    with opened_ca(data, config) as opened:
        for each in opened.parts.archives.entries():
            click.echo(json.dumps(each.as_json()))


@archive.command()
@click.option("--authority", default=None)
@click.option("--serial", default=None, help="In hexadecimal.")
@click.option("--order", "order_id", default=None)
@click.option("--subject", default=None, help="A part of it.")
@click.option("--entity", default=None, help="A part of it.")
@click.option("--key", "key_sha256", default=None, help="SHA-256 of the public key, in hexadecimal.")
@common_options
def find(data: Path, config: Path | None, **asked: str | None) -> int:
    """Find certificates whose records were removed; says in which file they are."""
    wanted = {name: value for name, value in asked.items() if value}
    if not wanted:
        raise click.UsageError("say what to find")
    if "serial" in wanted:
        wanted["serial"] = plain_serial(wanted["serial"])
    found = 0
    with opened_ca(data, config) as opened:
        for name, line in opened.parts.archives.find(wanted):
            found += 1
            click.echo(json.dumps(line | {"archive": name}, ensure_ascii=False))
    return 0 if found else 1


@archive.command()
@click.argument("name")
@click.option("--officer", metavar="ID", help="Approve as this officer; your PIN is asked for.")
@APPLY
@common_options
def remove(name: str, officer: str | None, apply: bool, data: Path, config: Path | None) -> None:
    """Remove the records that are in the archive NAME, once two officers have approved it.

    Each officer runs it with --officer and --apply; the second one's begins the removal. Interrupted, it goes
    on where it stopped: with --apply alone.
    """
    with opened_ca(data, config) as opened:
        parts = opened.parts
        report = parts.archives.check(name)
        entry = parts.archives.entry(name)
        if not apply:
            say(
                _("%(name)s is as it was written; would remove %(count)s certificates with their records"),
                name=name,
                count=report.certificates,
            )
            say_dry()
            return
        if officer is not None:
            entry = parts.archive_removal.approve(name, _approval(opened, name, officer))
        if len(entry.officers) < APPROVALS:
            click.echo(json.dumps(entry.as_json()))
            say(_("hint: a second officer approves it: onecert ca archive remove %(name)s"), name=name)
            return
        for entry in parts.archive_removal.remove(name, actor=actor()):
            say(_("%(done)s of %(all)s parts removed"), done=entry.segments_removed, all=entry.segments)
        click.echo(json.dumps(entry.as_json()))
        if entry.state == REMOVED and parts.database.dialect == "postgresql":
            say(_("hint: PostgreSQL uses the room again by itself; docs/decisions/0008-retention.md"))


def _approval(opened: OpenedCa, name: str, officer: str) -> bytes:
    entry = opened.parts.archives.entry(name)
    content = {
        "officer": officer,
        "created_at": opened.parts.clock.now().isoformat(),
        "archive": name,
        "sha256": entry.sha256,
        "certificates": entry.certificates,
    }
    with opened.parts.officer_tokens.key(officer, pin=read_pin(officer)) as key:
        return sign_document(content, typ=REMOVAL_TYPE, keys=[key])
