"""Makes a backup of services, whether they run or not.

The order is what makes it one whole. Of each service first what is published, then the record, then the keys:
so no list in it is newer than its record, and no record names a key that is not in it. A service whose record
others build on is copied after them: what the registration authority has on record the CA's copy knows.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from onecert.server.audit.canonical import time_text
from onecert.server.audit.keys import publish_audit_key
from onecert.server.backup.ages import MADE, SUBJECT
from onecert.server.backup.archive import ArchiveWriter
from onecert.server.backup.contents import contents_of, is_secret, shared_contents
from onecert.server.backup.errors import BackupUnsignedError
from onecert.server.backup.sealing import seal_secrets
from onecert.server.backup.tables import copy_database
from onecert.server.contexts import SERVER_MIGRATIONS, OpenedMember
from onecert.server.documents import PrivateKey
from onecert.server.members import Kept, Member
from onecert.server.operators import command_actor

__all__ = ["SECRETS_PART", "Made", "file_in", "in_order", "make_backup"]

SECRETS_PART = "secrets.sealed"
SOFTHSM_LOCK = Path("softhsm/onecert.lock")  # of the token layer; whoever holds it has the store to itself


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a backup holds, and what it does not."""

    path: Path
    sha256: str
    services: dict[str, dict[str, Any]]
    left_out: tuple[str, ...]  # secrets, by their place in the data folder
    elsewhere: tuple[str, ...]  # what the settings name outside the data folder


@dataclass
class _Making:
    archive: ArchiveWriter
    folder: Path
    data: Path
    secrets: dict[str, Path] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: list[PrivateKey] = field(default_factory=list)

    def name(self, path: Path) -> str:
        return path.relative_to(self.data).as_posix()

    def add(self, path: Path) -> None:
        # A file that its service has just replaced or removed is of no use to anybody.
        with contextlib.suppress(FileNotFoundError):
            self.archive.add_file(f"data/{self.name(path)}", path)


def file_in(target: Path, at: datetime) -> Path:
    """The file of a backup: the one that was named, or a new one in the folder that was."""
    return target / f"onecert-{at:%Y%m%dT%H%M%SZ}.backup" if target.is_dir() else target


def in_order(members: Sequence[Member]) -> list[str]:
    """Name the members so that each comes after those that build on its record."""
    names = {member.name for member in members}
    graph = {member.name: [each for each in member.kept_after if each in names] for member in members}
    return list(TopologicalSorter(graph).static_order())


def make_backup(
    opened: Sequence[OpenedMember],
    data: Path,
    target: Path,
    *,
    at: datetime,
    passphrase: str | None = None,
    settings_file: Path | None = None,
) -> Made:
    """Write a backup of these services.

    Args:
        target: the file.
        passphrase: seals the secrets; without one they stay out.
        settings_file: one that lies outside the data folder.

    Raises:
        BackupUnsignedError: no key can sign it.
        DatabaseUnavailableError: a record cannot be read now.
    """
    by_name = {each.member.name: each for each in opened}
    with (
        contextlib.ExitStack() as stack,
        tempfile.TemporaryDirectory(prefix=".onecert-backup-", dir=target.parent) as folder,
        ArchiveWriter(target) as archive,
    ):
        making = _Making(archive, Path(folder), data.absolute())
        for name in in_order([each.member for each in opened]):
            _add_service(making, by_name[name], stack)
        if not making.keys:
            raise BackupUnsignedError
        with _alone_with_tokens(making.data):
            for path in shared_contents(making.data):
                if is_secret(path):
                    making.secrets[making.name(path)] = path
                else:
                    making.add(path)
        if settings_file is not None and not settings_file.absolute().is_relative_to(making.data):
            archive.add_file("settings/onecert.toml", settings_file)
        if passphrase is not None:
            archive.add(SECRETS_PART, seal_secrets(making.secrets, passphrase))
        left_out = () if passphrase is not None else tuple(sorted(making.secrets))
        elsewhere = tuple(sorted(place for each in opened for place in _elsewhere(each, making.data)))
        payload = {
            "backup": 1,
            "made_at": time_text(at),
            "services": making.services,
            "left_out": left_out,
            "elsewhere": elsewhere,
        }
        digest = archive.finish(payload, making.keys)
    for each in opened:
        _note(each, digest, passphrase is not None)
    return Made(path=target, sha256=digest, services=making.services, left_out=left_out, elsewhere=elsewhere)


def _add_service(making: _Making, opened: OpenedMember, stack: contextlib.ExitStack) -> None:
    member, context = opened.member, opened.context
    kept = member.keep(opened.config, context) if member.keep is not None else Kept(audit_key=lambda: None)
    stack.callback(kept.close)
    key = kept.audit_key()
    if key is not None:
        making.keys.append(key)
        publish_audit_key(context.data, key)
        context.audit.sign_head(context.database, key)
    contents = contents_of(context.data)
    for path in contents.published:
        making.add(path)
    # Before the record, which may go on meanwhile: what comes back has at least these.
    numbers = dict(kept.numbers())
    folder = making.folder / member.name
    folder.mkdir(mode=0o700)
    copy = copy_database(context.database, [SERVER_MIGRATIONS, member.migrations], folder)
    for name, path in copy.files.items():
        making.archive.add_file(f"databases/{member.name}/{name}", path)
        path.unlink()
    for path in contents_of(context.data).kept:
        making.add(path)
    making.secrets |= {making.name(path): path for path in contents.secrets}
    making.services[member.name] = {"database": copy.facts, "numbers": numbers}


@contextlib.contextmanager
def _alone_with_tokens(data: Path) -> Iterator[None]:
    """Nobody makes or destroys a key in the SoftHSM store meanwhile; signing goes on."""
    lock = data / SOFTHSM_LOCK
    if not lock.exists():
        yield
        return
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _elsewhere(opened: OpenedMember, data: Path) -> Iterator[str]:
    """Files and tokens that the settings name outside the data folder: they have backups of their own."""
    for name, value in vars(opened.config).items():
        if isinstance(value, Path) and not value.absolute().is_relative_to(data):
            yield f"[{opened.member.name}] {name} = {value}"


def _note(opened: OpenedMember, digest: str, with_secrets: bool) -> None:
    context = opened.context
    with context.database.transaction() as connection:
        context.audit.record(
            connection,
            event=MADE,
            actor=command_actor(),
            subject=SUBJECT,
            details={"sha256": digest, "sealed_pins": with_secrets},
        )
