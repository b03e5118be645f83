"""What the CA answered to an order, put on record: issued, refused, or no answer yet.

An answer is believed only if the certificate fits the order: same key, issued by the authority asked.
"""

import logging
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from sqlalchemy import Connection, insert, update

from onecert.ra.applications.duplicates import pass_claim
from onecert.ra.applications.records import Application, load_application
from onecert.ra.applications.steps import ServiceSteps
from onecert.ra.ca.authorities import Directory
from onecert.ra.ca.client import IssuedAnswer
from onecert.ra.ca.errors import CaAnswerError, CaRefusedError, CaUnreachableError
from onecert.ra.content.csr import key_sha256
from onecert.ra.keys.origins import token_of
from onecert.ra.life.machine import Act, State
from onecert.ra.models import certificates, orders
from onecert.server.clock import Clock
from onecert.server.database import Database

__all__ = ["Answers", "pause"]

log = logging.getLogger(__name__)

# Between attempts: 5 s, 10 s, 20 s … and never more than 10 minutes.
_FIRST_WAIT_S = 5
_LONGEST_WAIT_S = 600


def pause(attempts: int) -> timedelta:
    """How long to wait after so many attempts without an answer."""
    return timedelta(seconds=min(_FIRST_WAIT_S * 2 ** min(attempts, 10), _LONGEST_WAIT_S))


class Answers:
    """Records each answer once: of two processes that bring one, the second finds the state changed."""

    def __init__(
        self, *, database: Database, clock: Clock, directory: Directory, steps: ServiceSteps[Application]
    ) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory
        self._steps = steps

    def fitting_certificate(self, application: Application, answer: IssuedAnswer) -> x509.Certificate:
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

    def record_issued(
        self, order_id: str, application_id: str, answer: IssuedAnswer, certificate: x509.Certificate
    ) -> None:
        """ordered -> issued: the certificate is on record, the order closed."""
        with self._database.transaction() as connection:
            self.write_issued(connection, order_id, application_id, answer, certificate)

    def record_refused(self, order_id: str, application_id: str, refusal: CaRefusedError) -> None:
        """ordered -> refused_by_ca, with the authority's reason."""
        with self._database.transaction() as connection:
            self.write_refused(connection, order_id, application_id, refusal)

    def write_issued(
        self,
        connection: Connection,
        order_id: str,
        application_id: str,
        answer: IssuedAnswer,
        certificate: x509.Certificate,
    ) -> None:
        """As `record_issued`, in a transaction of several answers."""
        application = load_application(connection, application_id, lock=True)
        if application.state is not State.ORDERED:
            return  # another process was first
        now, serial_hex = self._clock.now(), f"{certificate.serial_number:x}"
        connection.execute(
            insert(certificates).values(
                authority=application.authority,
                serial_hex=serial_hex,
                application_id=application_id,
                order_id=order_id,
                kind=application.kind.value,
                name=application.name,
                uscc=application.uscc,
                idcard_hmac=application.idcard_hmac,
                idcard_masked=application.idcard_masked,
                sha256=certificate.fingerprint(SHA256()).hex(),
                sha1=certificate.fingerprint(SHA1()).hex(),  # noqa: S303 - a name that people search by
                certificate_pem=answer.certificate_pem,
                chain_pem="".join(answer.chain_pem),
                not_before=certificate.not_valid_before_utc,
                not_after=certificate.not_valid_after_utc,
                issued_at=now,
                status="good",
                status_since=now,
                point=application.point,
                token_number=token_of(connection, application_id, application.key_sha256),
            )
        )
        pass_claim(connection, application)
        self._close_order(connection, order_id, "issued", now, None)
        self._steps.move(
            connection,
            application,
            act=Act.RECORD_ISSUED,
            event="issued",
            at=now,
            details={"serial": serial_hex},
        )

    def write_refused(
        self, connection: Connection, order_id: str, application_id: str, refusal: CaRefusedError
    ) -> None:
        """As `record_refused`, in a transaction of several answers."""
        application = load_application(connection, application_id, lock=True)
        if application.state is not State.ORDERED:
            return
        now = self._clock.now()
        reason = f"{refusal.detail} ({refusal.ca_code})"[:500]
        self._close_order(connection, order_id, "refused", now, reason)
        self._steps.move(
            connection,
            application,
            act=Act.RECORD_REFUSED,
            event="refused_by_ca",
            at=now,
            changes={"reason": reason},
            note=reason,
            details={"code": refusal.ca_code},
        )

    def record_no_answer(self, order_id: str, attempts: int, problem: CaUnreachableError) -> None:
        """Note the attempt and when to try again; the application stays ordered."""
        with self._database.transaction() as connection:
            connection.execute(
                update(orders)
                .where(orders.c.id == order_id, orders.c.state == "pending")
                .values(
                    attempts=orders.c.attempts + 1,
                    next_attempt_at=self._clock.now() + pause(attempts),
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
