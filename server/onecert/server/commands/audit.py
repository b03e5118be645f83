"""`onecert audit export` and `onecert audit verify`: hand the audit trail over, and check it offline."""

from __future__ import annotations

from pathlib import Path

import click
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from onecert.server.commands.options import common_options, data_option

__all__ = ["audit"]


@click.group()
def audit() -> None:
    """The audit trails of the services."""


@audit.command("export")
@common_options
@click.argument("service")
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file to write (JSON lines).",
)
def export_command(data: Path, config: Path | None, service: str, target: Path) -> None:
    """Write SERVICE's whole audit trail to a file for an auditor."""
    # Only this command needs a database; `verify` starts without one.
    from onecert.server.audit.export import export_to_file  # noqa: PLC0415
    from onecert.server.contexts import open_member  # noqa: PLC0415

    opened = open_member(service, data, config=config)
    try:
        count = export_to_file(opened.context.database, target, service=service)
    finally:
        opened.close()
    click.echo(f"{target}: {count} entries")
    click.echo(f"hint: check it anywhere with: onecert audit verify {target} --key PUBLIC.pem", err=True)


@audit.command("verify")
@data_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key",
    "key_files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PUBLIC.pem",
    help="Public key that signs the heads; may be repeated. Default: those in DATA/<service>/audit-keys.",
)
@click.option(
    "--earlier",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="An earlier export of the same trail, which this one must continue.",
)
def verify_command(data: Path, file: Path, key_files: tuple[Path, ...], earlier: Path | None) -> None:
    """Check an exported audit trail: nothing changed, removed, added, moved or cut off.

    Needs no database and no network. Names the first entry that is not as it was written.
    """
    from onecert.server.audit.check import export_service, verify_export  # noqa: PLC0415
    from onecert.verifier.jws import key_id  # noqa: PLC0415
    from onecert.verifier.signatures import PublicKey  # noqa: PLC0415

    if not key_files:
        service = Path(export_service(file)).name  # a name, whatever the file says
        key_files = tuple(sorted((data / service / "audit-keys").glob("*.pem")))
    keys: dict[str, PublicKey] = {}
    for key_file in key_files:
        try:
            key = load_pem_public_key(key_file.read_bytes())
        except (ValueError, UnsupportedAlgorithm) as exc:
            raise click.BadParameter(f"{key_file} is not a public key in PEM", param_hint="--key") from exc
        keys[key_id(key)] = key  # type: ignore[arg-type, assignment]  # another kind signs no head
    before = verify_export(earlier, keys=keys).head if earlier is not None else None
    report = verify_export(file, keys=keys, earlier=before)
    click.echo(f"{report.service}: {report.entries} entries, whole and unchanged")
    click.echo(
        f"signed up to entry {report.head.seq} at {report.head.at:%Y-%m-%dT%H:%M:%SZ} ({report.heads} heads)"
    )
    if report.unsigned_entries:
        click.echo(
            f"warning: the newest {report.unsigned_entries} entries are not covered by a signed head yet",
            err=True,
        )
