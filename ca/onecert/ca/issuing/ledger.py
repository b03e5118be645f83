"""The record of what is signed: orders, intents and certificates, each written before the next act.

Two commits make a certificate: `record_intent` (order, serial, key and the exact bytes to be signed) before
the key is used, `record_issued` after. Between them a crash leaves a row `intended`, which `recovery`
resolves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, func, select, update

from onecert.ca.archive.models import archived_certificates, archives, order_digest
from onecert.ca.certificates.draft import Draft, serial_hex
from onecert.ca.certificates.key_blocklist import DEBIAN, debian_fingerprint
from onecert.ca.certificates.names import subject_text
from onecert.ca.errors import (
    BlockedKeyError,
    OrderAlteredError,
    RepeatedKeyError,
    UnknownCertificateError,
    UnknownOrderError,
)
from onecert.ca.errors.archives import CertificateArchivedError, OrderArchivedError
from onecert.ca.errors.profiles import ProfileChangedError, ProfileWithdrawnError
from onecert.ca.issuing.group_commit import GroupCommit
from onecert.ca.models import (
    blocked_keys,
    certificates,
    key_fingerprints,
    key_numbers,
    keys,
    orders,
    profiles,
)
from onecert.ca.renewals.record import Succession, write_succession
from onecert.server.audit import AuditEntry
from onecert.server.database import Database
from onecert.server.statements import Act, Statement, insert_once

__all__ = [
    "CertificateRecord",
    "Intent",
    "Ledger",
    "NumberTakenError",
    "OrderKnownError",
    "OrderRecord",
    "intent_of",
    "issued_entry",
    "write_intent",
]

INTENDED, ISSUED, ABANDONED = "intended", "issued", "abandoned"
GOOD, ON_HOLD, REVOKED = "good", "hold", "revoked"


class NumberTakenError(Exception):
    """Somebody else took the serial or the key number since the draft was made: draft again."""


class OrderKnownError(Exception):
    """The order is on record: nothing needs to be drafted."""


@dataclass(frozen=True, kw_only=True)
class OrderRecord:
    """What is kept of an order: its number, the hash of its content, and the signed document itself."""

    id: str
    content_sha256: str
    ordered_by: str
    document: bytes
    approved_by: tuple[str, ...] = ()
    application_sha256: str = ""
    succession: Succession | None = None  # of an order that follows a certificate


@dataclass(frozen=True, kw_only=True)
class CertificateRecord:
    """One row of `certificates`."""

    authority: str
    serial: str
    state: str
    profile: str
    profile_version: int
    entity: str
    subject: str
    key_sha256: str
    not_before: datetime
    not_after: datetime
    order_id: str
    tbs_der: bytes | None
    certificate_der: bytes | None
    status: str
    revoked_at: datetime | None
    reason: str | None
    invalidity_date: datetime | None
    crl_partition: int
    profile_sha256: str = ""
    intended_by: str | None = None  # the process that has it in hand, while `intended`


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What goes on record before the key is used; plain data, so that another process can prepare it."""

    order: OrderRecord
    record: CertificateRecord  # `intended`, with the bytes to be signed
    profile_sha256: str
    key_number: int
    is_authority: bool = False  # made in a ceremony, whose file holds the profile
    key_fingerprint: str = ""  # as Debian's lists of weak keys name it

    def order_row(self, at: datetime) -> dict[str, Any]:
        """The row of `orders`."""
        return {
            "id": self.order.id,
            "content_sha256": self.order.content_sha256,
            "ordered_by": self.order.ordered_by,
            "authority": self.record.authority,
            "serial": self.record.serial,
            "document": self.order.document,
            "received_at": at,
        }

    def certificate_row(self, by: str) -> dict[str, Any]:
        """The row of `certificates`, from the process that writes it."""
        return vars(self.record) | {"profile_sha256": self.profile_sha256, "intended_by": by or None}

    def key_row(self) -> dict[str, Any]:
        """The row of `keys`."""
        return {"key_sha256": self.record.key_sha256, "entity": self.record.entity}

    def number_row(self) -> dict[str, Any]:
        """The row of `key_numbers`."""
        return {
            "authority": self.record.authority,
            "entity": self.record.entity,
            "number": self.key_number,
            "key_sha256": self.record.key_sha256,
        }


