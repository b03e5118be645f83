"""`onecert backup`: make, check and restore backups, and prove by a drill that one brings all back."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from onecert.server.cli import REFUSED
from onecert.server.clock import SystemClock
from onecert.server.commands.options import common_options, data_option
from onecert.server.languages import _, gettext
from onecert.server.members import Member, installed_members, load_member

__all__ = ["backup"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_KEYS = click.option(
    "--key",
    "key_files",
    multiple=True,
    type=_FILE,
    metavar="PUBLIC.pem",
    help="Public audit key whose signature counts; may be repeated. Default: DATA/<service>/audit-keys.",
)
_PASSPHRASE = click.option(
    "--passphrase-file",
    type=_FILE,
    metavar="FILE",
    help="The passphrase of the secrets, readable by its owner only.",
)


@click.group()
def backup() -> None:
    """Backups: make, check and restore them, and prove that they bring the services back."""


@backup.command()
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER|FILE",
    help="Where it goes; in a folder it is named by its time.",
)
@click.option("--service", "services", multiple=True, help="Only this one; may be repeated. Default: all.")
@click.option("--with-secrets", is_flag=True, help="Also the PIN files, sealed; needs --passphrase-file.")
@_PASSPHRASE
@common_options
def create(
    *,
    target: Path,
    services: tuple[str, ...],
    with_secrets: bool,
    passphrase_file: Path | None,
    data: Path,
    config: Path | None,
) -> None:
    """Copy the services, which may run meanwhile, into one signed file."""
    from onecert.server.backup.making import file_in, make_backup  # noqa: PLC0415
    from onecert.server.backup.sealing import read_passphrase  # noqa: PLC0415
    from onecert.server.contexts import load_member_settings, open_members  # noqa: PLC0415

    if with_secrets != (passphrase_file is not None):
        raise click.UsageError("--with-secrets and --passphrase-file go together")
    passphrase = read_passphrase(passphrase_file) if passphrase_file is not None else None
    members = _there(data, services)
    clock = SystemClock()
    opened = open_members(members, data, load_member_settings(members, data, config=config), clock=clock)
    at = clock.now()
    try:
        made = make_backup(
            opened, data, file_in(target, at), at=at, passphrase=passphrase, settings_file=config
        )
    finally:
        for each in opened:
            each.close()
    click.echo(f"{made.path}\t{made.sha256}")
    for name, facts in made.services.items():
        click.echo(f"{name}\tentry {facts['database']['audit']['seq']}")
    for name in made.left_out:
        _say(_("not in the backup, because it is a secret: %(name)s"), name=name)
    for name in made.elsewhere:
        _say(_("not in the backup, because it lies elsewhere: %(name)s"), name=name)
    _say(_("hint: keep it on another machine, and prove it: onecert backup drill %(path)s"), path=made.path)


@backup.command()
@click.argument("file", type=_FILE)
@_KEYS
@data_option
def check(*, file: Path, key_files: tuple[Path, ...], data: Path) -> None:
    """Check FILE offline: signature, every part, databases, audit trails. Changes nothing."""
    from onecert.server.backup.checking import check_backup  # noqa: PLC0415

    manifest = check_backup(file, _known(key_files, data))
    click.echo(f"{file}\t{manifest.made_at:%Y-%m-%dT%H:%M:%SZ}\t{manifest.bytes} bytes")
    for name, facts in manifest.services.items():
        audit = facts["database"]["audit"]
        click.echo(f"{name}\tentry {audit['seq']}\tsigned {audit['head_seq']}")


@backup.command()
@click.argument("file", type=_FILE)
@click.option("--seen", "exports", multiple=True, type=_FILE, help="An exported audit trail that is newer.")
@click.option("--apply", is_flag=True, help="Do it; without this, only show what would be done.")
@_PASSPHRASE
@_KEYS
@common_options
def restore(
    *,
    file: Path,
    exports: tuple[Path, ...],
    apply: bool,
    passphrase_file: Path | None,
    key_files: tuple[Path, ...],
    data: Path,
    config: Path | None,
) -> None:
    """Bring FILE into the new folder --data, and into empty schemas when the databases are PostgreSQL's.

    Says first what will be older than what the world outside has seen, and what to do about it.
    """
    from onecert.server.backup.checking import check_backup  # noqa: PLC0415
    from onecert.server.backup.restoring import (  # noqa: PLC0415
        check_target,
        read_seen,
        what_comes_next,
    )
    from onecert.server.backup.restoring import restore as bring_back  # noqa: PLC0415
    from onecert.server.backup.sealing import read_passphrase  # noqa: PLC0415
    from onecert.server.contexts import load_member_settings  # noqa: PLC0415

    passphrase = read_passphrase(passphrase_file) if passphrase_file is not None else None
    keys = _known(key_files, data)
    manifest = check_backup(file, keys)
    members = [load_member(name) for name in installed_members() if name in manifest.services]
    is_server = any(facts["database"]["engine"] == "postgresql" for facts in manifest.services.values())
    settings = load_member_settings(members, data, config=config) if is_server else None
    check_target(manifest, data, settings)
    for line in what_comes_next(manifest, [read_seen(each, manifest, keys) for each in exports]):
        click.echo(line)
    if not apply:
        _say(_("hint: nothing has changed yet; add --apply to restore it"))
        return
    bring_back(
        file,
        manifest,
        data,
        settings=lambda: load_member_settings(members, data, config=config),
        clock=SystemClock(),
        passphrase=passphrase,
    )
    _say(_("restored; look at it before it serves: onecert doctor, onecert ca check"))


@backup.command()
@click.argument("place", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--work", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where to unpack."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@_PASSPHRASE
@_KEYS
@common_options
def drill(
    *,
    place: Path,
    work: Path | None,
    as_json: bool,
    passphrase_file: Path | None,
    key_files: tuple[Path, ...],
    data: Path,
    config: Path | None,
) -> int:
    """Restore PLACE, a backup or the newest one in a folder, for a moment, and examine what comes back.

    Each service's audit trail keeps the result. Without --passphrase-file the PIN files of --data are used.
    """
    from onecert.server.backup.drilling import drill as hold_drill  # noqa: PLC0415
    from onecert.server.backup.drilling import newest_backup, note_drill  # noqa: PLC0415
    from onecert.server.backup.sealing import read_passphrase  # noqa: PLC0415

    file = newest_backup(place)
    if file is None:
        raise click.BadParameter(gettext("there is no backup in %(place)s", place=place))
    members = [load_member(name) for name in installed_members()]
    found = hold_drill(
        file,
        members,
        keys=_known(key_files, data),
        clock=SystemClock(),
        work=work or Path(tempfile.gettempdir()),
        passphrase=read_passphrase(passphrase_file) if passphrase_file is not None else None,
        borrow_from=data,
        config=config,
    )
    note_drill(found, _there(data, found.services), data, config=config)
    if as_json:
        click.echo(json.dumps(found.as_json(), ensure_ascii=False))
    else:
        click.echo(
            f"{found.backup}\tage {found.age_s} s\tcheck {found.check_s} s\trestore {found.restore_s} s"
            f"\texamine {found.examine_s} s\t{found.bytes} bytes"
        )
        for service, sentence in found.faults:
            click.echo(f"!!  {service}\t{sentence}")
        for service in sorted(set(found.services) - {name for name, _sentence in found.faults}):
            click.echo(f"ok  {service}")
    return REFUSED if found.faults else 0


def _there(data: Path, services: Sequence[str]) -> list[Member]:
    """The named members; otherwise those that have a folder."""
    names = services or [name for name in installed_members() if (data / name).is_dir()]
    return [load_member(name) for name in names if not services or (data / name).is_dir()]


def _known(key_files: Sequence[Path], data: Path):  # type: ignore[no-untyped-def]
    from onecert.server.backup.checking import audit_keys_of, load_keys  # noqa: PLC0415

    return load_keys(key_files or audit_keys_of(data))


def _say(msgid: str, **facts: object) -> None:
    click.echo(gettext(msgid, **facts), err=True)
