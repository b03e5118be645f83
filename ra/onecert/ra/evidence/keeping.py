"""Keeps the folder of evidence: half-written and forgotten files go, missing and changed ones are found.

The sweep is a job of every folder; the look is asked by `onecert doctor`, by the drill of a backup and by the
job, which writes what it finds into the log and the audit trail once.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from onecert.ra.errors import EvidenceDamagedError
from onecert.ra.evidence.files import Files, Use
from onecert.ra.evidence.records import Evidence
from onecert.ra.evidence.tables import evidence
from onecert.ra.vault.keys import Keys
from onecert.server.database import Database

__all__ = ["EvidenceKeeping", "Found"]

log = logging.getLogger(__name__)

# A backup copies the record first and the files after it; it must find what the record names.
FORGOTTEN_AFTER = timedelta(days=2)
HALF_WRITTEN_AFTER = timedelta(hours=2)
_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file that is not as its record says."""

    evidence_id: str
    record_id: str
    code: str  # EVIDENCE_LOST | EVIDENCE_DAMAGED


class EvidenceKeeping:
    """Looks after the folder. Without `keys` only what needs no token."""

    def __init__(self, database: Database, files: Files, keys: Keys | None) -> None:
        self._database = database
        self._files = files
        self._keys = keys

    def run(self, at: datetime) -> None:
        """The job: sweep, and say what is missing."""
        swept = self.sweep()
        missing = list(self.missing())
        if swept:
            log.info("evidence swept", extra={"files": swept})
        for found in missing:
            log.error(
                "evidence is missing",
                extra={"evidence": found.evidence_id, "record": found.record_id, "code": found.code},
            )

    def sweep(self) -> int:
        """Remove half-written files, and whole ones that no record names; how many."""
        removed = 0
        for evidence_id, path in self._files.strays(older_than=HALF_WRITTEN_AFTER):
            if not evidence_id:
                path.unlink(missing_ok=True)
                removed += 1
        for evidence_id, path in self._files.strays(older_than=FORGOTTEN_AFTER):
            if evidence_id and not self._is_on_record(evidence_id):
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def missing(self) -> Iterator[Found]:
        """Records without their files; only looks whether they are there."""
        for found in self._all():
            if not self._files.is_whole(found.id, is_image=found.is_image):
                yield Found(evidence_id=found.id, record_id=found.record_id, code="EVIDENCE_LOST")

    def damaged(self, *, newest: int) -> Iterator[Found]:
        """Of the newest so many, those whose files do not open to what was put there; needs the token."""
        if self._keys is None:
            raise ValueError("without keys nothing can be opened")
        with self._database.reading() as connection:
            rows = connection.execute(select(evidence).order_by(evidence.c.seq.desc()).limit(newest)).all()
        for row in rows:
            try:
                key = self._keys.unseal(row.key_sealed, f"evidence:{row.id}".encode())
                size = sum(len(part) for part in self._files.read(row.id, Use.ORIGINAL, key))
                if size != row.size:
                    raise EvidenceDamagedError(row.id, lost=False)
            except EvidenceDamagedError as exc:
                yield Found(evidence_id=row.id, record_id=row.record_id, code=exc.code)

    def _all(self) -> Iterator[Evidence]:
        after = 0
        columns = [column for column in evidence.c if column.name != "request_key"]
        while True:
            with self._database.reading() as connection:
                query = select(*columns).where(evidence.c.seq > after).order_by(evidence.c.seq).limit(_PAGE)
                rows = connection.execute(query).all()
            for row in rows:
                yield Evidence(**row._mapping)
            if len(rows) < _PAGE:
                return
            after = rows[-1].seq

    def _is_on_record(self, evidence_id: str) -> bool:
        with self._database.reading() as connection:
            return connection.scalar(select(evidence.c.seq).where(evidence.c.id == evidence_id)) is not None
