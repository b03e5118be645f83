"""`onecert trust-list root`: the ceremony of the trust root.

`root key`, `root sign` and `root check` run on a machine without network and without this service's data:
a token and the ceremony's file are enough. `root draft`, `root import` and `root show` run at the service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from onecert.hsm import KeyAlgorithm, PrivateKey, ServiceToken
from onecert.server.commands.options import common_options
from onecert.server.folders import make_private_folder, write_file
from onecert.server.languages import _, gettext
from onecert.server.operators import command_actor
from onecert.supervision.commands.parts import TIME, opened_supervision
from onecert.supervision.root_errors import RootFileError
from onecert.supervision.root_file import (
    HOLDER_NAME,
    Ceremony,
    RootHolder,
    check_signer,
    holder_document,
    read_ceremony,
    read_holder,
    sign_ceremony,
)
from onecert.supervision.root_payload import find_root_changes, spoken_fingerprint
from onecert.verifier.jws import key_id
from onecert.verifier.trust_list.roles import Role

__all__ = ["root"]

KEY_LABEL = "trust-root"
MAX_BYTES = 4 * 1024 * 1024
F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def root() -> None:
    """The trust root: which keys departments trust for list and timestamp. Signed offline by its holders."""


# On the offline machine


def _token_options(command: F) -> F:
    """Whose key, and on which token."""
    folder = click.Path(file_okay=False, path_type=Path)
    command = click.option("--pin-file", type=FILE, help="Default: STORE/NAME.pin.")(command)
    command = click.option("--token-label", help="Default: root-NAME.")(command)
    command = click.option("--module", type=EXISTING, help="PKCS#11 module of a real token.")(command)
    command = click.option(
        "--store",
        type=folder,
        default=Path("offline-root"),
        show_default=True,
        help="Folder of PIN files and, without --module, of a SoftHSM store.",
    )(command)
    return click.option("--holder", required=True, metavar="NAME", help="Whose key.")(command)


@contextmanager
def _token(
    holder: str, store: Path, module: Path | None, token_label: str | None, pin_file: Path | None
) -> Iterator[ServiceToken]:
    if HOLDER_NAME.fullmatch(holder) is None:
        raise click.UsageError("a holder's name has small letters, digits, dots and hyphens, at most 24")
    make_private_folder(store)
    token = ServiceToken(
        token_label or f"root-{holder}",
        pin_file or store / f"{holder}.pin",
        module=module,
        store=store / "softhsm",
        sessions=1,
    )
    with token:
        yield token


@root.command("key")
@_token_options
@click.option(
    "--algorithm",
    type=click.Choice(["p-256", "p-384", "rsa-3072", "rsa-4096", "ed25519"]),
    default="p-384",
    show_default=True,
)
@click.option("--out", type=FILE, metavar="FILE", help="Default: NAME.root-key.json.")
def root_key(holder: str, algorithm: str, out: Path | None, **where: Any) -> None:
    """Make the root key of a holder, offline, and write its public part to a file for `root draft`."""
    target = out or Path(f"{holder}.root-key.json")
    with _token(holder, **where) as token:
        key, made = token.find_or_make(KEY_LABEL, KeyAlgorithm(algorithm))
        write_file(target, holder_document(holder, key, at=datetime.now(UTC)), mode=0o644)
        kid = key_id(key.public_key())
    click.echo(f"{holder}\t{kid}\t{target}")
    if not made:
        click.echo(gettext(_("hint: this token had a root key already; it is the one in the file")), err=True)


@root.command("sign")
@click.argument("file", type=EXISTING)
@_token_options
@click.option("--apply", is_flag=True, help="Sign; without it only show what would be signed.")
def root_sign(file: Path, holder: str, apply: bool, **where: Any) -> None:
    """Sign the root in FILE with a holder's key, offline, after showing it; the signature goes into FILE."""
    ceremony = read_ceremony(_read(file), file=file.name)
    _show(ceremony)
    with _token(holder, **where) as token:
        key: PrivateKey = token.key(KEY_LABEL)
        kid = key_id(key.public_key())
        check_signer(ceremony, kid)
        if not apply:
            click.echo(
                gettext(
                    _("hint: nothing was signed; compare the fingerprint with the others, then add --apply")
                ),
                err=True,
            )
            return
        signed = sign_ceremony(ceremony, key)
    write_file(file, signed.encode(), mode=0o644)
    click.echo(f"signed\t{holder}\t{kid}")
    _show_missing(signed)


@root.command("check")
@click.argument("file", type=EXISTING)
def root_check(file: Path) -> None:
    """Show what the root in FILE says, who has signed it and who must still sign. Needs only the file."""
    ceremony = read_ceremony(_read(file), file=file.name)
    _show(ceremony)
    _show_missing(ceremony)


# Where the service is