COLUMNS = list(certificates.c)
_FIND_CERTIFICATE = select(*COLUMNS).where(
    certificates.c.authority == bindparam("a"), certificates.c.serial == bindparam("s")
)
_FIND_ORDER = (
    select(*COLUMNS, orders.c.content_sha256)
    .join(
        orders,
        (orders.c.authority == certificates.c.authority) & (orders.c.serial == certificates.c.serial),
    )
    .where(orders.c.id == bindparam("id"))
)
_ARCHIVED_IN = (
    select(archives.c.name)
    .join(archived_certificates, archived_certificates.c.archive == archives.c.number)
    .where(
        archived_certificates.c.authority == bindparam("a"), archived_certificates.c.serial == bindparam("s")
    )
)
# What every order asks and writes is prepared; the rest need not be quick.
_CONTENT_OF_ORDER = select(orders.c.content_sha256).where(orders.c.id == bindparam("id"))
_ORDER_CONTENT = Statement(_CONTENT_OF_ORDER)
_OF_ENTITY = (key_numbers.c.authority == bindparam("a")) & (key_numbers.c.entity == bindparam("e"))
_KEY_NUMBER = select(key_numbers.c.number).where(_OF_ENTITY, key_numbers.c.key_sha256 == bindparam("k"))
_THIS_NUMBER = Statement(_KEY_NUMBER)
_STANDING = Statement(
    select(
        select(orders.c.content_sha256)
        .where(orders.c.id == bindparam("id"))
        .scalar_subquery()
        .label("known"),
        _KEY_NUMBER.scalar_subquery().label("own"),
        select(func.max(key_numbers.c.number)).where(_OF_ENTITY).scalar_subquery().label("last"),
    )
)
_KEY_ENTITY = Statement(select(keys.c.entity).where(keys.c.key_sha256 == bindparam("k")))
_OF_PROFILE = (
    (profiles.c.authority == bindparam("a"))
    & (profiles.c.name == bindparam("p"))
    & (profiles.c.version == bindparam("v"))
)
_STANDS = select(profiles.c.sha256).where(_OF_PROFILE, profiles.c.in_force.is_(True))
# What may have changed since the draft was made: is its key blocked now, is its profile what it was?
_GATE = Statement(
    select(
        select(archived_certificates.c.archive)
        .where(
            archived_certificates.c.authority == bindparam("a"),
            archived_certificates.c.serial == bindparam("s"),
        )
        .scalar_subquery()
        .label("serial_archived"),
        select(func.min(archived_certificates.c.archive))
        .where(archived_certificates.c.order_sha256 == bindparam("o"))
        .scalar_subquery()
        .label("order_archived"),
        select(blocked_keys.c.reason)
        .where(blocked_keys.c.key_sha256 == bindparam("k"))
        .scalar_subquery()
        .label("blocked"),
        select(key_fingerprints.c.reason)
        .where(key_fingerprints.c.kind == DEBIAN, key_fingerprints.c.fingerprint == bindparam("f"))
        .scalar_subquery()
        .label("weak"),
        _STANDS.scalar_subquery().label("profile"),
    )
)
PROFILE = Statement(select(profiles.c.sha256, profiles.c.in_force).where(_OF_PROFILE))
INSERT_ORDER, INSERT_CERTIFICATE = insert_once(orders), insert_once(certificates)
INSERT_KEY, INSERT_NUMBER = insert_once(keys), insert_once(key_numbers)
SET_ISSUED = Statement(
    update(certificates)
    .where(
        certificates.c.authority == bindparam("a"),
        certificates.c.serial == bindparam("s"),
        certificates.c.state == INTENDED,
    )
    .values(state=ISSUED, certificate_der=bindparam("d"), tbs_der=None, intended_by=None)
)


def certificate_record(row: RowMapping | Mapping[str, Any]) -> CertificateRecord:
    """Build a record from a row that has at least its columns."""
    return CertificateRecord(**{name: row[name] for name in CertificateRecord.__dataclass_fields__})


