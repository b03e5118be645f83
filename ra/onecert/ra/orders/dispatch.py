"""Carries approved applications to the CA: sign the order, keep it, post it, record the answer.

Each step is durable before the next one begins, so a crash anywhere is continued by the job:

    approved   the order number is on record                      -> sign and keep the order, or return it
    ordered    the signed order is on record, answer unknown      -> post the same bytes again
    issued | refused_by_ca   the answer is on record

The last step, what the CA answered, is in `answers.py`. Orders of a batch at work go to the CA
together and are left alone here, see `together.py`.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from onecert.ra.applications.records import Application, Frozen, load_application, load_frozen
from onecert.ra.applications.steps import ServiceSteps
from onecert.ra.ca.client import TOO_OLD, CaClient
from onecert.ra.ca.errors import CaRefusedError, CaUnreachableError
from onecert.ra.ca.questions import DELIVERY_TYP, delivery_payload
from onecert.ra.errors import ContentChangedError, InvalidApplicationError
from onecert.ra.life.machine import Act, Business, State
from onecert.ra.models import applications, orders
from onecert.ra.orders.answers import Answers
from onecert.ra.orders.documents import ORDER_TYP, sign_order
from onecert.ra.orders.signing import Signing
from onecert.ra.orders.together import goes_alone
from onecert.ra.vault.keys import Keys
from onecert.ra.vault.sealed import Vault
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError

__all__ = ["Dispatch"]

log = logging.getLogger(__name__)

BATCH = 100
DELIVERY_WAIT = timedelta(minutes=1)


class Dispatch:
    """Signs, sends and records. Safe to run in several processes: the CA and our record both count an order
    once."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        vault: Vault,
        keys: Keys,
        client: CaClient,
        signing: Signing,
        steps: ServiceSteps[Application],
        answers: Answers,
        learn: Callable[[str, str], object],
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._keys = keys
        self._client = client
        self._signing = signing
        self._learn = learn
        self._steps = steps
        self._answers = answers

    def carry_out(self, application_id: str) -> Application:
        """Take an approved application as far as it goes now; "could not" leaves it for the job."""
        try:
            try:
                self._sign(application_id)
            except (ContentChangedError, InvalidApplicationError) as exc:
                self._signing.return_unsigned(application_id, exc)
            with self._database.reading() as connection:
                application = load_application(connection, application_id)
            if application.state is State.ORDERED and application.order_id:
                self._send(application.order_id)
        except ServiceError as exc:
            if exc.is_refusal:
                raise
            log.warning("order not carried out yet", extra={"application": application_id, "code": exc.code})
        with self._database.reading() as connection:
            done = load_application(connection, application_id)
        if done.state is State.ISSUED and done.business is Business.REPLACE:
            self._learn_followed(done)
        return done

    def tell_delivery(self, order_id: str | None) -> None:
        """Tell the CA that the holder has it, and learn what became of the certificate that it follows.

        Without an answer the job tells it again.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                select(orders).where(orders.c.id == order_id, orders.c.delivery == "pending")
            ).one_or_none()
            if row is None:
                return
            application = load_application(connection, row.application_id)
        now = self._clock.now()
        payload = delivery_payload(
            registration_authority=self._signing.name, delivered_by=[row.delivered_by], at=now, order=row.id
        )
        try:
            document = sign_order(payload, typ=DELIVERY_TYP, key=self._keys.order_key())
            self._client.post_delivery(row.id, document)
        except CaRefusedError as exc:
            log.error("delivery refused", extra={"order": row.id, "code": exc.ca_code})
            changes: dict[str, Any] = {
                "delivery": "refused",
                "last_error": f"{exc.detail} ({exc.ca_code})"[:200],
            }
        except ServiceError as exc:
            log.warning("delivery not told yet", extra={"order": row.id, "code": exc.code})
            changes = {"next_attempt_at": now + DELIVERY_WAIT, "last_error": exc.code}
        else:
            changes = {"delivery": "done", "last_error": None}
        with self._database.transaction() as connection:
            connection.execute(
                update(orders).where(orders.c.id == row.id, orders.c.delivery == "pending").values(**changes)
            )
        if changes.get("delivery") == "done":
            self._learn_followed(application)

    def _learn_followed(self, application: Application) -> None:
        """The CA has revoked what this follows; pages that show it ask again anyway."""
        if application.follows_authority is None or application.follows_serial is None:
            return
        try:
            self._learn(application.follows_authority, application.follows_serial)
        except ServiceError as exc:
            log.warning("status not learned yet", extra={"application": application.id, "code": exc.code})

    def run(self, at: datetime) -> None:
        """The job: everything approved and not yet signed, every order whose answer is unknown and due."""
        with self._database.reading() as connection:
            unsigned = list(
                connection.scalars(
                    select(applications.c.id)
                    .where(applications.c.state == State.APPROVED.value, goes_alone())
                    .order_by(applications.c.seq)
                    .limit(BATCH)
                )
            )
            due = list(
                connection.scalars(
                    select(orders.c.application_id)
                    .where(
                        orders.c.state == "pending",
                        orders.c.next_attempt_at <= at,
                        orders.c.order_batch.is_(None),
                    )
                    .order_by(orders.c.next_attempt_at)
                    .limit(BATCH)
                )
            )
            undelivered = list(
                connection.scalars(
                    select(orders.c.id)
                    .where(orders.c.delivery == "pending", orders.c.next_attempt_at <= at)
                    .order_by(orders.c.next_attempt_at)
                    .limit(BATCH)
                )
            )
        for order_id in undelivered:
            self.tell_delivery(order_id)
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
            alone = connection.scalar(
                select(applications.c.id).where(applications.c.id == application_id, goes_alone())
            )
        application = frozen.application
        if alone is None or application.state is not State.APPROVED or application.order_id is None:
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
            self._steps.move(connection, current, act=Act.ORDER, event="ordered", at=now)

    def _signed_order(self, frozen: Frozen) -> bytes:
        """The signed order for an approved application, sealed for the database."""
        payload = self._signing.payload(frozen)
        document = sign_order(payload, typ=ORDER_TYP, key=self._keys.order_key())
        return self._vault.seal(f"order:{frozen.application.order_id}", document)

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
        if row.state != "pending" or row.order_batch is not None:
            return
        document = self._vault.unseal(f"order:{order_id}", row.document_sealed)
        log.info("posting order", extra={"order": order_id, "attempt": row.attempts + 1})
        try:
            answer = self._client.post_order(order_id, document)
            with self._database.reading() as connection:
                application = load_application(connection, row.application_id)
            certificate = self._answers.fitting_certificate(application, answer)
        except CaRefusedError as exc:
            if exc.ca_code == TOO_OLD:
                try:
                    self._sign_anew(order_id, row.application_id, row.document_sealed)
                except (ContentChangedError, InvalidApplicationError):
                    log.error("order cannot be signed anew", extra={"order": order_id})
                else:
                    self._answers.record_no_answer(order_id, row.attempts, CaUnreachableError(TOO_OLD))
                    return
            self._answers.record_refused(order_id, row.application_id, exc)
        except CaUnreachableError as exc:
            self._answers.record_no_answer(order_id, row.attempts, exc)
            raise
        else:
            self._answers.record_issued(order_id, row.application_id, answer, certificate)
