"""Issuance orders: from signed bytes to a checked request, in the order of what is cheapest to refuse.

An order is a signed document of type `onecert-order+json`. Its signer must be a registered registration
authority, named in it, whose scope has this authority and profile. It is frozen to one version of the
profile.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from onecert.ca.errors import (
    OrderMalformedError,
    OrderOutOfScopeError,
    OrderSignerError,
    OrderTimeError,
    TwoPeopleError,
)
from onecert.ca.errors.renewals import EarlyRenewalError
from onecert.ca.issuing.ledger import OrderRecord
from onecert.ca.issuing.registration_authorities import (
    EARLY,
    RegistrationAuthorities,
    RegistrationAuthority,
    Scope,
)
from onecert.ca.issuing.signed_documents import opened_document
from onecert.ca.renewals.record import Succession
from onecert.ca.renewals.renewal import read_follow
from onecert.verifier.signatures import PublicKey

__all__ = [
    "ID",
    "NAME",
    "ORDER_TYPE",
    "Fields",
    "Order",
    "OrderDesk",
    "check_age",
    "content_sha256",
    "read_order",
]

ORDER_TYPE = "onecert-order+json"
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9._:@-]{1,64}", re.ASCII)
_spell = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
MAX_FUTURE = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order whose signature, signer, scope and form are checked; its content is not yet."""

    id: str
    registration_authority: str
    created_at: datetime
    authority: str
    profile: str
    profile_version: int
    profile_sha256: str | None  # of that version, when the order names it
    subject: Mapping[str, str]
    identity: Mapping[str, str]
    csr_pem: str
    not_after: datetime | None  # an end before the profile's, when the order asks for one
    record: OrderRecord


class OrderDesk:
    """Opens what registration authorities send."""

    def __init__(self, registration_authorities: RegistrationAuthorities, *, max_age: timedelta) -> None:
        self._registration_authorities = registration_authorities
        self.max_age = max_age

    def open(self, document: bytes, typ: str) -> tuple[dict[str, Any], RegistrationAuthority]:
        """Check the signature of a document; return what it says and who signed it.

        Raises:
            OrderMalformedError: not a document at all.
            OrderSignatureError: no registered key signed it, or it was altered.
            OrderSignerError: it names somebody else than its signer.
        """
        payload, signer = opened_document(document, typ, self._find)
        if payload.get("registration_authority") != signer.name:
            raise OrderSignerError(str(payload.get("registration_authority"))[:64])
        return payload, signer

    def _find(self, kid: str) -> tuple[RegistrationAuthority, PublicKey] | None:
        found = self._registration_authorities.find_by_key(kid)
        return None if found is None else (found, found.public_key)

    def open_order(self, document: bytes) -> Order:
        """Check an issuance order up to its scope.

        Raises:
            OrderMalformedError, OrderSignatureError, OrderSignerError, OrderOutOfScopeError, TwoPeopleError
        """
        payload, signer = self.open(document, ORDER_TYPE)
        return read_order(payload, signer, document)

    def check_age(self, created_at: datetime, at: datetime) -> None:
        """Refuse a document that is too old to be new, or from the future.

        Raises:
            OrderTimeError
        """
        check_age(created_at, at, self.max_age)


def check_age(created_at: datetime, at: datetime, max_age: timedelta) -> None:
    """Refuse what is older than `max_age` at this moment, or from the future.

    Raises:
        OrderTimeError
    """
    if not at - max_age <= created_at <= at + MAX_FUTURE:
        raise OrderTimeError(created_at.isoformat())


def read_order(payload: Mapping[str, Any], signer: Scope, document: bytes) -> Order:
    """Check what an order says up to its scope; its signature, or that of its batch, is checked already.

    Args:
        document: what is kept as evidence.

    Raises:
        OrderMalformedError, OrderOutOfScopeError, EarlyRenewalError, TwoPeopleError
    """
    fields = Fields(payload)
    follow = read_follow(payload)
    fields.skip("kind", "replaces", "revoke_replaced", "early")
    order_id, ordered_by = fields.text("order", ID), f"ra:{signer.name}"
    people = fields.people("approved_by")
    order = Order(
        id=order_id,
        registration_authority=signer.name,
        created_at=fields.moment("created_at"),
        authority=fields.text("authority", NAME),
        profile=fields.text("profile", NAME),
        profile_version=fields.number("profile_version"),
        profile_sha256=fields.optional_text("profile_sha256", _HASH),
        subject=fields.texts("subject"),
        identity=fields.texts("identity"),
        csr_pem=fields.text("csr_pem"),
        not_after=fields.optional_moment("not_after"),
        record=OrderRecord(
            id=order_id,
            content_sha256=content_sha256(payload),
            ordered_by=ordered_by,
            document=document,
            approved_by=people,
            application_sha256=fields.text("application_sha256", _HASH),
            succession=Succession(follow=follow, order_id=order_id, ordered_by=ordered_by, approved_by=people)
            if follow is not None
            else None,
        ),
    )
    fields.end()
    if follow is not None and not signer.may_order(follow.authority, order.profile):
        raise OrderOutOfScopeError(signer.name, follow.authority, order.profile)
    if not signer.may_order(order.authority, order.profile):
        raise OrderOutOfScopeError(signer.name, order.authority, order.profile)
    if follow is not None and follow.early and not signer.may_renew_early(follow.authority, order.profile):
        raise EarlyRenewalError(signer.name, f"{follow.authority}:{order.profile}{EARLY}")
    if len(set(order.record.approved_by)) < 2:
        raise TwoPeopleError
    return order


def content_sha256(payload: Mapping[str, Any]) -> str:
    """Hash what a document says, whatever its signature: signing the same content again changes nothing."""
    return hashlib.sha256(_spell(payload).encode()).hexdigest()


class Fields:
    """Takes the fields of a document one by one, each of its form; what is left over is refused."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._payload = payload
        self._taken = {"registration_authority"}

    def take(self, name: str, kind: type) -> Any:
        self._taken.add(name)
        value = self._payload.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise OrderMalformedError(name)
        return value

    def text(self, name: str, pattern: re.Pattern[str] | None = None) -> str:
        value: str = self.take(name, str)
        if pattern is not None and not pattern.fullmatch(value):
            raise OrderMalformedError(name)
        return value

    def optional_text(self, name: str, pattern: re.Pattern[str]) -> str | None:
        if self._payload.get(name) is None:
            self._taken.add(name)
            return None
        return self.text(name, pattern)

    def number(self, name: str) -> int:
        value: int = self.take(name, int)
        return value

    def moment(self, name: str) -> datetime:
        try:
            value = datetime.fromisoformat(self.text(name))
        except ValueError as exc:
            raise OrderMalformedError(name) from exc
        if value.tzinfo is None:
            raise OrderMalformedError(name)
        return value

    def optional_moment(self, name: str) -> datetime | None:
        if self._payload.get(name) is None:
            self._taken.add(name)
            return None
        return self.moment(name)

    def texts(self, name: str) -> dict[str, str]:
        value: dict[str, str] = self.take(name, dict)
        if not all(isinstance(text, str) for text in value.values()):
            raise OrderMalformedError(name)
        return value

    def skip(self, *names: str) -> None:
        """Pass over fields that are read elsewhere."""
        self._taken.update(names)

    def people(self, name: str) -> tuple[str, ...]:
        value = self.take(name, list)
        if not value or not all(isinstance(person, str) and NAME.fullmatch(person) for person in value):
            raise OrderMalformedError(name)
        return tuple(value)

    def end(self) -> None:
        for name in self._payload:
            if name not in self._taken:
                raise OrderMalformedError(name[:64])
