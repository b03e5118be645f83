"""What an order leaves to be done to the old certificate: exactly once, through any crash.

The act is on record as waiting before the new certificate is signed (for a replacement: before anything). Its
revocation has a number that follows from the order's, so that doing it again changes nothing; a job does what
an interruption left.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, and_, or_, select, update

from onecert.ca.errors import AlreadyRevokedError, UnknownOrderError
from onecert.ca.issuing.ledger import OrderRecord
from onecert.ca.issuing.order_notices import DeliveryNotice, RevocationOrder, open_delivery
from onecert.ca.issuing.orders import OrderDesk, content_sha256
from onecert.ca.models import certificates, orders
from onecert.ca.renewals.models import DONE, VOID, WAITING, successions
from onecert.ca.renewals.record import write_first
from onecert.ca.renewals.renewal import AT, DELIVERED, FIRST, ISSUED
from onecert.ca.revocation.revocation import Revocation
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError

__all__ = ["Delivery", "FollowUps"]

log = logging.getLogger(__name__)

_AT_ONCE = 500
_new = certificates.alias("new")
_QUERY = (
    select(successions, _new.c.state.label("new_state"), _new.c.status.label("new_status"))
    .outerjoin(
        _new,
        and_(_new.c.authority == successions.c.new_authority, _new.c.serial == successions.c.new_serial),
    )
    .where(successions.c.state == WAITING)
)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The holder has the new certificate; and what became of the old one."""

    order: str
    delivered_at: datetime
    replaced: str | None  # waiting | done | void | nothing; None: the order followed nothing

    def as_json(self) -> dict[str, object]:
        return {
            "order": self.order,
            "delivered_at": self.delivered_at.isoformat(),
            "replaced": self.replaced,
        }


class FollowUps:
    """Does what is due to certificates that were followed."""

    def __init__(
        self, database: Database, audit: AuditTrail, clock: Clock, *, desk: OrderDesk, revocation: Revocation
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._desk = desk
        self._revocation = revocation

    def revoke_first(self, order: OrderRecord) -> None:
        """Revoke what a `replace` order follows, before its new certificate is made.

        The order need not succeed after that: what is lost stays revoked.

        Raises:
            CaError: refused.
            ServiceError: 503, not now.
        """
        succession = order.succession
        if succession is None or succession.follow.when != FIRST:
            return
        with self._database.transaction() as connection:
            write_first(connection, succession, self._clock.now())
        self._settle(self._due(order.id))

    def settle_now(self, order: OrderRecord) -> None:
        """Do at once what is due now that the certificate exists; what cannot be done now, the job does."""
        if order.succession is None:
            return
        try:
            self._settle(self._due(order.id))
        except (ServiceError, OSError):
            log.exception("old certificate not revoked yet", extra={"order": order.id})

    def run(self) -> int:
        """Do everything that is due; for the job. Tell how much was settled."""
        rows = self._due()
        for row in rows:
            self._settle([row])
        return len(rows)

    def deliver(self, document: bytes) -> Delivery:
        """Take the word of a registration authority that the holder has the certificate of an order.

        The first word counts; said again, it changes nothing.

        Raises:
            CaError
        """
        return self.deliver_as(open_delivery(self._desk, document))

    def deliver_as(self, told: DeliveryNotice) -> Delivery:
        """Take a delivery notice that was checked, or that a person at this machine gives.

        Raises:
            UnknownOrderError
        """
        with self._database.transaction() as connection:
            query = select(orders.c.ordered_by).where(orders.c.id == told.order)
            ordered_by = connection.scalar(query)
            # Who did not order it learns nothing of it.
            if ordered_by != told.told_by:
                raise UnknownOrderError(told.order)
            first = connection.execute(
                update(successions)
                .where(successions.c.order_id == told.order, successions.c.delivered_at.is_(None))
                .values(delivered_at=self._clock.now())
            )
            if first.rowcount:
                self._audit.record(
                    connection,
                    event="certificate.delivered",
                    actor=told.told_by,
                    subject=f"order/{told.order}",
                    details={"delivered_by": list(told.people)},
                )
        try:
            self._settle(self._due(told.order))
        except (ServiceError, OSError):
            log.exception("old certificate not revoked yet", extra={"order": told.order})
        with self._database.reading() as connection:
            query = select(successions).where(successions.c.order_id == told.order)
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return Delivery(order=told.order, delivered_at=told.created_at, replaced=None)
        return Delivery(order=told.order, delivered_at=row["delivered_at"], replaced=row["state"])

    def _due(self, order_id: str | None = None) -> list[RowMapping]:
        table = successions.c
        is_made = _new.c.state == "issued"
        is_time = or_(
            table.revoke_when == ISSUED,
            and_(table.revoke_when == DELIVERED, table.delivered_at.is_not(None)),
            and_(table.revoke_when == AT, table.revoke_at <= self._clock.now()),
        )
        is_void = or_(_new.c.state == "abandoned", _new.c.status == "revoked")
        query = _QUERY.where(
            or_(table.revoke_when == FIRST, and_(is_made, _new.c.status == "good", is_time), is_void)
        )
        if order_id is not None:
            query = query.where(table.order_id == order_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(table.recorded_at).limit(_AT_ONCE)).mappings()
            return list(rows)

    def _settle(self, rows: list[RowMapping]) -> None:
        for row in rows:
            is_void = row["revoke_when"] != FIRST and (
                row["new_state"] == "abandoned" or row["new_status"] == "revoked"
            )
            if is_void:
                # Nothing stands in its place: whether the old one must go is for people to decide.
                self._close(row, VOID)
                continue
            try:
                self._revocation.revoke(_revocation_of(row, self._clock.now()))
            except AlreadyRevokedError:
                log.info("old certificate was revoked before", extra={"order": row["order_id"]})
            self._close(row, DONE)

    def _close(self, row: RowMapping, state: str) -> None:
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(successions)
                .where(successions.c.order_id == row["order_id"], successions.c.state == WAITING)
                .values(state=state, settled_at=self._clock.now())
            )
            if changed.rowcount and state == VOID:
                self._audit.record(
                    connection,
                    event="succession.void",
                    actor="job:ca.follow-ups",
                    subject=f"{row['authority']}/{row['serial']}",
                    details={"order": row["order_id"]},
                )


def _revocation_of(row: RowMapping, at: datetime) -> RevocationOrder:
    payload: dict[str, Any] = {
        "follows_order": row["order_id"],
        "authority": row["authority"],
        "serial": row["serial"],
        "reason": row["reason"],
    }
    return RevocationOrder(
        id=f"follow-up.{hashlib.sha256(row['order_id'].encode()).hexdigest()[:40]}",
        requested_by=row["ordered_by"],
        created_at=at,
        authority=row["authority"],
        serial=row["serial"],
        reason=row["reason"],
        invalidity_date=None,
        people=tuple(json.loads(row["approved_by"])),
        content_sha256=content_sha256(payload),
        document=json.dumps(payload).encode(),
    )
