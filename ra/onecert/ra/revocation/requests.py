"""What a security officer does to a certificate: revoke, hold, release.

A change of status is a signed revocation order that goes the same way as an issuance order: on record first,
then posted by `revoking.py` until the CA's answer is known.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from onecert.ra.certificates.records import Certificate, Revocation, load_certificate
from onecert.ra.errors import RequestKeyReusedError, RevocationRefusedError
from onecert.ra.life.machine import Act, State, check_move
from onecert.ra.models import revocations
from onecert.ra.operators.acting import certificate_of, with_certificate
from onecert.ra.operators.reach import Reach
from onecert.ra.orders.documents import REVOCATION_TYP, revocation_payload, sign_order
from onecert.ra.revocation.reasons import HOLD, RELEASE, business_of, check_reason
from onecert.ra.vault.keys import Keys
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator, check_role

__all__ = ["Certificates", "Prepared"]


@dataclass(frozen=True)
class Prepared:
    """A signed request that is not on record yet."""

    revocation: Revocation
    document: bytes

    @property
    def id(self) -> str:
        """Its number."""
        return self.revocation.id


class Certificates:
    """Asks the CA to change a certificate's status; `revoking.py` carries the request."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        keys: Keys,
        reach: Reach,
        registration_authority: str,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._keys = keys
        self._reach = reach
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
            RequestKeyReusedError: the key was used for another certificate or reason.
        """
        check_reason(reason)
        step = check_move(business_of(reason), State.DRAFT, Act.DECIDE)
        check_role(operator, *step.roles)
        now = self._clock.now()
        if invalidity_date is not None and invalidity_date > now:
            raise RevocationRefusedError("INVALIDITY_IN_FUTURE")
        key = f"{operator.id}:{request_key}"[:128]
        serial_hex = self._reach.certificate(operator, authority, serial_hex).serial_hex
        with self._database.reading() as connection:
            if (made := _find_request(connection, key, authority, serial_hex, reason)) is not None:
                return made
        # Sign outside the write transaction: a slow token must not hold up the counters.
        prepared = self.prepare(
            operator, authority, serial_hex, reason=reason, invalidity_date=invalidity_date
        )
        with self._database.transaction() as connection:
            operator = self._reach.account(connection, operator, *step.roles, at=now)
            certificate = load_certificate(connection, authority, serial_hex, lock=True)
            self._reach.check(connection, operator, certificate)
            if (made := _find_request(connection, key, authority, serial_hex, reason)) is not None:
                return made
            self.keep(connection, operator, certificate, prepared, note=note, request_key=key)
        return prepared.id

    def made_before(self, operator: Operator, request_key: str) -> str | None:
        """The number of the request that this operator made with this key; None: not made yet."""
        key = f"{operator.id}:{request_key}"[:128]
        with self._database.reading() as connection:
            return connection.scalar(select(revocations.c.id).where(revocations.c.request_key == key))

    def prepare(
        self,
        operator: Operator,
        authority: str,
        serial_hex: str,
        *,
        reason: str,
        invalidity_date: datetime | None,
    ) -> Prepared:
        """Sign the request under a number of its own; nothing is on record yet."""
        now = self._clock.now()
        revocation = Revocation(
            id=str(uuid.uuid4()),
            authority=authority,
            serial_hex=serial_hex,
            reason=reason,
            invalidity_date=invalidity_date,
            requested_by=operator.id,
            created_at=now,
        )
        return Prepared(revocation, self.sign(revocation, at=now))

    def keep(
        self,
        connection: Connection,
        operator: Operator,
        certificate: Certificate,
        prepared: Prepared,
        *,
        note: str,
        request_key: str,
    ) -> None:
        """Put a prepared request on record, in the transaction of the act; `certificate` is locked.

        Raises:
            RevocationRefusedError: this cannot be done to this certificate now.
        """
        revocation = prepared.revocation
        _check_change(connection, certificate, revocation.reason)
        connection.execute(
            insert(revocations).values(
                id=revocation.id,
                request_key=request_key,
                authority=revocation.authority,
                serial_hex=revocation.serial_hex,
                reason=revocation.reason,
                note=note.strip()[:500] or None,
                invalidity_date=revocation.invalidity_date,
                requested_by=operator.id,
                certificate_sha256=certificate_of(operator),
                document=prepared.document,
                state="pending",
                created_at=revocation.created_at,
                attempts=0,
                next_attempt_at=revocation.created_at,
            )
        )
        self._audit.record(
            connection,
            event="certificate.change_requested",
            actor=operator.actor,
            subject=f"certificate:{revocation.authority}/{revocation.serial_hex}",
            details={
                "revocation": revocation.id,
                "reason": revocation.reason,
                **with_certificate(operator),
            },
        )

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


def _find_request(
    connection: Connection, request_key: str, authority: str, serial_hex: str, reason: str
) -> str | None:
    columns = [revocations.c[name] for name in ("id", "authority", "serial_hex", "reason")]
    row = connection.execute(select(*columns).where(revocations.c.request_key == request_key)).one_or_none()
    if row is None:
        return None
    # Whoever believes that this certificate is revoked, while the key belongs to another one, must be told.
    if (row.authority, row.serial_hex, row.reason) != (authority, serial_hex, reason):
        raise RequestKeyReusedError(f"{row.authority}/{row.serial_hex}")
    return str(row.id)


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
