"""Removal of what is in an archive: two officers approve it, each with the own token.

Nothing is removed that is not, as it stands in the database, in an archive that was checked at the place
where it was written. Each segment goes in one transaction with its progress: interrupted, the removal goes on
where it stopped, and no segment is removed twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from onecert.ca.archive.acts import KINDS, ActKind, chunks_of, gather_acts, remove_acts
from onecert.ca.archive.archives import EXPORTED, REMOVED, REMOVING, ArchiveEntry, Archives
from onecert.ca.archive.file import Archive
from onecert.ca.archive.models import archived_certificates, archives, order_digest
from onecert.ca.archive.record import Record, gather, remove
from onecert.ca.errors.archives import ArchiveApprovalError, ArchiveFaultyError, ArchiveStateError
from onecert.ca.models import certificates
from onecert.ca.revocation.security_officers import SecurityOfficers
from onecert.server.audit import AuditTrail, Json
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.statements import insert_if_absent
from onecert.verifier.errors import VerifyError
from onecert.verifier.jws import load_json, load_payload, verify_document

__all__ = ["REMOVAL_TYPE", "ArchiveRemoval"]

REMOVAL_TYPE = "onecert-archive-removal+json"
APPROVALS = 2
_APPROVAL_MAX_BYTES = 64 * 1024


class ArchiveRemoval:
    """Removes the records of archives."""

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        *,
        archives: Archives,
        officers: SecurityOfficers,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._archives = archives
        self._officers = officers

    def approve(self, name: str, document: bytes) -> ArchiveEntry:
        """Take in what an officer has signed: that the records in an archive may be removed.

        Args:
            document: signed, of type `REMOVAL_TYPE`: `officer`, `archive`, `sha256`, `certificates`.

        Raises:
            ArchiveApprovalError: not about this archive, no officer, or the same person again.
            ArchiveStateError: its records are removed.
            OperatorError: the officer's account may not act.
        """
        self._archives.check(name)
        with self._database.transaction() as connection:
            row = _locked(connection, name)
            entry = ArchiveEntry(**row)
            if entry.state != EXPORTED:
                raise ArchiveStateError(name, entry.state)
            approval = self._approval(entry, document)
            standing = json.loads(entry.approvals)
            if any(
                each["person"] == approval["person"] or each["officer"] == approval["officer"]
                for each in standing
            ):
                raise ArchiveApprovalError(name)
            standing.append(approval)
            connection.execute(
                update(archives).where(archives.c.name == name).values(approvals=json.dumps(standing))
            )
            self._audit.record(
                connection,
                event="archive.approved",
                actor=f"operator:{approval['officer']}",
                subject=name,
                details={"sha256": entry.sha256},
            )
        return self._archives.entry(name)

    def _approval(self, entry: ArchiveEntry, document: bytes) -> dict[str, str]:
        try:
            said = load_json(
                load_payload(document, max_bytes=_APPROVAL_MAX_BYTES), max_bytes=_APPROVAL_MAX_BYTES
            )
            officer = next((each for each in self._officers.everyone() if each.id == said["officer"]), None)
            if officer is None:
                raise ArchiveApprovalError(entry.name)
            keys = {officer.key_id: officer.public_key}
            said = verify_document(document, typ=REMOVAL_TYPE, keys=keys, max_bytes=_APPROVAL_MAX_BYTES)
        except (VerifyError, KeyError, TypeError) as exc:
            raise ArchiveApprovalError(entry.name) from exc
        about = {"archive": entry.name, "sha256": entry.sha256, "certificates": entry.certificates}
        if {name: said.get(name) for name in about} != about:
            raise ArchiveApprovalError(entry.name)
        self._officers.check_may_act(officer)
        return {
            "officer": officer.id,
            "person": officer.operator.person,
            "document": document.decode("ascii"),
        }

    def remove(self, name: str, *, actor: str) -> Iterator[ArchiveEntry]:
        """Remove what a checked archive contains; yields after each segment.

        Raises:
            ArchiveStateError: not approved by two people, or removed already.
            ArchiveMissingError, ArchiveFaultyError: nothing more was removed.
        """
        entry = self._archives.entry(name)
        if entry.state not in (EXPORTED, REMOVING) or len(entry.officers) < APPROVALS:
            raise ArchiveStateError(name, entry.state)
        self._archives.check(name)
        if entry.state == EXPORTED:
            self._begin(entry, actor)
        with Archive(Path(entry.file), self._archives.keys()) as archive:
            for number in range(entry.segments_removed + 1, entry.segments + 1):
                self._remove_segment(entry, number, archive.segment(number), actor)
                yield self._archives.entry(name)

    def _begin(self, entry: ArchiveEntry, actor: str) -> None:
        with self._database.transaction() as connection:
            row = _locked(connection, entry.name)
            if row["state"] != EXPORTED:
                return
            connection.execute(
                update(archives).where(archives.c.number == entry.number).values(state=REMOVING)
            )
            facts: dict[str, Json] = {"sha256": entry.sha256, "approved_by": entry.officers}
            self._audit.record(
                connection, event="archive.removal-began", actor=actor, subject=entry.name, details=facts
            )

    def _remove_segment(
        self, entry: ArchiveEntry, number: int, records: Sequence[Record], actor: str
    ) -> None:
        is_last = number == entry.segments
        of_archive = archives.c.number == entry.number
        values: dict[str, Any] = {"segments_removed": number}
        if is_last:
            values |= {"state": REMOVED, "removed_at": self._clock.now()}
        with self._database.transaction() as connection:
            row = _locked(connection, entry.name)
            if row["state"] != REMOVING or row["segments_removed"] != number - 1:
                return  # another process was quicker
            standing = _standing(connection, entry.authority, records)
            different = [
                _name_of(each)
                for each, now in zip(records, standing, strict=True)
                if now is None or _without_trail(each) != _without_trail(now)
            ]
            if different:
                raise ArchiveFaultyError([f"{serial}: the record has changed since" for serial in different])
            kind = KINDS.get(entry.authority)
            gone = (
                remove(connection, entry.authority, records)
                if kind is None
                else remove_acts(connection, kind, records)
            )
            if gone != len(records):
                raise ArchiveFaultyError([f"segment {number}: the record has changed since"])
            for each in records if kind is None else ():
                self._keep_name(connection, entry, each["certificate"])
            connection.execute(update(archives).where(of_archive).values(values))
            facts = {"segment": number, "of": entry.segments, "certificates": len(records)}
            self._audit.record(
                connection,
                event="archive.removed" if is_last else "archive.segment-removed",
                actor=actor,
                subject=entry.name,
                details=facts,
            )

    @staticmethod
    def _keep_name(connection: Connection, entry: ArchiveEntry, row: Record) -> None:
        revoked_at = row["revoked_at"] if row["status"] != "good" else None
        kept = {
            "authority": row["authority"],
            "serial": row["serial"],
            "archive": entry.number,
            "order_sha256": order_digest(row["order_id"]),
            "revoked_at": datetime.fromisoformat(revoked_at) if revoked_at else None,
            "reason": row["reason"] if revoked_at else None,
        }
        if not insert_if_absent(connection, archived_certificates, kept):
            raise ArchiveFaultyError([f"{row['serial']}: archived before"])


def _name_of(record: Record) -> str:
    return str(record["certificate"]["serial"] if "certificate" in record else record["act"]["id"])


def _standing(connection: Connection, authority: str, records: Sequence[Record]) -> list[Record | None]:
    kind = KINDS.get(authority)
    if kind is not None:
        return _standing_acts(connection, kind, records)
    serials = [each["certificate"]["serial"] for each in records]
    query = select(certificates).where(
        certificates.c.authority == authority, certificates.c.serial.in_(serials)
    )
    rows = connection.execute(query.with_for_update()).mappings().all()
    found = {each["certificate"]["serial"]: each for each in gather(connection, rows)}
    return [found.get(serial) for serial in serials]


def _standing_acts(connection: Connection, kind: ActKind, records: Sequence[Record]) -> list[Record | None]:
    """The acts as they stand; None: gone, or needed again by a certificate on record."""
    ids = [_name_of(each) for each in records]
    query = select(kind.table).where(kind.table.c.id.in_(ids)).with_for_update()
    rows = connection.execute(query).mappings().all()
    free = [
        row for row in rows if not kind.is_needed(connection, row, chunks_of(connection, kind, row["id"]))
    ]
    found = {_name_of(each): each for each in gather_acts(connection, kind, free)}
    return [found.get(name) for name in ids]


def _without_trail(record: Record) -> Record:
    """What is removed; the trail stays and may have grown, and what follows is on record with its order."""
    return {name: value for name, value in record.items() if name not in ("audit", "followed_by")}


def _locked(connection: Connection, name: str) -> RowMapping:
    query = select(archives).where(archives.c.name == name).with_for_update()
    return connection.execute(query).mappings().one()
