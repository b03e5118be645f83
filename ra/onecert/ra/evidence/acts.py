"""What people do with evidence: add, remove while nobody has reviewed it, set aside, open.

The octets are looked at, encrypted and on disk before the record names them, and the record is one short
transaction with its audit entry: after a crash there may be a file without a record, which the sweep removes
(`keeping.py`), never a record without a file. A removed record leaves its file to the sweep as well, so that
a backup that runs meanwhile has every file that its record names.
"""

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import BinaryIO

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from onecert.ra.applications.records import Application, load_application
from onecert.ra.cases.records import Case, load_case
from onecert.ra.config import RaConfig
from onecert.ra.errors import (
    EvidenceDamagedError,
    EvidenceRefusedError,
    NotFoundError,
    RequestKeyReusedError,
    WrongStateError,
)
from onecert.ra.evidence.files import Files, Use
from onecert.ra.evidence.looking import Seen, look_at
from onecert.ra.evidence.materials import Material, materials_of
from onecert.ra.evidence.opening import Looks, Opened, details_of
from onecert.ra.evidence.records import Evidence, find_by_content, list_evidence, load_evidence
from onecert.ra.evidence.sniffing import in_megabytes
from onecert.ra.evidence.tables import evidence
from onecert.ra.life.machine import STATE_NAMES, Act, State, check_move, roles_of
from onecert.ra.models import application_events
from onecert.ra.operators.acting import ActingOperator, certificate_of, with_certificate
from onecert.ra.operators.reach import Reach
from onecert.ra.operators.roles import ARCHIVE, ENTRY, MEDIA, SECURITY
from onecert.ra.vault.sealed import Vault
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.languages import Message
from onecert.server.operators import Operator

