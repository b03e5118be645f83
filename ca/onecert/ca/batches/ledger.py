"""The record of batches while they are worked on: the intents of a chunk in one transaction, its results in
another.

Almost always nobody else touches what a chunk touches; then a few statements write it all. When a single row
is not as expected, everything of the transaction is undone and each order is written by itself, in a
savepoint, exactly as single orders are.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from onecert.ca.archive.models import archived_certificates, order_digest
from onecert.ca.batches.batches import ACCEPTED, BEGUN, DONE, WAITING
from onecert.ca.batches.by_keys import ByKeys
from onecert.ca.batches.models import batch_chunks, batches
from onecert.ca.batches.preparing import Chunk
from onecert.ca.errors import CaError, OrderAlteredError
from onecert.ca.issuing.ledger import (
    COLUMNS,
    INSERT_CERTIFICATE,
    INSERT_KEY,
    INSERT_NUMBER,
    INSERT_ORDER,
    PROFILE,
    SET_ISSUED,
    CertificateRecord,
    Intent,
    NumberTakenError,
    OrderKnownError,
    certificate_record,
    issued_entry,
    write_intent,
)
from onecert.ca.issuing.orders import OrderDesk
from onecert.ca.issuing.registration_authorities import RegistrationAuthorities, Scope
from onecert.ca.models import blocked_keys, certificates, key_fingerprints, key_numbers, keys, orders
from onecert.server.audit import AuditEntry, AuditTrail
from onecert.server.database import Database
from onecert.server.statements import Act, Statement

__all__ = ["BatchLedger", "ChunkTakenError", "Signed"]


class ChunkTakenError(Exception):
    """The chunk was cancelled, or another process has finished it."""


class _UnevenError(Exception):
    """Not every row was written: somebody else was there first."""


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A certificate that is ready to be recorded."""

    record: CertificateRecord
    certificate_der: bytes
    actor: str
    details: Mapping[str, Any]


