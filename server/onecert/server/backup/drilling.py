"""A drill: the backup is restored for a moment, into a folder or schema of its own, and made to prove itself.

Nothing is served, no job runs and nothing is signed that could count outside; only that each key signs, and
fits its certificate, is tried. The service itself runs on meanwhile.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from onecert.server.backup.ages import DRILL_FAILED, DRILL_SUBJECT, DRILLED
from onecert.server.backup.checking import Manifest, check_audit, check_backup
from onecert.server.backup.contents import contents_of, is_secret, shared_contents
from onecert.server.backup.restoring import restore
from onecert.server.backup.tables import drop_schema
from onecert.server.clock import Clock
from onecert.server.config import DatabaseConfig, Settings
from onecert.server.contexts import OpenedMember, load_member_settings, open_database, open_members
from onecert.server.errors import ServiceError
from onecert.server.folders import make_private_folder, write_file
from onecert.server.languages import gettext
from onecert.server.members import Member
from onecert.server.operators import command_actor
from onecert.verifier.errors import VerifyError
from onecert.verifier.signatures import PublicKey

__all__ = ["Drill", "drill", "newest_backup", "note_drill"]


@dataclass(frozen=True, kw_only=True)
class Drill:
    """What a drill found. `faults`: (service, sentence); none: this backup brings the services back."""

    backup: str
    age_s: int
    check_s: float
    restore_s: float
    examine_s: float
    bytes: int
    services: tuple[str, ...]
    faults: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def newest_backup(place: Path) -> Path | None:
    """The newest backup in a folder; a file is taken as it is."""
    if place.is_file():
        return place
    return max(place.glob("*.backup"), key=lambda each: (each.stat().st_mtime, each.name), default=None)


def drill(
    path: Path,
    members: Sequence[Member],
    *,
    keys: Mapping[str, PublicKey],
    clock: Clock,
    work: Path,
    passphrase: str | None = None,
    borrow_from: Path | None = None,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Drill:
    """Restore a backup into a throw-away folder below `work` and examine it.

    Args:
        passphrase: of the secrets in it.
        borrow_from: without a passphrase, a data folder whose PIN files are used for the moment.
        config: the settings; default those in the backup.

    Raises:
        BackupMalformedError, BackupAlteredError, BackupKeyMissingError: it is not even whole.
    """
    begun = clock.elapsed()
    manifest = check_backup(path, keys)
    checked = clock.elapsed()
    here = [each for each in members if each.name in manifest.services]
    faults: list[tuple[str, str]] = []
    with _throw_away(work) as data:
        schema = f"drill_{secrets.token_hex(6)}"

        def settings() -> Settings:
            return _of_drill(load_member_settings(here, data, config=config, environ=environ), here, schema)

        try:
            restore(path, manifest, data, settings=settings, clock=clock, passphrase=passphrase)
            if passphrase is None and borrow_from is not None:
                _borrow(manifest, borrow_from, data)
            restored = clock.elapsed()
            faults += _examine(here, data, settings(), manifest, keys=keys, clock=clock)
        finally:
            _drop(here, data, settings, manifest)
    examined = clock.elapsed()
    return Drill(
        backup=path.name,
        age_s=max(0, int((clock.now() - manifest.made_at).total_seconds())),
        check_s=_seconds(checked - begun),
        restore_s=_seconds(restored - checked),
        examine_s=_seconds(examined - restored),
        bytes=manifest.bytes,
        services=tuple(manifest.services),
        faults=tuple(faults),
    )


def _examine(
    members: Sequence[Member],
    data: Path,
    settings: Settings,
    manifest: Manifest,
    *,
    keys: Mapping[str, PublicKey],
    clock: Clock,
) -> Iterator[tuple[str, str]]:
    for service in manifest.services.keys() - {each.name for each in members}:
        yield service, gettext("this service is not installed here, so nobody could look at it")
    for member in members:
        try:
            # Opening brings the tables to this version: a backup that no program reads is none.
            (opened,) = open_members([member], data, settings, clock=clock)
        except ServiceError as exc:
            yield member.name, _said(exc)
            continue
        try:
            yield from _examine_one(opened, manifest, keys)
        finally:
            opened.close()


def _examine_one(
    opened: OpenedMember, manifest: Manifest, keys: Mapping[str, PublicKey]
) -> Iterator[tuple[str, str]]:
    name = opened.member.name
    audit = manifest.services[name]["database"]["audit"]
    try:
        # One entry more: that it was restored.
        check_audit(opened.context.database, name, audit, keys, further=1)
    except (ServiceError, VerifyError) as exc:
        yield name, _said(exc)
    if opened.member.keep is None:
        return
    kept = opened.member.keep(opened.config, opened.context)
    try:
        for sentence in kept.faults():
            yield name, sentence
        for what, number in manifest.services[name]["numbers"].items():
            found = kept.numbers().get(what)
            if found is None or found < number:
                yield (
                    name,
                    gettext(
                        "%(what)s is at %(found)s, and was at %(number)s",
                        what=what,
                        found=found,
                        number=number,
                    ),
                )
    except Exception as exc:
        yield name, _said(exc)
    finally:
        kept.close()


def _said(exc: Exception) -> str:
    if isinstance(exc, ServiceError):
        return f"{gettext(exc.text, **exc.facts)} [{exc.code}]"
    return f"{type(exc).__name__}: {exc}"


def _of_drill(settings: Settings, members: Sequence[Member], schema: str) -> Settings:
    """The same settings, with databases that nobody else uses."""
    for member in members:
        section = f"database.{member.name}"
        given = settings.section(section, DatabaseConfig)
        is_server = given.url.startswith("postgresql")
        changed = replace(given, schema=f"{schema}_{member.name}"[:63]) if is_server else DatabaseConfig()
        settings = settings.with_section(section, changed)
    return settings


def _borrow(manifest: Manifest, source: Path, data: Path) -> None:
    """Put the PIN files of the installation beside the restored tokens, for as long as the drill lasts."""
    found = [path for service in manifest.services for path in contents_of(source / service).secrets]
    for path in (*found, *(path for path in shared_contents(source) if is_secret(path))):
        place = data / path.relative_to(source)
        if not place.exists():
            make_private_folder(place.parent)
            write_file(place, path.read_bytes())


@contextlib.contextmanager
def _throw_away(work: Path) -> Iterator[Path]:
    """A folder for its owner only, gone afterwards whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix=".onecert-drill-", dir=work))
    try:
        yield folder / "data"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _drop(
    members: Sequence[Member], data: Path, settings: Callable[[], Settings], manifest: Manifest
) -> None:
    """Remove the schemas of the drill."""
    for member in members:
        if manifest.services[member.name]["database"]["engine"] == "postgresql":
            section = settings().section(f"database.{member.name}", DatabaseConfig)
            database = open_database(member.name, data / member.name, section)
            try:
                drop_schema(database)
            finally:
                database.close()


def _seconds(passed: timedelta) -> float:
    return round(passed.total_seconds(), 3)


def note_drill(found: Drill, members: Sequence[Member], data: Path, *, config: Path | None = None) -> None:
    """Leave the result in the audit trail of each service that runs here."""
    wrong = {service for service, _sentence in found.faults}
    settings = load_member_settings(members, data, config=config)
    for opened in open_members(members, data, settings):
        context = opened.context
        try:
            with context.database.transaction() as connection:
                context.audit.record(
                    connection,
                    event=DRILL_FAILED if context.name in wrong else DRILLED,
                    actor=command_actor(),
                    subject=DRILL_SUBJECT,
                    details={
                        "backup": found.backup,
                        "backup_age_s": found.age_s,
                        "restore_ms": round(found.restore_s * 1000),
                        "faults": [sentence[:500] for name, sentence in found.faults if name == context.name][
                            :20
                        ],
                    },
                )
        finally:
            opened.close()
