"""Brings a backup into a new data folder (and empty PostgreSQL schemas); never over anything that is there.

A restored service is older than what the outside world has seen of it. What follows from that is said by
`what_comes_next`: some things must never go back (numbers of revocation lists, the audit trail), and what was
done after the backup must be put on record again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from onecert.server.audit import AuditTrail
from onecert.server.audit.canonical import time_text
from onecert.server.audit.check import verify_export
from onecert.server.backup.ages import RESTORED, RETURN_SUBJECT
from onecert.server.backup.archive import extracted
from onecert.server.backup.checking import Manifest
from onecert.server.backup.errors import RestoreTargetError
from onecert.server.backup.making import SECRETS_PART
from onecert.server.backup.sealing import open_secrets
from onecert.server.backup.tables import load_rows, settle, standing
from onecert.server.clock import Clock
from onecert.server.config import DatabaseConfig, Settings
from onecert.server.contexts import open_database
from onecert.server.database import Database
from onecert.server.folders import make_private_folder, write_file
from onecert.server.languages import gettext
from onecert.server.operators import command_actor
from onecert.verifier.signatures import PublicKey

__all__ = ["SeenTrail", "check_target", "read_seen", "restore", "what_comes_next"]

SETTINGS_OF_THEN = "settings-of-then.toml"


@dataclass(frozen=True, kw_only=True)
class SeenTrail:
    """An export of an audit trail that somebody has, which knows more than the backup."""

    service: str
    entries: int
    after: tuple[tuple[int, str, str], ...]  # number, event, subject of what the backup does not know


def check_target(manifest: Manifest, data: Path, settings: Settings | None) -> None:
    """Check that nothing is in the way.

    Args:
        settings: where the databases are; needed for PostgreSQL alone.

    Raises:
        RestoreTargetError: with how far what is there has come.
    """
    for service, facts in manifest.services.items():
        engine = facts["database"]["engine"]
        database = None
        if engine == "postgresql" and settings is not None:
            database = _database(service, data, settings)
        elif (data / service / f"{service}.db").exists():
            database = Database(f"sqlite:///{data / service / f'{service}.db'}")
        if database is not None:
            _check_empty(service, database, facts["database"]["audit"]["seq"])
    if data.exists() and any(data.iterdir()):
        raise RestoreTargetError(str(data), ", ".join(sorted(each.name for each in data.iterdir())[:5]))


def restore(
    path: Path,
    manifest: Manifest,
    data: Path,
    *,
    settings: Callable[[], Settings],
    clock: Clock,
    passphrase: str | None = None,
) -> None:
    """Write everything of a checked backup; the audit trail of each service says so.

    Args:
        settings: reads the settings for the restored folder, which may have come with the backup.
        passphrase: of its secrets; without one they are left out.

    Raises:
        RestoreTargetError, BackupPassphraseError, DatabaseUnavailableError
    """
    make_private_folder(data)
    staged = data / ".restoring"
    for _written in extracted(path, lambda name: _place(name, data, staged)):
        pass
    sealed = staged / SECRETS_PART
    if passphrase is not None and sealed.exists():
        for name, content in open_secrets(sealed.read_bytes(), passphrase).items():
            make_private_folder((data / name).parent)
            write_file(data / name, content)
    sealed.unlink(missing_ok=True)
    for service, facts in manifest.services.items():
        folder = make_private_folder(data / service)
        tables = staged / "databases" / service
        if facts["database"]["engine"] == "postgresql":
            database = _database(service, data, settings())
            load_rows(database, facts["database"], lambda name, at=tables: at / name, place=service)  # type: ignore[misc]
        else:
            database = Database(f"sqlite:///{folder / f'{service}.db'}")
            (folder / f"{service}.db-made").touch(mode=0o600)
        try:
            settle(database)
            _note(database, service, clock, manifest)
        finally:
            database.close()
    _remove(staged)


def read_seen(export: Path, manifest: Manifest, keys: Mapping[str, PublicKey]) -> SeenTrail:
    """Compare an export that an auditor has with the backup: what does it know that the backup does not?

    Raises:
        AuditExportError: the export is not whole.
    """
    events: list[tuple[int, str, str]] = []
    report = verify_export(export, keys=keys)
    facts = manifest.services.get(report.service)
    if facts is not None:
        events = [each for each in _entries(export) if each[0] > facts["database"]["audit"]["seq"]]
    return SeenTrail(service=report.service, entries=report.entries, after=tuple(events))


def what_comes_next(manifest: Manifest, seen: Sequence[SeenTrail] = ()) -> Iterator[str]:
    """Say, line by line, what is older now than the world outside, and what to do about it."""
    for service, facts in manifest.services.items():
        audit = facts["database"]["audit"]
        yield gettext(
            "%(service)s: its record ends at entry %(seq)s of the audit trail, signed up to %(head)s",
            service=service,
            seq=audit["seq"],
            head=audit["head_seq"],
        )
        for name, number in sorted(facts["numbers"].items()):
            yield gettext(
                "%(service)s: %(name)s is at %(number)s; if a higher one was published, nothing is "
                "published until the record knows it",
                service=service,
                name=name,
                number=number,
            )
    for trail in seen:
        yield gettext(
            "%(service)s: an export has %(count)s entries more than the backup: what must be done again",
            service=trail.service,
            count=len(trail.after),
        )
        for seq, event, subject in trail.after:
            yield f"  {seq}\t{event}\t{subject}"
    if "ca" in manifest.services:
        yield gettext(
            "next: before the CA starts, onecert ca reconcile with every list, certificate and batch result "
            "that is outside: what it did after the backup can then be revoked, and what was revoked stays so"
        )
    if "supervision" in manifest.services:
        yield gettext(
            "next: compare the number of the trust list with the published one; publish none with a lower one"
        )
    for name in manifest.left_out:
        yield gettext("not in the backup, because it is a secret: %(name)s", name=name)
    for name in manifest.elsewhere:
        yield gettext("not in the backup, because it lies elsewhere: %(name)s", name=name)


def _place(name: str, data: Path, staged: Path) -> Path | None:
    kind, _slash, rest = name.partition("/")
    if kind == "data":
        return data / rest
    if kind == "databases":
        service, _slash, what = rest.partition("/")
        return data / service / f"{service}.db" if what == "database.sqlite" else staged / name
    if kind == "settings":
        return data / SETTINGS_OF_THEN
    return staged / name


def _database(service: str, data: Path, settings: Settings) -> Database:
    return open_database(service, data / service, settings.section(f"database.{service}", DatabaseConfig))


def _check_empty(service: str, database: Database, seq: int) -> None:
    try:
        there = standing(database)["seq"]
    except SQLAlchemyError:
        there = None  # no tables of ours; what else there is, is found when they are made
    finally:
        database.close()
    if there is None:
        return
    if there > seq:
        what = gettext(
            "it is newer: its audit trail has %(there)s entries, the backup %(seq)s", there=there, seq=seq
        )
    else:
        what = gettext("its audit trail has %(there)s entries, the backup %(seq)s", there=there, seq=seq)
    raise RestoreTargetError(service, what)


def _entries(export: Path) -> Iterator[tuple[int, str, str]]:
    with export.open(encoding="utf-8") as file:
        for line in file:
            entry: dict[str, Any] = json.loads(line)
            if "event" in entry:
                yield entry["seq"], entry["event"], entry["subject"]


def _note(database: Database, service: str, clock: Clock, manifest: Manifest) -> None:
    audit = manifest.services[service]["database"]["audit"]
    with database.transaction() as connection:
        AuditTrail(service, clock).record(
            connection,
            event=RESTORED,
            actor=command_actor(),
            subject=RETURN_SUBJECT,
            details={"made_at": time_text(manifest.made_at), "entries": audit["seq"]},
        )


def _remove(folder: Path) -> None:
    if not folder.exists():
        return
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
