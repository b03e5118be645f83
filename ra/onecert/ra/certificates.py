"""Certificates that were issued on our orders: found, shown, revoked, put on hold, released.

A change of status is a signed revocation order that goes the same way as an issuance order: on record
first, then posted until the CA's answer is known. Only a security officer asks for it. Searching by id-card
number uses the keyed hash; a person's number is shown masked.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, or_, select

from onecert.ra.errors import NotFoundError, RevocationRefusedError
from onecert.ra.fields import Kind
from onecert.ra.keys import Keys
from onecert.ra.models import certificates, revocations
from onecert.ra.orders import REVOCATION_TYP, revocation_payload, sign_order
from onecert.ra.reasons import HOLD, RELEASE, check_reason
from onecert.ra.records import MAX_PAGE, escaped_like
from onecert.ra.states import SECURITY
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator, check_role, check_usable

__all__ = [
    "Certificate",
    "CertificatePage",
    "Certificates",
    "Revocation",
    "find_by_application",
    "list_revocations",
    "load_certificate",
    "load_revocation",
    "normal_serial",
    "search_certificates",
]


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """One issued certificate, with its status as the CA last told us."""

    authority: str
    serial_hex: str
    application_id: str
    order_id: str
    kind: Kind
    name: str
    uscc: str | None
    idcard_masked: str | None
    sha256: str
    certificate_pem: str
    chain_pem: str
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    status: str
    status_since: datetime
    reason: str | None

    def shown_status(self, at: datetime) -> str:
        """good | hold | revoked | expired."""
        return "expired" if self.status != "revoked" and at > self.not_after else self.status


@dataclass(frozen=True, kw_only=True)
class Revocation:
    """One request to change a certificate's status."""

    id: str
    authority: str
    serial_hex: str
    reason: str
    invalidity_date: datetime | None
    requested_by: str
    created_at: datetime
    note: str | None = None
    state: str = "pending"
    attempts: int = 0
    next_attempt_at: datetime | None = None
    last_error: str | None = None
    answered_at: datetime | None = None
    crl_number: int | None = None


@dataclass(frozen=True)
class CertificatePage:
    """One page of found certificates; `next` is the cursor of the following page."""

    items: Sequence[Certificate]
    next: str | None


_COLUMNS = [column for column in certificates.c if column.name != "idcard_hmac"]
_REVOCATION_COLUMNS = [
    column for column in revocations.c if column.name not in {"seq", "request_key", "document"}
]


def _certificate(row: Row[Any]) -> Certificate:
    values = dict(row._mapping)
    values["kind"] = Kind(values["kind"])
    return Certificate(**values)


def normal_serial(text: str) -> str:
    """A serial as people copy it (`3F:9A…`, `0x3f9a`, leading zeros) in our spelling; empty when it is
    none."""
    plain = text.strip().lower().removeprefix("0x").replace(":", "").replace(" ", "").lstrip("0")
    return plain if plain and len(plain) <= 40 and all(c in "0123456789abcdef" for c in plain) else ""


def load_certificate(
    connection: Connection, authority: str, serial_hex: str, *, lock: bool = False
) -> Certificate:
    """Raises `NotFoundError` when it was not issued here."""
    query: Select[Any] = select(*_COLUMNS).where(
        certificates.c.authority == authority, certificates.c.serial_hex == normal_serial(serial_hex)
    )
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(f"{authority}/{serial_hex[:64]}")
    return _certificate(row)


def find_by_application(connection: Connection, application_id: str) -> Certificate | None:
    """The certificate that an application led to."""
    row = connection.execute(
        select(*_COLUMNS).where(certificates.c.application_id == application_id)
    ).one_or_none()
    return None if row is None else _certificate(row)


