"""How an order stands, for pages: attempts, last trouble, next attempt."""

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Connection, select, update

from onecert.ra.models import order_batches, orders

__all__ = ["OrderState", "find_order", "note_delivery"]


@dataclass(frozen=True, kw_only=True)
class OrderState:
    """An order without its document."""

    id: str
    state: str
    created_at: datetime
    attempts: int
    next_attempt_at: datetime
    last_error: str | None
    answered_at: datetime | None
    delivery: str | None


def find_order(connection: Connection, order_id: str | None) -> OrderState | None:
    """The order with this number, once it is signed."""
    if order_id is None:
        return None
    columns = [orders.c[field.name] for field in fields(OrderState)]
    row = connection.execute(
        select(orders.c.order_batch, *columns).where(orders.c.id == order_id)
    ).one_or_none()
    if row is None:
        return None
    values = row._asdict()
    number = values.pop("order_batch")
    if number is not None and values["state"] == "pending":
        # What goes with a batch is tried with the batch.
        tries = select(*(order_batches.c[name] for name in ("attempts", "next_attempt_at", "last_error")))
        values |= connection.execute(tries.where(order_batches.c.id == number)).one()._asdict()
    return OrderState(**values)


def note_delivery(connection: Connection, order_id: str | None, *, by: str, at: datetime) -> None:
    """The CA is to be told that the holder has it; see `Dispatch.tell_delivery`."""
    connection.execute(
        update(orders)
        .where(orders.c.id == order_id)
        .values(delivery="pending", delivered_by=by, next_attempt_at=at)
    )