class Ledger:
    """Reads and writes the record.

    Args:
        process: this process; its intents are left alone by the others while it lives.
    """

    def __init__(self, database: Database, writer: GroupCommit, *, process: str = "") -> None:
        self._database = database
        self._writer = writer
        self._process = process

    def find_order(self, order_id: str, content_sha256: str | None = None) -> CertificateRecord | None:
        """Find what became of an order.

        Raises:
            OrderAlteredError: the order is known with another content.
        """
        if _ORDER_CONTENT.look_up(self._database, {"id": order_id}) is None:
            return None
        with self._database.reading() as connection:
            row = connection.execute(_FIND_ORDER, {"id": order_id}).mappings().one_or_none()
        if row is None:
            return None
        if content_sha256 is not None and row["content_sha256"] != content_sha256:
            raise OrderAlteredError(order_id)
        return certificate_record(row)

    def order(self, order_id: str) -> CertificateRecord:
        """Like `find_order`, for an order that must be there."""
        record = self.find_order(order_id)
        if record is None:
            raise UnknownOrderError(order_id)
        return record

    def certificate(self, authority: str, serial: str) -> CertificateRecord:
        """Find one certificate by authority and serial (hex).

        Raises:
            UnknownCertificateError: never issued.
            CertificateArchivedError: it ended long ago.
        """
        with self._database.reading() as connection:
            row = (
                connection.execute(_FIND_CERTIFICATE, {"a": authority, "s": serial}).mappings().one_or_none()
            )
            archived = connection.scalar(_ARCHIVED_IN, {"a": authority, "s": serial}) if row is None else None
        if archived is not None:
            raise CertificateArchivedError(authority, serial, archived)
        if row is None:
            raise UnknownCertificateError(authority, serial)
        return certificate_record(row)

    def key_number(self, authority: str, entity: str, key_sha256: str, *, order_id: str = "") -> int:
        """Tell which key of its holder this is, or will be. Taken only by `record_intent`.

        Raises:
            OrderKnownError: the order of that number is on record, and with it the number of its key.
        """
        names = {"id": order_id, "a": authority, "e": entity, "k": key_sha256}
        standing = _STANDING.look_up(self._database, names) or {}
        if standing.get("known") is not None:
            raise OrderKnownError
        return int(standing.get("own") or (standing.get("last") or 0) + 1)

    def record_intent(self, draft: Draft, order: OrderRecord, at: datetime) -> CertificateRecord | None:
        """Put order, serial and the bytes to be signed on record. After this returns, the key may be used.

        Returns:
            None when the order was on record already; nothing was changed then.

        Raises:
            NumberTakenError: draft again with a fresh serial and key number.
            BlockedKeyError, RepeatedKeyError: the key may not be certified for this holder.
        """
        return self.record_prepared(intent_of(draft, order), at)

    def record_prepared(self, intent: Intent, at: datetime) -> CertificateRecord | None:
        """Like `record_intent`, for what another process has drafted and linted."""
        return self._writer.run(
            lambda connection, _entries: write_intent(connection, intent, at, by=self._process)
        )

    def record_issued(
        self, record: CertificateRecord, certificate_der: bytes, *, actor: str, details: Mapping[str, Any]
    ) -> CertificateRecord:
        """Put the signed certificate on record, with its audit entry; return the record as it stands now.

        When another process has finished the same intent in the meantime, its certificate stands.
        """

        def work(connection: Connection, entries: list[AuditEntry]) -> bool:
            names = {"a": record.authority, "s": record.serial, "d": certificate_der}
            if SET_ISSUED.run(Act(connection), names) != 1:
                return False
            entries.append(issued_entry(record, actor, details))
            return True

        if self._writer.run(work):
            issued = {
                "state": ISSUED,
                "certificate_der": certificate_der,
                "tbs_der": None,
                "intended_by": None,
            }
            return CertificateRecord(**(vars(record) | issued))
        return self.certificate(record.authority, record.serial)

    def profile_sha256(self, record: CertificateRecord) -> str:
        """The hash that the profile of a certificate has on record now; empty: it is not there."""
        names = {"a": record.authority, "p": record.profile, "v": record.profile_version}
        known = PROFILE.look_up(self._database, names)
        return "" if known is None else str(known["sha256"])

    def unfinished(self, authority: str | None = None) -> list[CertificateRecord]:
        """List the intents without a result, oldest first."""
        query = select(*COLUMNS).where(certificates.c.state == INTENDED).order_by(certificates.c.not_before)
        if authority is not None:
            query = query.where(certificates.c.authority == authority)
        with self._database.reading() as connection:
            return [certificate_record(row) for row in connection.execute(query).mappings()]