@root.command("draft")
@click.option(
    "--root-key",
    "files",
    type=EXISTING,
    multiple=True,
    metavar="FILE",
    help="Public part of a holder's key; give all of them. None: the holders stay.",
)
@click.option("--threshold", type=click.IntRange(2, 32), metavar="K", help="So many holders must sign.")
@click.option(
    "--raise-epoch",
    type=click.Choice([Role.LIST.value, Role.TIMESTAMP.value, Role.REGISTRY.value]),
    multiple=True,
    help="The counters of this role begin anew: after its keys were stolen.",
)
@click.option("--new-timestamp-key", is_flag=True, help="Make another timestamp key on the service's token.")
@click.option("--registry-key", type=EXISTING, metavar="FILE", help="PEM: who signs the register's snapshot.")
@click.option("--expires", type=TIME, metavar="DATE", help="Default: after root_validity.")
@click.option("--out", type=FILE, required=True, metavar="FILE")
@common_options
def root_draft(  # noqa: PLR0917 -- click hands over by name
    files: tuple[Path, ...],
    threshold: int | None,
    raise_epoch: tuple[str, ...],
    new_timestamp_key: bool,
    registry_key: Path | None,
    expires: datetime | None,
    out: Path,
    data: Path,
    config: Path | None,
) -> None:
    """Write the next root to a file for its holders: officers, timestamp key, holders as they are now."""
    registry = None if registry_key is None else _public_key(registry_key)
    with opened_supervision(data, config) as (the, _account):
        ceremony = the.roots.draft(
            holders=_holders(files),
            threshold=threshold,
            raise_epoch=[Role(name) for name in raise_epoch],
            new_timestamp_key=new_timestamp_key,
            registry_key=registry,
            expires_at=expires,
            actor=command_actor(),
        )
    write_file(out, ceremony.encode(), mode=0o644)
    _show(ceremony)
    _show_missing(ceremony)


@root.command("import")
@click.argument("file", type=EXISTING)
@click.option(
    "--root-key",
    "files",
    type=EXISTING,
    multiple=True,
    metavar="FILE",
    help="Public part of a holder's key that the record has lost.",
)
@click.option("--apply", is_flag=True, help="Put it in force; without it only check and show.")
@common_options
def root_import(file: Path, files: tuple[Path, ...], apply: bool, data: Path, config: Path | None) -> None:
    """Take in a root that enough holders have signed, and publish it."""
    ceremony = read_ceremony(_read(file), file=file.name)
    with opened_supervision(data, config) as (the, _account):
        imported = the.roots.take_in(
            ceremony.root, holders=_holders(files), actor=command_actor(), apply=apply
        )
        for change in imported.changes:
            click.echo(change.spoken())
        said = f"{imported.root.version}\t{imported.root.fingerprint}"
        if not apply:
            click.echo(f"would import\t{said}")
            if imported.with_list is not None:
                click.echo(f"would publish the trust list number {imported.with_list} with it")
            click.echo("hint: nothing has changed; add --apply to put it in force", err=True)
            return
        click.echo(f"known\t{said}" if imported.is_known else f"imported\t{said}")
        if imported.with_list is not None:
            click.echo(f"published number {imported.with_list}")
        the.release(actor=command_actor())
    if imported.root.version == 1 and not imported.is_known:
        hint = _("hint: print this fingerprint; every department compares it with the file it is given")
        click.echo(gettext(hint), err=True)


@root.command("show")
@click.option("--json", "as_json", is_flag=True, help="The signed document itself.")
@click.option("--out", type=FILE, metavar="FILE", help="Write the signed document there.")
@common_options
def root_show(as_json: bool, out: Path | None, data: Path, config: Path | None) -> None:
    """Show the root in force: version, fingerprint, who has which role."""
    with opened_supervision(data, config) as (the, _account):
        record, names = the.roots.newest(), the.roots.names()
    if out is not None:
        write_file(out, record.document, mode=0o644)
        click.echo(f"wrote {out}", err=True)
    if as_json:
        click.echo(record.document.decode("ascii"))
        return
    click.echo(f"{record.version}\t{spoken_fingerprint(record.sha256)}")
    for change in find_root_changes(None, record.content, names):
        click.echo(change.spoken())


def _holders(files: tuple[Path, ...]) -> list[RootHolder]:
    return [read_holder(_read(file), file=file.name) for file in files]


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES)


def _public_key(path: Path) -> Any:
    try:
        return load_pem_public_key(_read(path))
    except ValueError as exc:
        raise RootFileError(path.name, "not a public key in PEM") from exc


def _show(ceremony: Ceremony) -> None:
    """What is signed, in words; the fingerprint is what holders compare."""
    content, before = ceremony.content, ceremony.before
    click.echo(gettext(_("trust root, version %(version)s"), version=content.version))
    click.echo(gettext(_("fingerprint: %(fingerprint)s"), fingerprint=spoken_fingerprint(ceremony.sha256)))
    for change in find_root_changes(before, content, ceremony.names):
        click.echo(f"  {change.spoken()}")


def _show_missing(ceremony: Ceremony) -> None:
    """Who has signed, and how many are missing on each side."""
    signers = set(ceremony.signers)
    for kid in ceremony.signers:
        click.echo(f"signed by {ceremony.names.get(kid, kid)}\t{kid}", err=True)
    before = ceremony.before
    sides = [
        (_("hint: %(count)s more of the new root's holders must sign"), ceremony.content.roles[Role.ROOT])
    ]
    if before is not None:
        sides.append((_("hint: %(count)s more of the present holders must sign"), before.roles[Role.ROOT]))
    missing = False
    for text, role in sides:
        count = role.threshold - len(signers & set(role.keys))
        if count > 0:
            missing = True
            click.echo(gettext(text, count=count), err=True)
    if not missing:
        click.echo(gettext(_("hint: ready: onecert trust-list root import FILE --apply")), err=True)
