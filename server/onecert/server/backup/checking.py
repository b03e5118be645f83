"""Tells offline whether a backup is whole: signature, every part, each database and each audit trail.

Whose signature counts is said by whoever checks, never by the backup: the keys in
DATA/<service>/audit-keys of an installation, or those that the auditor has.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from onecert.server.audit.check import verify_export
from onecert.server.audit.export import export_to_file
from onecert.server.backup.archive import extracted, read_manifest
from onecert.server.backup.errors import BackupAlteredError, BackupKeyMissingError, BackupMalformedError
from onecert.server.database import Database
from onecert.verifier.jws import key_id
from onecert.verifier.signatures import PublicKey

__all__ = ["Manifest", "audit_keys_of", "check_audit", "check_backup", "load_keys"]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a backup that was found whole says about itself."""

    made_at: datetime
    services: Mapping[str, Mapping[str, Any]]
    left_out: tuple[str, ...]
    elsewhere: tuple[str, ...]
    parts: Mapping[str, Mapping[str, Any]]

    @property
    def bytes(self) -> int:
        """How much it holds."""
        return sum(part["bytes"] for part in self.parts.values())


def load_keys(files: Sequence[Path]) -> dict[str, PublicKey]:
    """Read public keys in PEM: ``key_id(key)`` -> key.

    Raises:
        BackupKeyMissingError: there is none.
    """
    keys: dict[str, PublicKey] = {}
    for file in files:
        try:
            key = load_pem_public_key(file.read_bytes())
        except (ValueError, UnsupportedAlgorithm) as exc:
            raise BackupKeyMissingError from exc
        keys[key_id(key)] = key  # type: ignore[arg-type, assignment]  # another kind signs nothing of ours
    if not keys:
        raise BackupKeyMissingError
    return keys


def audit_keys_of(data: Path) -> list[Path]:
    """The public keys that sign the audit trails of an installation."""
    return sorted(data.glob("*/audit-keys/*.pem"))


def check_backup(path: Path, keys: Mapping[str, PublicKey], *, deep: bool = True) -> Manifest:
    """Check a backup without changing anything.

    Args:
        deep: also open each SQLite copy and follow its audit trail; it is written to a folder for that.

    Raises:
        BackupMalformedError, BackupAlteredError: it is not what was written.
        BackupKeyMissingError: nobody can tell.
        AuditError: its audit trail is not whole.
    """
    payload = read_manifest(path, keys)
    try:
        manifest = Manifest(
            made_at=datetime.fromisoformat(payload["made_at"]),
            services=payload["services"],
            left_out=tuple(payload["left_out"]),
            elsewhere=tuple(payload["elsewhere"]),
            parts=payload["parts"],
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise BackupMalformedError("its manifest is of another version") from exc
    if deep:
        for service, database in _databases(path, manifest):
            try:
                check_audit(database, service, manifest.services[service]["database"]["audit"], keys)
            finally:
                database.close()
    return manifest


def check_audit(
    database: Database,
    service: str,
    expected: Mapping[str, Any],
    keys: Mapping[str, PublicKey],
    *,
    further: int = 0,
) -> None:
    """Follow the audit trail of a copy from its first entry to the one where the manifest says it ends.

    Args:
        further: so many entries were added since.

    Raises:
        AuditError: it is not whole.
        BackupAlteredError: it ends elsewhere.
    """
    if not expected["head_seq"]:
        return  # nothing was signed yet
    with tempfile.TemporaryDirectory(prefix="onecert-audit-") as folder:
        file = Path(folder) / "trail"
        export_to_file(database, file, service=service)
        report = verify_export(file, keys=keys)
    if report.entries < expected["seq"] + further or (not further and report.last_hash != expected["hash"]):
        raise BackupAlteredError(f"{service}: audit")


def _databases(path: Path, manifest: Manifest) -> Iterator[tuple[str, Database]]:
    with tempfile.TemporaryDirectory(prefix="onecert-backup-", dir=path.parent) as folder:
        for service in manifest.services:
            part, place = f"databases/{service}/database.sqlite", Path(folder) / f"{service}.db"
            if part not in manifest.parts:
                continue
            for _written in extracted(path, {part: place}.get):
                pass
            database = Database(f"sqlite:///{place}")
            with database.reading() as connection:
                if connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one() != "ok":
                    raise BackupAlteredError(part)
            yield service, database