def intent_of(draft: Draft, order: OrderRecord) -> Intent:
    """Gather what a draft and its order put on record."""
    request = draft.request
    record = CertificateRecord(
        authority=draft.issuer.name,
        serial=serial_hex(draft.serial),
        state=INTENDED,
        profile=request.profile.name,
        profile_version=request.profile.version,
        entity=request.entity,
        subject=subject_text(request.subject),
        key_sha256=request.key.sha256,
        not_before=draft.not_before,
        not_after=draft.not_after,
        order_id=order.id,
        tbs_der=draft.tbs_der,
        certificate_der=None,
        status=GOOD,
        revoked_at=None,
        reason=None,
        invalidity_date=None,
        crl_partition=draft.crl_partition,
        profile_sha256=request.profile.sha256,
    )
    return Intent(
        order=order,
        record=record,
        profile_sha256=request.profile.sha256,
        key_number=draft.key_number,
        is_authority=request.profile.is_authority,
        key_fingerprint=debian_fingerprint(request.key.public_key),
    )


def issued_entry(record: CertificateRecord, actor: str, details: Mapping[str, Any]) -> AuditEntry:
    """The audit entry of a certificate."""
    return AuditEntry(
        event="certificate.issued",
        actor=actor,
        subject=f"{record.authority}/{record.serial}",
        details={"profile": record.profile, "order": record.order_id, **details},
    )


def write_intent(
    connection: Connection, intent: Intent, at: datetime, *, by: str
) -> CertificateRecord | None:
    """Write one intent in the transaction of `connection`; see `Ledger.record_intent`."""
    act = Act(connection)
    # The order comes first: a second post of the same order changes nothing below.
    if not INSERT_ORDER.run(act, intent.order_row(at)):
        return None
    _claim_key(act, intent)
    if not INSERT_CERTIFICATE.run(act, intent.certificate_row(by)):
        raise NumberTakenError
    if intent.order.succession is not None:
        write_succession(
            connection, intent.order.succession, intent.record.authority, intent.record.serial, at
        )
    return intent.record


def check_profile(intent: Intent, known: Mapping[str, Any] | None) -> None:
    """Refuse an intent whose profile, as it is on record now, is not the one that it was drafted from.

    Args:
        known: `sha256` and `in_force` of the version; None: it is not on record.

    Raises:
        ProfileChangedError, ProfileWithdrawnError
    """
    profile, version = intent.record.profile, intent.record.profile_version
    if known is None and intent.is_authority:
        return
    if known is None or known["sha256"] != intent.profile_sha256:
        raise ProfileChangedError(profile, version)
    if not known["in_force"]:
        raise ProfileWithdrawnError(profile, version)


def _claim_key(act: Act, intent: Intent) -> None:
    record = intent.record
    names = {"a": record.authority, "e": record.entity, "k": record.key_sha256}
    of_profile = {"a": record.authority, "p": record.profile, "v": record.profile_version}
    of_archives = {"s": record.serial, "o": order_digest(record.order_id)}
    gate = _GATE.first(act, names | of_profile | of_archives | {"f": intent.key_fingerprint}) or {}
    if gate.get("order_archived") is not None:
        raise OrderArchivedError(record.order_id)
    if gate.get("serial_archived") is not None:
        raise NumberTakenError
    if gate.get("profile") != intent.profile_sha256:
        check_profile(intent, PROFILE.first(act, of_profile))
    if gate.get("blocked") is not None or gate.get("weak") is not None:
        raise BlockedKeyError
    if not INSERT_KEY.run(act, intent.key_row()):
        holder = _KEY_ENTITY.first(act, names)
        if holder is None or holder["entity"] != record.entity:
            raise RepeatedKeyError
    if not INSERT_NUMBER.run(act, intent.number_row()):
        known = _THIS_NUMBER.first(act, names)
        if known is None or known["number"] != intent.key_number:
            raise NumberTakenError
