"""What registration authorities say about certificates that exist: revoke this one, the holder has that one.

Signed documents of types `onecert-revocation+json` and `onecert-delivery+json`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from onecert.ca.errors import OrderOutOfScopeError
from onecert.ca.issuing.orders import ID, NAME, Fields, OrderDesk, content_sha256

__all__ = [
    "DELIVERY_TYPE",
    "REVOCATION_TYPE",
    "DeliveryNotice",
    "RevocationOrder",
    "open_delivery",
    "open_revocation",
]

DELIVERY_TYPE = "onecert-delivery+json"
REVOCATION_TYPE = "onecert-revocation+json"
_SERIAL = re.compile(r"[0-9A-Fa-f]{1,40}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class RevocationOrder:
    """A signed revocation order whose signature, signer, scope and form are checked."""

    id: str
    requested_by: str
    created_at: datetime
    authority: str
    serial: str
    reason: str
    invalidity_date: datetime | None
    people: tuple[str, ...]
    content_sha256: str
    document: bytes


def open_revocation(desk: OrderDesk, document: bytes) -> RevocationOrder:
    """Check a revocation order up to its scope.

    Raises:
        OrderMalformedError, OrderSignatureError, OrderSignerError, OrderOutOfScopeError
    """
    payload, signer = desk.open(document, REVOCATION_TYPE)
    fields = Fields(payload)
    order = RevocationOrder(
        id=fields.text("revocation", ID),
        requested_by=f"ra:{signer.name}",
        created_at=fields.moment("created_at"),
        authority=fields.text("authority", NAME),
        serial=fields.text("serial", _SERIAL).lower().lstrip("0"),
        reason=fields.text("reason", NAME),
        invalidity_date=fields.optional_moment("invalidity_date"),
        people=fields.people("requested_by"),
        content_sha256=content_sha256(payload),
        document=document,
    )
    fields.end()
    if not signer.may_revoke(order.authority):
        raise OrderOutOfScopeError(signer.name, order.authority, "*")
    return order


@dataclass(frozen=True, kw_only=True)
class DeliveryNotice:
    """The signed word that the holder has a certificate; signature, signer and form are checked."""

    order: str
    told_by: str
    created_at: datetime
    people: tuple[str, ...]


def open_delivery(desk: OrderDesk, document: bytes) -> DeliveryNotice:
    """Check a delivery notice.

    Raises:
        OrderMalformedError, OrderSignatureError, OrderSignerError
    """
    payload, signer = desk.open(document, DELIVERY_TYPE)
    fields = Fields(payload)
    notice = DeliveryNotice(
        order=fields.text("order", ID),
        told_by=f"ra:{signer.name}",
        created_at=fields.moment("created_at"),
        people=fields.people("delivered_by"),
    )
    fields.end()
    return notice
