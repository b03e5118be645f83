"""Revoking, holding and releasing: status, list entry and audit entry in one transaction, the list right
after.

From the commit on, OCSP answers with the new status. If the list cannot be made at that moment (token or disk
gone), the revocation stands all the same and the timer makes the list as soon as it can.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from onecert.ca.errors import (
    AlreadyRevokedError,
    NotOnHoldError,
    OrderTimeError,
    RevocationAlteredError,
    RevocationReasonError,
    UnknownCertificateError,
)
from onecert.ca.issuing.group_commit import GroupCommit
from onecert.ca.issuing.ledger import (
    ABANDONED,
    GOOD,
    INTENDED,
    ON_HOLD,
    REVOKED,
    CertificateRecord,
    Ledger,
    certificate_record,
)
from onecert.ca.issuing.order_notices import RevocationOrder
from onecert.ca.lists.crl import HOLD, REASONS, RELEASE, check_entry, entry_der
from onecert.ca.lists.publishing import CrlPublisher
from onecert.ca.models import (
    authorities,
    blocked_keys,
    certificates,
    crl_entries,
    crl_removals,
    revocations,
)
from onecert.ca.revocation.shared_lists import SharedLists
from onecert.server.audit import AuditEntry
from onecert.server.clock import Clock
from onecert.server.errors import ServiceError
from onecert.server.statements import insert_if_absent

__all__ = ["Revocation", "Revoked", "lock_authority"]

log = logging.getLogger(__name__)

COMPROMISE = "keyCompromise"

_BY_ID = select(revocations).where(revocations.c.id == bindparam("id"))
_CERTIFICATE = (
    select(certificates)
    .where(certificates.c.authority == bindparam("a"), certificates.c.serial == bindparam("s"))
    .with_for_update()  # SQLite has no rows to lock and leaves it out; its transaction is immediate
)
_LOCK = select(authorities.c.name).where(authorities.c.name == bindparam("a")).with_for_update()
_SET_STATUS = (
    update(certificates)
    .where(certificates.c.authority == bindparam("a"), certificates.c.serial == bindparam("s"))
    .values(
        status=bindparam("new_status"),
        revoked_at=bindparam("new_revoked_at"),
        reason=bindparam("new_reason"),
        invalidity_date=bindparam("new_invalidity_date"),
    )
)
_GROW_VERSION = (
    update(authorities)
    .where(authorities.c.name == bindparam("a"))
    .values(status_version=authorities.c.status_version + 1)
)
_VERSION = select(authorities.c.status_version).where(authorities.c.name == bindparam("a"))
_DROP_ENTRY = delete(crl_entries).where(
    crl_entries.c.authority == bindparam("a"), crl_entries.c.serial == bindparam("s")
)
_DROP_REMOVAL = delete(crl_removals).where(
    crl_removals.c.authority == bindparam("a"), crl_removals.c.serial == bindparam("s")
)


@dataclass(frozen=True, kw_only=True)
class Revoked:
    """What a revocation did. `crl_number` is None while no list with it was made yet: the token is away, or
    many others wait for the same list."""

    authority: str
    serial: str
    reason: str
    revoked_at: datetime
    crl_number: int | None
    changed: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "serial": self.serial,
            "revoked_at": self.revoked_at.isoformat().replace("+00:00", "Z"),
            "reason": self.reason,
            "crl_number": self.crl_number,
        }


class Revocation:
    """Changes the status of certificates.

    Args:
        forget_answer: drops what OCSP was going to say about an authority's serial.
    """

    def __init__(
        self,
        ledger: Ledger,
        writer: GroupCommit,
        publisher: CrlPublisher,
        clock: Clock,
        *,
        forget_answer: Callable[[str, str], None],
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._lists = SharedLists(publisher)
        self._clock = clock
        self._forget_answer = forget_answer

    def revoke(self, order: RevocationOrder, *, on_recorded: Callable[[], object] | None = None) -> Revoked:
        """Revoke, hold or release one certificate; the same order again changes nothing.

        Args:
            on_recorded: called when it is on record and OCSP says so, before the list is made.

        Raises:
            CaError: refused; nothing was changed.
            ServiceError: 503, not now; nothing was changed.
        """
        if order.reason not in REASONS and order.reason != RELEASE:
            raise RevocationReasonError(order.reason)
        at = self._clock.now()
        if order.invalidity_date is not None and order.invalidity_date > at:
            raise OrderTimeError(order.invalidity_date.isoformat())
        log.info("revocation to be recorded", extra={"authority": order.authority, "serial": order.serial})
        # Before, so that a crash leaves no outdated answer, and after, for one that was signed meanwhile.
        self._forget_answer(order.authority, order.serial)
        outcome = self._writer.run(lambda connection, entries: _apply(connection, entries, order, at))
        self._forget_answer(order.authority, order.serial)
        log.info("revocation recorded", extra={"authority": order.authority, "serial": order.serial})
        if on_recorded is not None:
            on_recorded()
        return Revoked(
            authority=order.authority,
            serial=order.serial,
            reason=order.reason,
            revoked_at=outcome.revoked_at,
            crl_number=self._publish(order.authority, outcome),
            changed=outcome.changed,
        )

    def find(self, authority: str, serial: str) -> CertificateRecord:
        """Find what a revocation would change; for a command that shows it first."""
        return self._ledger.certificate(authority, serial)

    def abandon(self, record: CertificateRecord, why: str) -> None:
        """Give up an intent whose certificate may have been signed: its serial is revoked and stays so."""
        at = self._clock.now()

        def work(connection: Connection, entries: list[AuditEntry]) -> None:
            lock_authority(connection, record.authority)
            found = _locked(connection, record.authority, record.serial)
            if found.state != INTENDED:
                return
            connection.execute(
                update(certificates)
                .where(certificates.c.authority == record.authority, certificates.c.serial == record.serial)
                .values(state=ABANDONED)
            )
            version = _grow_version(connection, record.authority)
            _set_revoked(connection, found, "cessationOfOperation", at, None, version=version)
            entries.append(
                AuditEntry(
                    event="certificate.abandoned",
                    actor="job:ca.recovery",
                    subject=f"{record.authority}/{record.serial}",
                    details={"order": record.order_id, "why": why},
                )
            )

        self._writer.run(work)

    def _publish(self, authority: str, outcome: _Outcome) -> int | None:
        """Make the list of the certificate's partition, when it names one, and the full list."""
        at_least = outcome.status_version
        try:
            if outcome.crl_partition:
                self._lists.publish(authority, partition=outcome.crl_partition, at_least=at_least)
            return self._lists.publish(authority, at_least=at_least)
        except (ServiceError, OSError):
            # The status is changed and OCSP never again says "good". The timer makes the list.
            log.exception("list not made after revocation", extra={"authority": authority})
            return None


