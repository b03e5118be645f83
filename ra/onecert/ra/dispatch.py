"""Carries approved applications to the CA: sign the order, keep it, post it, record the answer.

Each step is durable before the next one begins, so a crash anywhere is continued by the job:

    approved   the order number is on record                      -> sign and keep the order, or return it
    ordered    the signed order is on record, answer unknown      -> post the same bytes again
    issued | refused_by_ca   the answer is on record

What the CA answers is believed only if the certificate fits the order: same key, issued by that authority.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import Connection, insert, select, update

from onecert.ra.applications import Applications
from onecert.ra.authorities import Directory
from onecert.ra.ca_client import TOO_OLD, CaClient, IssuedAnswer
from onecert.ra.ca_errors import CaAnswerError, CaRefusedError, CaUnreachableError
from onecert.ra.csr import key_sha256
from onecert.ra.errors import (
    AuthorityUnknownError,
    ContentChangedError,
    InvalidApplicationError,
    ProfileMissingError,
)
from onecert.ra.keys import Keys
from onecert.ra.models import application_events, applications, certificates, orders
from onecert.ra.orders import ORDER_TYP, issuance_payload, sign_order
from onecert.ra.records import Application, Frozen, load_application, load_frozen
from onecert.ra.states import Act, State, check_move
from onecert.ra.vault import Vault
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.languages import gettext

__all__ = ["Dispatch"]

log = logging.getLogger(__name__)

# Between attempts: 5 s, 10 s, 20 s … and never more than 10 minutes.
_FIRST_WAIT_S = 5
_LONGEST_WAIT_S = 600
BATCH = 100


class Dispatch:
    """Signs, sends and records. Safe to run in several processes: the CA and our record both count an order
    once."""

    def __init__(
        self,
        *,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        vault: Vault,
        keys: Keys,
        directory: Directory,
        client: CaClient,
        applications: Applications,
        registration_authority: str,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._vault = vault
        self._keys = keys
        self._directory = directory
        self._client = client
        self._applications = applications
        self._name = registration_authority

    def carry_out(self, application_id: str) -> Application:
        """Take an approved application as far as it goes now; "could not" leaves it for the job."""
        try:
            try:
                self._sign(application_id)
            except (ContentChangedError, InvalidApplicationError) as exc:
                self._return_unsigned(application_id, exc)
            with self._database.reading() as connection:
                application = load_application(connection, application_id)
            if application.state is State.ORDERED and application.order_id:
                self._send(application.order_id)
        except ServiceError as exc:
            if exc.is_refusal:
                raise
            log.warning("order not carried out yet", extra={"application": application_id, "code": exc.code})
        with self._database.reading() as connection:
            return load_application(connection, application_id)

    def run(self, at: datetime) -> None:
        """The job: everything approved and not yet signed, every order whose answer is unknown and due."""
        with self._database.reading() as connection:
            unsigned = list(
                connection.scalars(
                    select(applications.c.id)
                    .where(applications.c.state == State.APPROVED.value)
                    .order_by(applications.c.seq)
                    .limit(BATCH)
                )
            )
            due = list(
                connection.scalars(
                    select(orders.c.application_id)
                    .where(orders.c.state == "pending", orders.c.next_attempt_at <= at)
                    .order_by(orders.c.next_attempt_at)
                    .limit(BATCH)
                )
            )
        for application_id in [*unsigned, *due]:
            try:
                self.carry_out(application_id)
            except ServiceError as exc:
                # One bad order must not hold up the others.
                log.warning("order refused", extra={"application": application_id, "code": exc.code})

    def _sign(self, application_id: str) -> None:
        """approved -> ordered: the signed order is on record before anybody sees it."""
        with self._database.reading() as connection:
            frozen = load_frozen(connection, self._vault, application_id)
        application = frozen.application
        if application.state is not State.APPROVED or application.order_id is None:
            return
        sealed = self._signed_order(frozen)
        # Keep it. Of two processes that sign at once the second finds the state changed, and drops its
        # own.
        with self._database.transaction() as connection:
            current = load_application(connection, application_id, lock=True)
            if current.state is not State.APPROVED or current.order_id != application.order_id:
                return
            now = self._clock.now()
            connection.execute(
                insert(orders).values(
                    id=application.order_id,
                    application_id=application_id,
                    state="pending",
                    document_sealed=sealed,
                    created_at=now,
                    attempts=0,
                    next_attempt_at=now,
                )
            )
            self._move(connection, current, act=Act.ORDER, event="ordered", at=now)

    def _return_unsigned(self, application_id: str, why: ServiceError) -> None:
        """approved -> returned: it cannot be signed as it was approved, so people look at it again."""
        log.error(
            "approved application cannot be signed", extra={"application": application_id, "code": why.code}
        )
        with self._database.transaction() as connection:
            current = load_application(connection, application_id, lock=True)
            if current.state is not State.APPROVED:
                return
            reason = f"{gettext(why.text, **why.facts)} ({why.code})"[:500]
            self._move(
                connection,
                current,
                act=Act.RETURN_UNSIGNED,
                event="returned",
                at=self._clock.now(),
                changes={"reason": reason, "order_id": None, "reviewed_by": None},
                note=reason,
                details={"code": why.code},
            )

    def _signed_order(self, frozen: Frozen) -> bytes:
        """The signed order for an approved application, sealed for the database."""
        application = frozen.application
        # What is signed is what was approved: the record is compared with the approved hash once more.
        content = self._applications.recheck(frozen)
        if frozen.sha256(content) != application.content_sha256:
            raise ContentChangedError
        try:
            profile = self._directory.profile(application.authority, application.profile)
        except (CaUnreachableError, AuthorityUnknownError, ProfileMissingError):
            profile = None
        payload = issuance_payload(
            application, content, profile, registration_authority=self._name, at=self._clock.now()
        )
        document = sign_order(payload, typ=ORDER_TYP, key=self._keys.order_key())
        return self._vault.seal(f"order:{application.order_id}", document)

    def _sign_anew(self, order_id: str, application_id: str, stale: bytes) -> None:
        """Replace an order that grew too old while the CA was away: the same number, signed today.

        Safe, because the CA says "too old" only of an order that it never carried out.
        """
        with self._database.reading() as connection:
            frozen = load_frozen(connection, self._vault, application_id)
        sealed = self._signed_order(frozen)
        with self._database.transaction() as connection:
            connection.execute(
                update(orders)
                .where(orders.c.id == order_id, orders.c.document_sealed == stale)
                .values(document_sealed=sealed)
            )

    def _send(self, order_id: str) -> None:
        with self._database.reading() as connection:
            row = connection.execute(select(orders).where(orders.c.id == order_id)).one()
        if row.state != "pending":
            return
        document = self._vault.unseal(f"order:{order_id}", row.document_sealed)
        log.info("posting order", extra={"order": order_id, "attempt": row.attempts + 1})
        try:
            answer = self._client.post_order(order_id, document)
            with self._database.reading() as connection:
                application = load_application(connection, row.application_id)
            certificate = self._fitting_certificate(application, answer)
        except CaRefusedError as exc:
            if exc.ca_code == TOO_OLD:
                try:
                    self._sign_anew(order_id, row.application_id, row.document_sealed)
                except (ContentChangedError, InvalidApplicationError):
                    log.error("order cannot be signed anew", extra={"order": order_id})
                else:
                    self._record_no_answer(order_id, row.attempts, CaUnreachableError(TOO_OLD))
                    return
            self._record_refused(order_id, row.application_id, exc)
        except CaUnreachableError as exc:
            self._record_no_answer(order_id, row.attempts, exc)
            raise
        else:
            self._record_issued(order_id, row.application_id, answer, certificate)

    def _fitting_certificate(self, application: Application, answer: IssuedAnswer) -> x509.Certificate:
        """Read the certificate and make sure that it answers this order.

        Raises:
            CaAnswerError: it does not; nothing is recorded, and the alarm is in the log.
        """
        try:
            certificate = x509.load_pem_x509_certificate(answer.certificate_pem.encode("ascii"))
            issuer = x509.load_pem_x509_certificate(answer.chain_pem[0].encode("ascii"))
            certificate.verify_directly_issued_by(issuer)
            fits = (
                key_sha256(certificate.public_key()) == application.key_sha256
                and int(answer.serial_hex, 16) == certificate.serial_number
                and self._is_known_issuer(application.authority, issuer)
            )
        except (ValueError, TypeError, IndexError, UnicodeError, InvalidSignature) as exc:
            raise CaAnswerError("certificate cannot be read or verified") from exc
        if not fits:
            log.error("certificate does not fit its order", extra={"order": application.order_id})
            raise CaAnswerError("certificate does not fit the order")
        return certificate

    def _is_known_issuer(self, authority: str, issuer: x509.Certificate) -> bool:
        """Whether this is the authority that was asked; a list that has no such entry yet does not refuse."""
        known = self._directory.listing().authorities.get(authority)
        if known is None:
            return True
        expected = x509.load_pem_x509_certificate(known.certificate_pem.encode("ascii"))
        return expected.public_key() == issuer.public_key()

    def _record_issued(
        self, order_id: str, application_id: str, answer: IssuedAnswer, certificate: x509.Certificate
    ) -> None:
        with self._database.transaction() as connection:
            application = load_application(connection, application_id, lock=True)
            if application.state is not State.ORDERED:
                return  # another process was first
            now = self._clock.now()
            connection.execute(
                insert(certificates).values(
                    authority=application.authority,
                    serial_hex=f"{certificate.serial_number:x}",
                    application_id=application_id,
                    order_id=order_id,
                    kind=application.kind.value,
                    name=application.name,
                    uscc=application.uscc,
                    idcard_hmac=application.idcard_hmac,
                    idcard_masked=application.idcard_masked,
                    sha256=certificate.fingerprint(SHA256()).hex(),
                    certificate_pem=answer.certificate_pem,
                    chain_pem="".join(answer.chain_pem),
                    not_before=certificate.not_valid_before_utc,
                    not_after=certificate.not_valid_after_utc,
                    issued_at=now,
                    status="good",
                    status_since=now,
                )
            )
            self._close_order(connection, order_id, "issued", now, None)
            details = {"serial": f"{certificate.serial_number:x}"}
            self._move(
                connection, application, act=Act.RECORD_ISSUED, event="issued", at=now, details=details
            )

    def _record_refused(self, order_id: str, application_id: str, refusal: CaRefusedError) -> None:
        with self._database.transaction() as connection:
            application = load_application(connection, application_id, lock=True)
            if application.state is not State.ORDERED:
                return
            now = self._clock.now()
            reason = f"{refusal.detail} ({refusal.ca_code})"[:500]
            self._close_order(connection, order_id, "refused", now, reason)
            self._move(
                connection,
                application,
                act=Act.RECORD_REFUSED,
                event="refused_by_ca",
                at=now,
                changes={"reason": reason},
                note=reason,
                details={"code": refusal.ca_code},
            )

    def _record_no_answer(self, order_id: str, attempts: int, problem: CaUnreachableError) -> None:
        """Note the attempt and when to try again; the application stays ordered."""
        wait = min(_FIRST_WAIT_S * 2 ** min(attempts, 10), _LONGEST_WAIT_S)
        with self._database.transaction() as connection:
            connection.execute(
                update(orders)
                .where(orders.c.id == order_id, orders.c.state == "pending")
                .values(
                    attempts=orders.c.attempts + 1,
                    next_attempt_at=self._clock.now() + timedelta(seconds=wait),
                    last_error=str(problem.facts["detail"])[:200],
                )
            )

    def _close_order(
        self, connection: Connection, order_id: str, state: str, now: datetime, error: str | None
    ) -> None:
        connection.execute(
            update(orders)
            .where(orders.c.id == order_id)
            .values(state=state, answered_at=now, attempts=orders.c.attempts + 1, last_error=error)
        )

    def _move(
        self,
        connection: Connection,
        current: Application,
        *,
        act: Act,
        event: str,
        at: datetime,
        changes: Mapping[str, Any] | None = None,
        note: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """A step of the service itself, with life line and audit entry."""
        move = check_move(current.state, act)
        connection.execute(
            update(applications)
            .where(applications.c.id == current.id)
            .values(
                state=move.after.value,
                state_since=at,
                revision=current.revision + 1,
                **(changes or {}),
            )
        )
        connection.execute(
            insert(application_events).values(
                application_id=current.id,
                at=at,
                actor="service",
                event=event,
                state=move.after.value,
                note=note,
            )
        )
        self._audit.record(
            connection,
            event=f"application.{event}",
            actor="ra:" + self._name,
            subject=f"application:{current.id}",
            details={"number": current.number, "order": current.order_id, **(details or {})},
        )
