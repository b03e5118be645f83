"""What the registration authority asks and orders beyond new certificates: renewals, searches, deliveries.

Payloads only; `orders.sign_order` signs them and `CaClient` posts them. The kinds of orders that follow a
certificate are the CA's own: `renew`, `rekey`, `change`, `replace`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from onecert.ra.orders.documents import timestamp

__all__ = [
    "DELIVERY_TYP",
    "HISTORY_TYP",
    "SEARCH_TYP",
    "delivery_payload",
    "following",
    "history_payload",
    "search_payload",
]

DELIVERY_TYP = "onecert-delivery+json"
HISTORY_TYP = "onecert-history+json"
SEARCH_TYP = "onecert-search+json"


def following(
    payload: Mapping[str, Any],
    *,
    kind: str,
    authority: str,
    serial_hex: str,
    reason: str | None = None,
    when: str | datetime | None = None,
    early: str | None = None,
) -> dict[str, Any]:
    """Make an issuance order one that follows a certificate.

    Args:
        payload: as `issuance_payload` makes it.
        kind: `renew`, `rekey`, `change` or `replace`.
        authority, serial_hex: the certificate that is followed.
        reason: why that one is revoked; None: it is not (`renew` and `rekey` only).
        when: `issued`, `delivered` or a moment; None with `replace`, which revokes first.
        early: why it is renewed before the profile's window; for whom the CA permits it (`renew` only).
    """
    order = dict(payload) | {"kind": kind, "replaces": {"authority": authority, "serial": serial_hex}}
    if reason is not None:
        at = timestamp(when) if isinstance(when, datetime) else when
        order["revoke_replaced"] = {"reason": reason} | ({} if at is None else {"when": at})
    if early is not None:
        order["early"] = early
    return order


def search_payload(
    where: Mapping[str, str],
    *,
    registration_authority: str,
    asked_by: Sequence[str],
    at: datetime,
    limit: int = 100,
    after: str | None = None,
) -> dict[str, Any]:
    """A search; the fields are those of the CA's `GET /v1/certificates`."""
    question = _question(registration_authority, asked_by, at)
    return question | {"where": dict(where), "limit": limit, "after": after}


def history_payload(
    *, registration_authority: str, asked_by: Sequence[str], at: datetime, authority: str, serial_hex: str
) -> dict[str, Any]:
    """The question for the life line of one certificate."""
    question = _question(registration_authority, asked_by, at)
    return question | {"authority": authority, "serial": serial_hex}


def delivery_payload(
    *, registration_authority: str, delivered_by: Sequence[str], at: datetime, order: str
) -> dict[str, Any]:
    """The word that the holder has the certificate of an order."""
    return {
        "order": order,
        "registration_authority": registration_authority,
        "created_at": timestamp(at),
        "delivered_by": list(delivered_by),
    }


def _question(registration_authority: str, asked_by: Sequence[str], at: datetime) -> dict[str, Any]:
    return {
        "registration_authority": registration_authority,
        "created_at": timestamp(at),
        "asked_by": list(asked_by),
    }