__all__ = ["EvidenceActs", "Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The policy for files."""

    file_octets: int
    record_octets: int
    number: int

    @classmethod
    def of(cls, config: RaConfig) -> "Limits":
        """As the settings say."""
        return cls(
            file_octets=config.evidence_file_mb * 1_000_000,
            record_octets=config.evidence_total_mb * 1_000_000,
            number=config.evidence_files,
        )


class EvidenceActs:
    """The acts on evidence of applications and cases."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        vault: Vault,
        reach: Reach,
        files: Files,
        limits: Limits,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._vault = vault
        self._reach = reach
        self._looks = Looks(database=database, audit=audit, clock=clock)
        self.files = files
        self.limits = limits

    def add(
        self,
        operator: Operator,
        record_id: str,
        material: str,
        file: BinaryIO,
        *,
        request_key: str | None = None,
    ) -> Evidence:
        """Keep a scan or photo; the same content on the same record is the same evidence.

        Args:
            record_id: of an application or a case.
            file: can be read from any place.
            request_key: the same key by the same operator is the same evidence.

        Raises:
            EvidenceRefusedError: why it is not taken.
            NotFoundError: no such record within reach.
            WrongStateError: a reviewer has it already, or it is over.
        """
        record = self._record(operator, record_id)
        kind = _material(record, material)
        with self._database.reading() as connection:
            self._check_open(connection, operator, record, late=kind.late)
        seen = look_at(file, max_octets=self.limits.file_octets)
        key = f"{operator.id}:{request_key}"[:128] if request_key else None
        with self._database.reading() as connection:
            if (made := self._find_made(connection, record, seen, key)) is not None:
                return made
        evidence_id = str(uuid.uuid4())
        file_key = secrets.token_bytes(32)
        sealed = self._vault.seal(_place(evidence_id), file_key)
        try:
            self.files.write(evidence_id, Use.ORIGINAL, file_key, file)
            if seen.preview is not None:
                self.files.write(evidence_id, Use.PREVIEW, file_key, BytesIO(seen.preview))
            with self._database.transaction() as connection:
                current = self._lock(connection, record)
                acting, now = self._check_open(connection, operator, current, late=kind.late)
                if (made := self._find_made(connection, record, seen, key)) is None:
                    self._check_room(connection, record, seen)
                    connection.execute(
                        insert(evidence).values(
                            id=evidence_id,
                            record=_word(record),
                            record_id=record.id,
                            material=material,
                            sha256=seen.sha256,
                            size=seen.size,
                            media_type=seen.media_type,
                            width=seen.width,
                            height=seen.height,
                            key_sealed=sealed,
                            request_key=key,
                            added_at=now,
                            added_by=acting.id,
                        )
                    )
                    added = load_evidence(connection, evidence_id)
                    self._write(connection, current, added, operator=acting, event="evidence_added", at=now)
                    return added
        except IntegrityError:
            with self._database.reading() as connection:
                made = self._find_made(connection, record, seen, key)
            if made is None:
                self.files.remove(evidence_id)
                raise
        except BaseException:
            self.files.remove(evidence_id)
            raise
        self.files.remove(evidence_id)
        return made

    def remove(self, operator: Operator, evidence_id: str) -> Evidence | None:
        """Remove what no reviewer ever had; what one had is set aside: kept, and no longer part of it.

        Returns:
            What was set aside; None: it is gone.

        Raises:
            WrongStateError: the record is not being entered or corrected.
        """
        found = self._reach_evidence(operator, evidence_id)
        record = self._record(operator, found.record_id)
        if not isinstance(record, Application):
            raise EvidenceRefusedError("EVIDENCE_KEPT")
        with self._database.transaction() as connection:
            current = self._lock(connection, record)
            acting, now = self._check_open(connection, operator, current, late=False)
            found = load_evidence(connection, evidence_id)
            if found.frozen_at is None:
                connection.execute(delete(evidence).where(evidence.c.id == evidence_id))
                self._write(connection, current, found, operator=acting, event="evidence_removed", at=now)
                return None
            if found.set_aside_at is None:
                setting = update(evidence).where(evidence.c.id == evidence_id)
                connection.execute(setting.values(set_aside_at=now))
                self._write(connection, current, found, operator=acting, event="evidence_set_aside", at=now)
            return load_evidence(connection, evidence_id)

    def all_of(self, operator: Operator, record_id: str) -> list[Evidence]:
        """What is on record with an application or a case within reach, oldest first."""
        self._record(operator, record_id)
        with self._database.reading() as connection:
            return list(list_evidence(connection, record_id))

    def load(self, operator: Operator, evidence_id: str) -> Evidence:
        """What is on record of one. Raises `NotFoundError` when there is none within reach."""
        return self._reach_evidence(operator, evidence_id)

    def open(self, operator: Operator, evidence_id: str, *, turn: int = 0, preview: bool) -> Opened:
        """Read one; who opens what shows a person's number is in the audit trail.

        Args:
            preview: the copy for the screen instead of what came; None of a PDF.
            turn: degrees clockwise, of a preview.

        Raises:
            NotFoundError: there is none within reach, or it has no copy for the screen.
            EvidenceDamagedError: the file is gone or was changed.
        """
        found = self._reach_evidence(operator, evidence_id)
        if preview and not found.is_image:
            raise NotFoundError(evidence_id)
        key = self._vault.unseal(_place(found.id), found.key_sealed)
        if found.kind.personal:
            self._looks.note(operator, found)
        if preview:
            content = b"".join(self.files.read(found.id, Use.PREVIEW, key))
            from onecert.ra.evidence.images import turned  # noqa: PLC0415 - Pillow takes long to load

            return Opened(found, "image/jpeg", iter([turned(content, turn)]))
        # All of it is tried before the first octet leaves: an answer that breaks off tells nobody why.
        size = sum(len(part) for part in self.files.read(found.id, Use.ORIGINAL, key))
        if size != found.size:
            raise EvidenceDamagedError(found.id, lost=False)
        return Opened(found, found.media_type, self.files.read(found.id, Use.ORIGINAL, key))

    def _record(self, operator: Operator, record_id: str) -> Application | Case:
        """The application or case; another point's is not found, and the attempt is audited."""
        with self._database.reading() as connection:
            is_case = _is_case(connection, record_id)
        reach = self._reach
        return reach.case(operator, record_id) if is_case else reach.application(operator, record_id)

    def _reach_evidence(self, operator: Operator, evidence_id: str) -> Evidence:
        with self._database.reading() as connection:
            found = load_evidence(connection, evidence_id)
        try:
            self._record(operator, found.record_id)
        except NotFoundError:
            # Word for word as if it did not exist: not even which record it belongs to.
            raise NotFoundError(evidence_id) from None
        return found

    def _lock(self, connection: Connection, record: Application | Case) -> Application | Case:
        load = load_application if isinstance(record, Application) else load_case
        return load(connection, record.id, lock=True)

    def _check_open(
        self, connection: Connection, operator: Operator, record: Application | Case, *, late: bool
    ) -> tuple[ActingOperator, datetime]:
        """Whether this person may change the evidence of this record now."""
        now = self._clock.now()
        if late:
            acting = self._reach.account(connection, operator, MEDIA, ARCHIVE, at=now)
            is_open = record.state in {State.ISSUED, State.DELIVERED}
        elif isinstance(record, Application):
            acting = self._reach.account(connection, operator, *roles_of(record.business, Act.SAVE), at=now)
            check_move(record.business, record.state, Act.SAVE)
            is_open = True
        else:
            acting = self._reach.account(connection, operator, ENTRY, SECURITY, at=now)
            is_open = record.state is State.SUBMITTED
        self._reach.check(connection, operator, record)
        if not is_open:
            raise WrongStateError(
                act="evidence", state=record.state.value, state_name=Message(STATE_NAMES[record.state])
            )
        return acting, now

    def _find_made(
        self, connection: Connection, record: Application | Case, seen: Seen, key: str | None
    ) -> Evidence | None:
        if key is not None:
            made_id = connection.scalar(select(evidence.c.id).where(evidence.c.request_key == key))
            if made_id is not None:
                made = load_evidence(connection, made_id)
                if (made.record_id, made.sha256) != (record.id, seen.sha256):
                    raise RequestKeyReusedError(made.id)
                return made
        return find_by_content(connection, record.id, seen.sha256)

    def _check_room(self, connection: Connection, record: Application | Case, seen: Seen) -> None:
        query = select(func.count(), func.coalesce(func.sum(evidence.c.size), 0))
        number, octets = connection.execute(query.where(evidence.c.record_id == record.id)).one()
        if number >= self.limits.number:
            raise EvidenceRefusedError("EVIDENCE_NUMBER", limit=self.limits.number)
        if octets + seen.size > self.limits.record_octets:
            raise EvidenceRefusedError("EVIDENCE_TOTAL", limit=in_megabytes(self.limits.record_octets))

    def _write(
        self,
        connection: Connection,
        record: Application | Case,
        found: Evidence,
        *,
        operator: ActingOperator,
        event: str,
        at: datetime,
    ) -> None:
        """The step in the life line, and its audit entry."""
        connection.execute(
            insert(application_events).values(
                application_id=record.id,
                at=at,
                actor=operator.id,
                event=event,
                state=record.state.value,
                note=None,
                certificate_sha256=certificate_of(operator),
            )
        )
        self._audit.record(
            connection,
            event=f"{found.record}.{event}",
            actor=operator.actor,
            subject=f"{found.record}:{record.id}",
            details={"number": record.number, **details_of(found), **with_certificate(operator)},
        )


def _place(evidence_id: str) -> str:
    return f"evidence:{evidence_id}"


def _material(record: Application | Case, name: str) -> Material:
    offered = materials_of(record.business, record.kind)
    for each in offered:
        if each.name == name:
            return each
    raise EvidenceRefusedError("EVIDENCE_MATERIAL", known=[Message(each.label) for each in offered])


def _word(record: Application | Case) -> str:
    return "application" if isinstance(record, Application) else "case"


def _is_case(connection: Connection, record_id: str) -> bool:
    try:
        load_case(connection, record_id)
    except NotFoundError:
        return False
    return True