def search_certificates(
    connection: Connection,
    *,
    search: str = "",
    idcard_hmac: str | None = None,
    authority: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> CertificatePage:
    """Newest first: by the beginning of a name, a credit code, a serial or a SHA-256 thumbprint."""
    limit = max(1, min(limit, MAX_PAGE))
    query: Select[Any] = select(*_COLUMNS)
    if idcard_hmac:
        query = query.where(certificates.c.idcard_hmac == idcard_hmac)
    elif search:
        conditions = [
            certificates.c.name.like(f"{escaped_like(search)}%", escape="\\"),
            certificates.c.uscc == search.upper(),
        ]
        if serial := normal_serial(search):
            conditions.append(certificates.c.serial_hex == serial)
        thumbprint = search.lower().replace(":", "")
        if len(thumbprint) == 64:
            conditions.append(certificates.c.sha256 == thumbprint)
        query = query.where(or_(*conditions))
    if authority:
        query = query.where(certificates.c.authority == authority)
    if (after := _read_cursor(cursor)) is not None:
        issued_at, serial_hex = after
        query = query.where(
            or_(
                certificates.c.issued_at < issued_at,
                (certificates.c.issued_at == issued_at) & (certificates.c.serial_hex < serial_hex),
            )
        )
    query = query.order_by(certificates.c.issued_at.desc(), certificates.c.serial_hex.desc())
    rows = connection.execute(query.limit(limit + 1)).all()
    items = [_certificate(row) for row in rows[:limit]]
    more = len(rows) > limit
    return CertificatePage(
        items, f"{items[-1].issued_at.isoformat()}~{items[-1].serial_hex}" if more else None
    )


def _read_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """A cursor that we did not write counts as none."""
    moment, _tilde, serial_hex = (cursor or "").partition("~")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (at, serial_hex) if at.tzinfo is not None and normal_serial(serial_hex) else None


def list_revocations(connection: Connection, authority: str, serial_hex: str) -> list[Revocation]:
    """All requests about one certificate, oldest first."""
    rows = connection.execute(
        select(*_REVOCATION_COLUMNS)
        .where(revocations.c.authority == authority, revocations.c.serial_hex == serial_hex)
        .order_by(revocations.c.seq)
    )
    return [Revocation(**row._mapping) for row in rows]


def load_revocation(connection: Connection, revocation_id: str) -> Revocation:
    """Raises `NotFoundError` when there is no such request."""
    row = connection.execute(
        select(*_REVOCATION_COLUMNS).where(revocations.c.id == revocation_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(revocation_id)
    return Revocation(**row._mapping)


class Certificates:
    """Asks the CA to change a certificate's status; `revoking.py` carries the request."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        keys: Keys,
        load_operator: Callable[[Connection, str], Operator],
        registration_authority: str,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._keys = keys
        self._load_operator = load_operator
        self._name = registration_authority

    def request_change(
        self,
        operator: Operator,
        authority: str,
        serial_hex: str,
        *,
        reason: str,
        request_key: str,
        note: str = "",
        invalidity_date: datetime | None = None,
    ) -> str:
        """Put a signed revocation order on record and return its number; the same key is the same request.

        Args:
            reason: RFC 5280 name; `certificateHold` holds, `removeFromCRL` releases.
            invalidity_date: since when the key is suspected to be in wrong hands; not in the future.

        Raises:
            RevocationReasonError, RevocationRefusedError: this cannot be done to this certificate now.
        """
        check_role(operator, SECURITY)
        check_reason(reason)
        now = self._clock.now()
        if invalidity_date is not None and invalidity_date > now:
            raise RevocationRefusedError("INVALIDITY_IN_FUTURE")
        key = f"{operator.id}:{request_key}"[:128]
        with self._database.reading() as connection:
            if (made := _find_request(connection, key)) is not None:
                return made
            serial_hex = load_certificate(connection, authority, serial_hex).serial_hex
        # Sign outside the write transaction: a slow token must not hold up the counters.
        revocation_id = str(uuid.uuid4())
        document = self.sign(
            Revocation(
                id=revocation_id,
                authority=authority,
                serial_hex=serial_hex,
                reason=reason,
                invalidity_date=invalidity_date,
                requested_by=operator.id,
                created_at=now,
            ),
            at=now,
        )
        with self._database.transaction() as connection:
            operator = self._load_operator(connection, operator.id)
            check_usable(operator, at=now)
            check_role(operator, SECURITY)
            certificate = load_certificate(connection, authority, serial_hex, lock=True)
            if (made := _find_request(connection, key)) is not None:
                return made
            _check_change(connection, certificate, reason)
            connection.execute(
                insert(revocations).values(
                    id=revocation_id,
                    request_key=key,
                    authority=authority,
                    serial_hex=serial_hex,
                    reason=reason,
                    note=note.strip()[:500] or None,
                    invalidity_date=invalidity_date,
                    requested_by=operator.id,
                    document=document,
                    state="pending",
                    created_at=now,
                    attempts=0,
                    next_attempt_at=now,
                )
            )
            self._audit.record(
                connection,
                event="certificate.change_requested",
                actor=operator.actor,
                subject=f"certificate:{authority}/{serial_hex}",
                details={"revocation": revocation_id, "reason": reason},
            )
        return revocation_id

    def sign(self, revocation: Revocation, *, at: datetime) -> bytes:
        """The signed request, as posted to the CA."""
        payload = revocation_payload(
            revocation_id=revocation.id,
            registration_authority=self._name,
            authority=revocation.authority,
            serial_hex=revocation.serial_hex,
            reason=revocation.reason,
            invalidity_date=revocation.invalidity_date,
            requested_by=revocation.requested_by,
            at=at,
        )
        return sign_order(payload, typ=REVOCATION_TYP, key=self._keys.order_key())


def _find_request(connection: Connection, request_key: str) -> str | None:
    found: str | None = connection.scalar(
        select(revocations.c.id).where(revocations.c.request_key == request_key)
    )
    return found


def _check_change(connection: Connection, certificate: Certificate, reason: str) -> None:
    """Refuse what the CA would refuse, and a second request while one is on its way."""
    if certificate.status == "revoked":
        raise RevocationRefusedError("ALREADY_REVOKED")
    if reason == RELEASE and certificate.status != "hold":
        raise RevocationRefusedError("NOT_ON_HOLD")
    if reason == HOLD and certificate.status == "hold":
        raise RevocationRefusedError("ALREADY_ON_HOLD")
    pending = connection.scalars(
        select(revocations.c.reason).where(
            revocations.c.authority == certificate.authority,
            revocations.c.serial_hex == certificate.serial_hex,
            revocations.c.state == "pending",
        )
    ).all()
    # A final revocation may overtake a hold that is still on its way; nothing else may.
    if any(other not in {HOLD, RELEASE} or reason in {HOLD, RELEASE} for other in pending):
        raise RevocationRefusedError("CHANGE_PENDING")
