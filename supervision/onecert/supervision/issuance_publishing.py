"""The signed record of issued certificates: made when something was reported and once an hour; published.

It is signed by the key of the trust timestamp and in its rhythm, but has a file of its own: reports come each
minute, the timestamp comes each hour. The number never goes back, also not after a backup was restored: it is
at least the number of seconds since 1970 and higher than that of the published file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.documents import sign_document
from onecert.server.folders import make_private_folder, write_file
from onecert.supervision import issuance_rows, root_records
from onecert.supervision.config import SupervisionConfig
from onecert.supervision.issuance_errors import IssuanceRecordAheadError, IssuanceRecordUnreadableError
from onecert.supervision.issuance_rows import IssuanceRow, RecordRow
from onecert.supervision.issuance_shards import Shards
from onecert.supervision.published import FLOOR_JUMP
from onecert.supervision.root_errors import CounterEndedError, PublishedAheadError, TimestampKeyError
from onecert.supervision.root_records import RootRecord, TimestampKey
from onecert.supervision.timestamps import TimestampKeys
from onecert.verifier.issuance_parts import PART_MAX_BYTES, load_index, load_shard, part_file
from onecert.verifier.issuance_record import (
    RECORD_FILE,
    RECORD_TYP,
    IssuanceRecord,
    IssuanceRecordError,
    load_issuance_record,
)
from onecert.verifier.strict_json import format_time, parse_time
from onecert.verifier.trust_list.roles import COUNTER_MAX, Role
from onecert.verifier.trust_list.root import load_trust_root

__all__ = ["IssuanceRecords"]

# A department may fetch the parts of a head so long after it has fetched the head.
PARTS_KEPT = timedelta(hours=2)


class IssuanceRecords:
    """Signs and publishes records."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        keys: TimestampKeys,
        config: SupervisionConfig,
        published: Path,
        fault: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take what signing needs.

        Args:
            published: the folder of the published files; what they say was seen by departments.
            fault: called between the steps with their names; tests break off there.
        """
        self._database = database
        self._audit = audit
        self._clock = clock
        self._keys = keys
        self._config = config
        self._published = published
        self._shards = Shards(database, published)
        self._fault = fault
        self._swept_at: datetime | None = None

    def release(self, *, actor: str) -> RecordRow | None:
        """Sign a record when there is something new or the last one grows old, and bring the files in line.

        Returns:
            the newest record; None while nobody reports, or while there is no root.

        Raises:
            TokenNotReadyError, TimestampKeyError, CounterEndedError: as for the trust timestamp.
            PublishedAheadError, IssuanceRecordAheadError: departments have seen more than is on record here.
        """
        self._renew(actor=actor)
        return self._publish()

    def newest(self) -> RecordRow | None:
        """The newest signed record."""
        with self._database.reading() as connection:
            return issuance_rows.find_record(connection)

    def recover(self, *, actor: str, apply: bool) -> dict[str, int]:
        """After a restored backup: take from the published files what departments have seen.

        Returns:
            how many certificates of each service are missing here; with ``apply`` they are taken.

        Raises:
            IssuanceRecordUnreadableError: the published files are not whole, or not signed by the role
                timestamp.
        """
        missing: dict[str, int] = {}
        try:
            self._recover(missing, actor, apply=apply)
        except (OSError, IssuanceRecordError) as exc:
            detail = exc.text("en") if isinstance(exc, IssuanceRecordError) else str(exc.strerror or exc)
            raise IssuanceRecordUnreadableError(detail) from exc
        return {service: count for service, count in missing.items() if count}

    # Inside

    def _recover(self, missing: dict[str, int], actor: str, *, apply: bool) -> None:
        head = self._published_head(strict=True)
        for service, named in () if head is None else head.services.items():
            index = load_index(self._part(named.sha256), named)
            for number, shard in enumerate(index):
                if shard == "-":
                    continue
                prefix = format(number, "x").zfill(named.digits) if named.digits else ""
                digests, times = load_shard(self._part(shard), shard, prefix)
                found = dict(zip(digests, times, strict=True))
                missing[service] = missing.get(service, 0) + self._take(service, found, actor, apply=apply)

    def _renew(self, *, actor: str) -> None:
        with self._database.reading() as connection:
            positions = {
                each.service: each.entries for each in issuance_rows.reporter_list(connection, removed=True)
            }
            newest = issuance_rows.find_record(connection)
            root = root_records.find_root(connection)
        if not positions or root is None:
            return
        self._check_not_behind(positions)
        now = self._clock.now().replace(microsecond=0)
        if newest is not None and newest.positions == positions and self._is_fresh(newest, root, now):
            return
        # 1. The parts; until a head names them nobody looks at them.
        services = {service: self._shards.build(service, upto, newest) for service, upto in positions.items()}
        self._fault("parts")
        # 2. What will be signed is on record before the key is used; another process may have been quicker.
        with self._database.transaction() as connection:
            root = root_records.find_root(connection, lock=True)
            latest = issuance_rows.find_record(connection)
            if root is None or (latest is not None and newest is not None and latest.number > newest.number):
                return
            key = _key_of(connection, root)
            payload = {
                "number": self._next_number(connection, now),
                "issued_at": format_time(now),
                "next_update": format_time(now + self._config.timestamp_validity),
                "services": services,
            }
            issuance_rows.insert_record(
                connection,
                payload,
                positions,
                issued_at=now,
                next_update=now + self._config.timestamp_validity,
            )
        # 3. The key; what it made is read the way departments read it, and kept.
        self._fault("intent")
        self._sign(root, key, payload, actor=actor)

    def _sign(self, root: RootRecord, key: TimestampKey, payload: Mapping[str, Any], *, actor: str) -> None:
        document = sign_document(payload, typ=RECORD_TYP, keys=[self._keys.timestamp_key(key.label)])
        signed = load_issuance_record(document, root=load_trust_root(root.document))
        with self._database.transaction() as connection:
            issuance_rows.set_record_document(connection, signed.number, document)
            issuance_rows.forget_records(connection, before=signed.made_at - 2 * PARTS_KEPT)
            self._audit.record(
                connection,
                event="issuance_record.signed",
                actor=actor,
                subject=f"issuance_record:{signed.number}",
                details={name: each.entries for name, each in signed.services.items()},
            )

    def _publish(self) -> RecordRow | None:
        """Write what the newest signed record names, parts first."""
        newest = self.newest()
        if newest is None:
            return None
        for service, named in newest.payload["services"].items():
            if not self._shards.is_there(named["index"]):
                # Another host has signed it; the same rows make the same parts here.
                self._shards.build(service, newest.positions[service], None)
        self._fault("files")
        path = self._published / RECORD_FILE
        seen = self._published_number()
        if seen < newest.number and (not path.is_file() or path.read_bytes() != newest.document):
            make_private_folder(self._published)
            write_file(path, newest.document, mode=0o644)
        self._sweep(newest)
        return newest

    def _sweep(self, newest: RecordRow) -> None:
        at = self._clock.now()
        if self._swept_at is not None and self._swept_at <= at < self._swept_at + PARTS_KEPT / 2:
            return
        with self._database.reading() as connection:
            kept = issuance_rows.record_rows_since(connection, at - PARTS_KEPT)
        self._shards.sweep([*kept, newest], at=at, older_than=PARTS_KEPT)
        self._swept_at = at

    def _is_fresh(self, newest: RecordRow, root: RootRecord, now: datetime) -> bool:
        try:
            load_issuance_record(newest.document, root=load_trust_root(root.document))
        except IssuanceRecordError:  # the next root names another key
            return False
        # One from the future was signed by a clock that has been corrected since.
        return newest.issued_at <= now < newest.issued_at + self._config.timestamp_every

    def _next_number(self, connection: Connection, now: datetime) -> int:
        last = issuance_rows.find_record(connection, signed=False)
        known = max(last.number if last is not None else 0, int(now.timestamp()) - 1)
        seen = self._published_number()
        if seen > known + FLOOR_JUMP:
            raise PublishedAheadError(RECORD_FILE, seen, known)
        known = max(known, seen)
        if known >= COUNTER_MAX:
            raise CounterEndedError
        return known + 1

    def _check_not_behind(self, positions: Mapping[str, int]) -> None:
        head = self._published_head()
        for service, named in () if head is None else head.services.items():
            if named.entries > positions.get(service, 0):
                raise IssuanceRecordAheadError(service, named.entries, positions.get(service, 0))

    def _published_number(self) -> int:
        head = self._published_head()
        return 0 if head is None else head.number

    def _published_head(self, *, strict: bool = False) -> IssuanceRecord | None:
        """Our own file, if the keys of the root in force have signed it; a new epoch makes others void."""
        with self._database.reading() as connection:
            root = root_records.find_root(connection)
        try:
            document = (self._published / RECORD_FILE).read_bytes()
            return (
                None if root is None else load_issuance_record(document, root=load_trust_root(root.document))
            )
        except (OSError, IssuanceRecordError):
            if strict:
                raise
            return None

    def _part(self, sha256: str) -> bytes:
        with (self._published / part_file(sha256)).open("rb") as file:
            return file.read(PART_MAX_BYTES + 1)

    def _take(self, service: str, found: Mapping[str, str], actor: str, *, apply: bool) -> int:
        with self._database.transaction() as connection:
            reporter = issuance_rows.lock_reporter(connection, service)
            missing = set(found) - issuance_rows.known_digests(connection, service, list(found))
            if reporter is None or not apply or not missing:
                return len(missing)
            times = {sha256: parse_time(found[sha256], "time") for sha256 in sorted(missing)}
            rows = [
                IssuanceRow(sha256=sha256, serial="", stated_at=at, recorded_at=at)
                for sha256, at in times.items()
            ]
            entries = issuance_rows.add_issuances(connection, reporter, rows, at=self._clock.now())
            self._audit.record(
                connection,
                event="issuance.recovered",
                actor=actor,
                subject=f"reporter:{service}",
                details={"new": len(rows), "entries": entries},
            )
        return len(rows)


def _key_of(connection: Connection, root: RootRecord) -> TimestampKey:
    named = root.content.roles[Role.TIMESTAMP].keys
    for key in reversed(root_records.timestamp_key_list(connection)):
        if key.kid in named:
            return key
    raise TimestampKeyError(root.version)