@dataclass(frozen=True)
class _Outcome:
    revoked_at: datetime
    status_version: int
    crl_partition: int
    changed: bool


def _apply(
    connection: Connection, entries: list[AuditEntry], order: RevocationOrder, at: datetime
) -> _Outcome:
    known = connection.execute(_BY_ID, {"id": order.id}).mappings().one_or_none()
    if known is not None and known["content_sha256"] != order.content_sha256:
        raise RevocationAlteredError(order.id)
    lock_authority(connection, order.authority)
    record = _locked(connection, order.authority, order.serial)
    if known is not None:
        return _Outcome(known["revoked_at"], known["status_version"], record.crl_partition, changed=False)
    # Whoever learns later that the key was compromised says so: CA/Browser Forum, Baseline Requirements,
    # section 7.2.2. No other reason replaces one, and the date stays.
    if record.status == REVOKED and not (order.reason == COMPROMISE and record.reason != COMPROMISE):
        raise AlreadyRevokedError(record.serial, (record.revoked_at or at).isoformat())
    # A certificate that was on hold is revoked as of the day it was held: nobody could rely on it since.
    revoked_at = record.revoked_at or at.replace(microsecond=0)
    if order.reason == RELEASE:
        if record.status != ON_HOLD:
            raise NotOnHoldError(record.serial)
        event = "certificate.released"
        revoked_at = at.replace(microsecond=0)
        version = _grow_version(connection, order.authority)
        _set_good(connection, record, revoked_at, version)
    elif order.reason == HOLD:
        event = "certificate.held"
        version = _grow_version(connection, order.authority)
        _set_revoked(connection, record, HOLD, revoked_at, order.invalidity_date, version=version)
    else:
        event = "certificate.revoked"
        version = _grow_version(connection, order.authority)
        _set_revoked(connection, record, order.reason, revoked_at, order.invalidity_date, version=version)
        if order.reason == COMPROMISE:
            insert_if_absent(
                connection,
                blocked_keys,
                {"key_sha256": record.key_sha256, "reason": "keyCompromise", "added_at": at},
            )
    connection.execute(
        insert(revocations),
        {
            "id": order.id,
            "content_sha256": order.content_sha256,
            "requested_by": order.requested_by,
            "authority": order.authority,
            "serial": order.serial,
            "reason": order.reason,
            "document": order.document,
            "revoked_at": revoked_at,
            "status_version": version,
        },
    )
    entries.append(
        AuditEntry(
            event=event,
            actor=order.requested_by,
            subject=f"{order.authority}/{order.serial}",
            details={"reason": order.reason, "revocation": order.id, "requested_by": list(order.people)},
        )
    )
    return _Outcome(revoked_at, version, record.crl_partition, changed=True)


