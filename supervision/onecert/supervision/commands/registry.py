"""`onecert trust-list registry`: the signed snapshot of the register of legal entities (法人库)."""

from __future__ import annotations

from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onecert.server.commands.options import common_options
from onecert.server.operators import command_actor
from onecert.supervision.commands.parts import opened_supervision
from onecert.supervision.register_errors import RegisterAbsentError, RegisterFaultsError
from onecert.supervision.register_rows import check_rows
from onecert.verifier.identity.registry_head import SnapshotHead

__all__ = ["registry"]

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
# A file of another kind makes a fault of each line.
_FAULTS_SHOWN = 1000


@click.group()
def registry() -> None:
    """The snapshot of the register of legal entities that departments look numbers up in."""


@registry.command("key")
@click.option("--out", type=_FILE, metavar="FILE", help="Default: stdout.")
@common_options
def registry_key(out: Path | None, data: Path, config: Path | None) -> None:
    """Write the public key that signs snapshots, made on the service's token when there is none.

    The next trust root must name it: onecert trust-list root draft --registry-key FILE
    """
    with opened_supervision(data, config) as (the, _):
        public = the.register.key().public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if out is None:
        click.echo(pem.decode("ascii"), nl=False)
    else:
        out.write_bytes(pem)
        click.echo(f"wrote {out}", err=True)


@registry.command("make")
@click.argument("entries", type=_EXISTING, metavar="ENTRIES")
@click.option("--out", type=_FOLDER, required=True, metavar="FOLDER", help="Where the two files go.")
@common_options
def registry_make(entries: Path, out: Path, data: Path, config: Path | None) -> None:
    """Sort, check and sign ENTRIES (.csv, or one JSON object a line) under the next number.

    Every wrong row is named by its line; then nothing is signed.
    """
    checked = check_rows(entries.read_bytes(), is_csv=entries.suffix.lower() == ".csv")
    for fault in checked.faults[:_FAULTS_SHOWN]:
        click.echo(f"{entries.name}:{fault.line}: {fault.detail}", err=True)
    if checked.faults:
        raise RegisterFaultsError(len(checked.faults))
    with opened_supervision(data, config) as (the, _):
        head = the.register.make(checked.lines, out)
    _show(head)
    click.echo(f"hint: publish it: onecert trust-list registry publish {out} --apply", err=True)


@registry.command("publish")
@click.argument("folder", type=_FOLDER, metavar="FOLDER")
@click.option("--apply", is_flag=True, help="Publish; without it only check.")
@common_options
def registry_publish(folder: Path, apply: bool, data: Path, config: Path | None) -> None:
    """Publish the snapshot in FOLDER beside the trust list, and sign a timestamp that names it."""
    with opened_supervision(data, config) as (the, _):
        if not apply:
            click.echo("would publish:")
            _show(the.register.check(folder))
            click.echo("hint: nothing was published; add --apply to publish it", err=True)
            return
        head = the.register.publish(folder, actor=command_actor())
        the.release(actor=command_actor())
    _show(head)


@registry.command("show")
@common_options
def registry_show(data: Path, config: Path | None) -> None:
    """Show the published snapshot: number, dates, number of entities, digest."""
    with opened_supervision(data, config) as (the, _):
        head = the.register.current()
        folder = the.published
    if head is None:
        raise RegisterAbsentError(str(folder))
    _show(head)


def _show(head: SnapshotHead) -> None:
    click.echo(
        f"{head.number}\t{head.issued_at.isoformat()}\t{head.next_update.isoformat()}"
        f"\t{head.data.entries}\t{head.sha256}"
    )