class BatchLedger:
    """Reads and writes chunks."""

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        desk: OrderDesk,
        registration_authorities: RegistrationAuthorities,
        *,
        process: str = "",
    ) -> None:
        self._database = database
        self._audit = audit
        self._desk = desk
        self._registration_authorities = registration_authorities
        self._process = process

    def open_batches(self) -> list[str]:
        """Name the batches that are accepted and not closed."""
        with self._database.reading() as connection:
            return list(connection.scalars(select(batches.c.id).where(batches.c.state == ACCEPTED)))

    def chunk(self, batch: str, first_line: int) -> Chunk:
        """Read one chunk with what its registration authority may order now."""
        query = (
            select(batch_chunks.c.content, batches.c.received_at, batches.c.registration_authority)
            .join(batches, batches.c.id == batch_chunks.c.batch)
            .where(batch_chunks.c.batch == batch, batch_chunks.c.first_line == first_line)
        )
        with self._database.reading() as connection:
            content, received_at, name = connection.execute(query).one()
        scopes: frozenset[str] = next(
            (entry.scopes for entry in self._registration_authorities.entries() if entry.name == name),
            frozenset(),
        )
        return Chunk(
            batch=batch,
            ordered_by=Scope(name=name, scopes=scopes),
            received_at=received_at,
            max_age=self._desk.max_age,
            first_line=first_line,
            lines=tuple(zlib.decompress(content).split(b"\n")),
        )

    def records(self, wanted: Mapping[str, str]) -> dict[str, CertificateRecord | OrderAlteredError]:
        """Find what became of orders.

        Args:
            wanted: number of an order -> hash of its content.
        """
        query = (
            select(*COLUMNS, orders.c.content_sha256)
            .join(
                orders,
                (orders.c.authority == certificates.c.authority) & (orders.c.serial == certificates.c.serial),
            )
            .where(orders.c.id.in_(wanted))
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return {
            row["order_id"]: certificate_record(row)
            if row["content_sha256"] == wanted[row["order_id"]]
            else OrderAlteredError(row["order_id"])
            for row in rows
        }

    def record_intents(
        self, chunk: Chunk, intents: Sequence[Intent], at: datetime
    ) -> list[CaError | NumberTakenError | OrderKnownError | None]:
        """Put the intents of a chunk on record, in one transaction. After this, their bytes may be signed.

        Returns:
            for each intent None, or why it is not on record: its order was before (OrderKnownError), it must
            be drafted again (NumberTakenError), or it is refused.

        Raises:
            ChunkTakenError: nothing was changed.
        """
        try:
            with self._database.transaction() as connection:
                self._begin(connection, chunk)
                _write_together(Act(connection), intents, at, by=self._process)
        except _UnevenError:
            with self._database.transaction() as connection:
                self._begin(connection, chunk)
                return [_write_alone(connection, intent, at, by=self._process) for intent in intents]
        return [None] * len(intents)

    def record_results(
        self, chunk: Chunk, signed: Sequence[Signed], results: Sequence[Mapping[str, Any]]
    ) -> None:
        """Put the certificates of a chunk on record with their audit entries and the results of its lines.

        A certificate that another process has recorded in the meantime stands.
        """
        refused = sum("code" in result for result in results)
        values = {
            "state": DONE,
            "issued": len(results) - refused,
            "refused": refused,
            "results": json.dumps(results, ensure_ascii=False),
        }
        try:
            self._record_results(chunk, signed, values, _set_issued_together)
        except _UnevenError:
            self._record_results(chunk, signed, values, _set_issued_alone)

    def _record_results(
        self,
        chunk: Chunk,
        signed: Sequence[Signed],
        values: Mapping[str, Any],
        set_issued: Callable[[Act, Sequence[Signed]], list[AuditEntry]],
    ) -> None:
        of_chunk = (batch_chunks.c.batch == chunk.batch) & (batch_chunks.c.first_line == chunk.first_line)
        with self._database.transaction() as connection:
            entries = set_issued(Act(connection), signed)
            # Whoever finished the chunk before us has written the same results.
            connection.execute(
                update(batch_chunks).where(of_chunk, batch_chunks.c.state == BEGUN).values(values)
            )
            if entries:
                self._audit.record_many(connection, entries)

    @staticmethod
    def _begin(connection: Connection, chunk: Chunk) -> None:
        begun = connection.execute(
            update(batch_chunks)
            .where(
                batch_chunks.c.batch == chunk.batch,
                batch_chunks.c.first_line == chunk.first_line,
                batch_chunks.c.state.in_((WAITING, BEGUN)),
            )
            .values(state=BEGUN)
        )
        if begun.rowcount != 1:
            raise ChunkTakenError


def _write_together(act: Act, intents: Sequence[Intent], at: datetime, *, by: str) -> None:
    """Write what nobody else touches.

    Raises:
        _UnevenError: somebody does; undo.
    """
    if not intents:
        return
    _even(INSERT_ORDER, act, [intent.order_row(at) for intent in intents])
    _check_archives(act, intents)
    _check_profiles(act, intents)
    _check_keys(act, intents)
    _even(INSERT_CERTIFICATE, act, [intent.certificate_row(by) for intent in intents])
    if any(intent.order.succession is not None for intent in intents):
        # Each of them looks at the certificate that it follows.
        raise _UnevenError


def _check_archives(act: Act, intents: Sequence[Intent]) -> None:
    """Numbers of orders and serials of long ago are not used again."""
    digests = {order_digest(intent.record.order_id) for intent in intents}
    if _ARCHIVED_ORDERS.find(act, digests):
        raise _UnevenError
    for authority in {intent.record.authority for intent in intents}:
        serials = [intent.record.serial for intent in intents if intent.record.authority == authority]
        if _ARCHIVED_SERIALS.find(act, serials, authority=authority):
            raise _UnevenError


def _check_profiles(act: Act, intents: Sequence[Intent]) -> None:
    """Look once at each version that the intents were drafted from."""
    versions = {
        (intent.record.authority, intent.record.profile, intent.record.profile_version, intent.profile_sha256)
        for intent in intents
    }
    for authority, profile, version, sha256 in versions:
        known = PROFILE.first(act, {"a": authority, "p": profile, "v": version})
        if known is None or known["sha256"] != sha256 or not known["in_force"]:
            raise _UnevenError


def _even(statement: Statement, act: Act, rows: Sequence[Mapping[str, Any]]) -> None:
    if statement.run_many(act, rows) != len(rows):
        raise _UnevenError


def _check_keys(act: Act, intents: Sequence[Intent]) -> None:
    """Claim keys and their numbers; those of a renewal are on record already, and must be the same."""
    wanted = {intent.record.key_sha256: intent.key_row() for intent in intents}
    weak = {intent.key_fingerprint for intent in intents if intent.key_fingerprint}
    if _BLOCKED.find(act, wanted) or (weak and _WEAK.find(act, weak)):
        raise _UnevenError
    if INSERT_KEY.run_many(act, wanted.values()) != len(wanted):
        holders = {row["key_sha256"]: row["entity"] for row in _HOLDERS.find(act, wanted)}
        if holders != {key: row["entity"] for key, row in wanted.items()}:
            raise _UnevenError
    numbers = {_number_key(row): row for row in (intent.number_row() for intent in intents)}
    if INSERT_NUMBER.run_many(act, numbers.values()) != len(numbers):
        known = {_number_key(row): row["number"] for row in _NUMBERS.find(act, wanted)}
        if any(known.get(key) != row["number"] for key, row in numbers.items()):
            raise _UnevenError


def _number_key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["authority"], row["entity"], row["key_sha256"]


_BLOCKED, _HOLDERS = ByKeys(blocked_keys.c.key_sha256, blocked_keys.c.key_sha256), ByKeys(keys.c.key_sha256)
_NUMBERS = ByKeys(key_numbers.c.key_sha256)
_WEAK = ByKeys(key_fingerprints.c.fingerprint, key_fingerprints.c.fingerprint)
_ARCHIVED_SERIALS = ByKeys(archived_certificates.c.serial, archived_certificates.c.serial)
_ARCHIVED_ORDERS = ByKeys(archived_certificates.c.order_sha256, archived_certificates.c.order_sha256)


def _write_alone(
    connection: Connection, intent: Intent, at: datetime, *, by: str
) -> CaError | NumberTakenError | OrderKnownError | None:
    cursor = connection.connection.cursor()
    cursor.execute("SAVEPOINT one")
    try:
        known = write_intent(connection, intent, at, by=by) is None
    except (CaError, NumberTakenError) as exc:
        cursor.execute("ROLLBACK TO SAVEPOINT one")
        return exc
    finally:
        cursor.execute("RELEASE SAVEPOINT one")
        cursor.close()
    return OrderKnownError() if known else None


def _set_issued_together(act: Act, signed: Sequence[Signed]) -> list[AuditEntry]:
    if signed:
        _even(SET_ISSUED, act, [_issued_row(each) for each in signed])
    return [issued_entry(each.record, each.actor, each.details) for each in signed]


def _set_issued_alone(act: Act, signed: Sequence[Signed]) -> list[AuditEntry]:
    return [
        issued_entry(each.record, each.actor, each.details)
        for each in signed
        if SET_ISSUED.run(act, _issued_row(each)) == 1
    ]


def _issued_row(signed: Signed) -> dict[str, Any]:
    return {"a": signed.record.authority, "s": signed.record.serial, "d": signed.certificate_der}