def lock_authority(connection: Connection, authority: str) -> None:
    """Wait for whoever changes statuses of this authority. First of all: whoever has it locks certificates,
    and two that did so in different orders would wait for each other."""
    if connection.dialect.name != "sqlite":
        connection.execute(_LOCK, {"a": authority})


def _locked(connection: Connection, authority: str, serial: str) -> CertificateRecord:
    row = connection.execute(_CERTIFICATE, {"a": authority, "s": serial}).mappings().one_or_none()
    if row is None:
        raise UnknownCertificateError(authority, serial)
    return certificate_record(row)


def _set_good(connection: Connection, record: CertificateRecord, at: datetime, version: int) -> None:
    names = {"a": record.authority, "s": record.serial}
    connection.execute(_DROP_ENTRY, names)
    # Delta lists say that it is gone; see `crl_snapshot`.
    connection.execute(_DROP_REMOVAL, names)
    connection.execute(
        insert(crl_removals),
        {
            "authority": record.authority,
            "serial": record.serial,
            "crl_partition": record.crl_partition,
            "status_version": version,
            "removed_at": at,
        },
    )
    values = {
        "new_status": GOOD,
        "new_revoked_at": None,
        "new_reason": None,
        "new_invalidity_date": None,
    }
    connection.execute(_SET_STATUS, names | values)


def _set_revoked(
    connection: Connection,
    record: CertificateRecord,
    reason: str,
    revoked_at: datetime,
    invalidity_date: datetime | None,
    *,
    version: int,
) -> None:
    names = {"a": record.authority, "s": record.serial}
    serial = int(record.serial, 16)
    encoded = entry_der(serial, revoked_at, reason, invalidity_date)
    check_entry(encoded, serial)
    connection.execute(_DROP_ENTRY, names)
    connection.execute(_DROP_REMOVAL, names)
    connection.execute(
        insert(crl_entries),
        {
            "authority": record.authority,
            "serial": record.serial,
            "not_after": record.not_after,
            "entry_der": encoded,
            "crl_partition": record.crl_partition,
            "status_version": version,
        },
    )
    values = {
        "new_status": ON_HOLD if reason == HOLD else REVOKED,
        "new_revoked_at": revoked_at,
        "new_reason": reason,
        "new_invalidity_date": invalidity_date,
    }
    connection.execute(_SET_STATUS, names | values)


def _grow_version(connection: Connection, authority: str) -> int:
    connection.execute(_GROW_VERSION, {"a": authority})
    version: int = connection.execute(_VERSION, {"a": authority}).scalar_one()
    return version
