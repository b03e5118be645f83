"""Everything that a certificate will say, checked against its profile: request, key, subject, numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from onecert.ca.certificates.csr import CheckedKey, check_request, load_request
from onecert.ca.certificates.draft import CheckedRequest
from onecert.ca.certificates.identity import checked_identity, entity_of
from onecert.ca.certificates.key_rules import known_keys
from onecert.ca.certificates.names import checked_subject
from onecert.ca.errors import BlockedKeyError
from onecert.ca.profiles.profile import Profile

if TYPE_CHECKING:
    from onecert.ca.issuing.orders import Order

__all__ = ["checked_request", "checked_request_of", "ordered_request"]


def ordered_request(order: Order, profile: Profile, *, at: datetime, test_identities: bool) -> CheckedRequest:
    """Check everything that an order says."""
    return checked_request(
        profile,
        csr_pem=order.csr_pem,
        subject=order.subject,
        identity=order.identity,
        not_after=order.not_after,
        at=at,
        test_identities=test_identities,
    )


def checked_request(
    profile: Profile,
    *,
    csr_pem: str,
    subject: Mapping[str, str],
    identity: Mapping[str, str],
    at: datetime,
    test_identities: bool = False,
    dns_names: tuple[str, ...] = (),
    addresses: tuple[str, ...] = (),
    not_after: datetime | None = None,
) -> CheckedRequest:
    """Check request, key, subject and identification numbers against a profile."""
    return checked_request_of(
        profile,
        key=check_request(load_request(csr_pem), profile.key_kinds),
        subject=subject,
        identity=identity,
        at=at,
        test_identities=test_identities,
        dns_names=dns_names,
        addresses=addresses,
        not_after=not_after,
    )


def checked_request_of(
    profile: Profile,
    *,
    key: CheckedKey,
    subject: Mapping[str, str],
    identity: Mapping[str, str],
    at: datetime,
    test_identities: bool = False,
    dns_names: tuple[str, ...] = (),
    addresses: tuple[str, ...] = (),
    not_after: datetime | None = None,
) -> CheckedRequest:
    """Check the rest, for a key that is checked already."""
    if key.sha256 in known_keys():
        raise BlockedKeyError
    names = checked_subject(subject, profile.subject)
    numbers = checked_identity(
        identity,
        required=profile.identity_required,
        optional=profile.identity_optional,
        at=at.date(),
        test_identities=test_identities,
    )
    return CheckedRequest(
        profile=profile,
        key=key,
        subject=names,
        entity=entity_of(profile.holder, numbers, names.get("common_name", ""), profile.name),
        identity=numbers,
        dns_names=dns_names,
        addresses=addresses,
        not_after=not_after,
    )
