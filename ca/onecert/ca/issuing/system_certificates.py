"""Certificates for the system itself (operators, TLS servers, attribute authorities): by command, two people.

Only the operations authority issues them, and only in these profiles. Holders' certificates are never issued
this way.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cryptography import x509

from onecert.ca.certificates.checked_request import checked_request
from onecert.ca.certificates.draft import CheckedRequest, Draft
from onecert.ca.certificates.lint import check_certificate
from onecert.ca.errors import (
    FieldAlphabetError,
    FieldMissingError,
    FieldNotAllowedError,
    NotOfferedError,
    TwoPeopleError,
)
from onecert.ca.issuing.ledger import CertificateRecord, OrderRecord
from onecert.ca.issuing.order_notices import DeliveryNotice
from onecert.ca.parts import Parts
from onecert.ca.renewals.follow_up import Delivery
from onecert.ca.renewals.record import Renewals, Succession
from onecert.ca.renewals.renewal import read_follow
from onecert.ca.signatures.algorithms import ThrowAwayKeys

__all__ = ["PROFILES", "SystemCertificates"]

PROFILES = ("operator", "tls-server", "tls-client", "attribute-authority", "ocsp")
# RFC 1034, section 3.5, with RFC 6125's single wildcard left out.
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


class SystemCertificates:
    """Issues from one authority in a few profiles."""

    def __init__(self, parts: Parts, *, actor: str) -> None:
        self._parts = parts
        self._actor = actor

    def check(
        self,
        *,
        authority: str,
        profile: str,
        csr_pem: str,
        subject: Mapping[str, str],
        names: tuple[str, ...],
        approved_by: tuple[str, ...],
        may_give: tuple[str, ...] = (),
    ) -> CheckedRequest:
        """Check everything; the answer of a dry run.

        Args:
            may_give: dotted identifiers of the attributes that an attribute authority may give (aaControls).

        Raises:
            NotOfferedError, TwoPeopleError, and what `checked_request` raises.
        """
        if authority != self._parts.config.system_authority or profile not in PROFILES:
            raise NotOfferedError(authority, profile)
        if len({person.strip() for person in approved_by if person.strip()}) < 2:
            raise TwoPeopleError
        found = self._parts.authorities.get(authority).profile(profile)
        if found.alternative_names and not names:
            raise FieldMissingError("dns")
        if may_give and not found.attribute_controls:
            raise FieldNotAllowedError("may_give")
        hosts, addresses = _sorted_names(names)
        request = checked_request(
            found,
            csr_pem=csr_pem,
            subject=subject,
            identity={},
            at=self._parts.clock.now(),
            dns_names=hosts,
            addresses=addresses,
        )
        return replace(request, may_give=_identifiers(may_give))

    def draft(self, authority: str, request: CheckedRequest) -> Draft:
        """Draft and lint, for the dry run."""
        maker = self._parts.authorities.get(authority).maker(request.profile)
        draft = self._parts.certifier.draft(maker, request, self._parts.clock.now())
        check_certificate(ThrowAwayKeys().sign(maker.issuer.algorithm, draft.tbs_der), draft)
        return draft

    def order(
        self,
        authority: str,
        request: CheckedRequest,
        *,
        csr_pem: str,
        approved_by: tuple[str, ...],
        follows: Mapping[str, Any] | None = None,
    ) -> OrderRecord:
        """Write the order of a command; the same request approved by the same people is the same order.

        Args:
            follows: `kind`, `replaces` and `revoke_replaced` as in an order (docs/ca-api.md).

        Raises:
            OrderMalformedError: what it follows, or when that is revoked, is not of the form.
        """
        payload: dict[str, Any] = {
            "authority": authority,
            "profile": request.profile.name,
            "subject": dict(request.subject),
            "names": [*request.dns_names, *request.addresses],
            "csr_pem": csr_pem,
            "approved_by": sorted(approved_by),
            **({"may_give": list(request.may_give)} if request.may_give else {}),
            **(follows or {}),
        }
        follow = read_follow(payload)
        document = json.dumps(payload, ensure_ascii=False, sort_keys=True).encode()
        sha256 = hashlib.sha256(document).hexdigest()
        order = OrderRecord(
            id=f"command.{sha256[:32]}",
            content_sha256=sha256,
            ordered_by=self._actor,
            document=document,
            approved_by=tuple(sorted(approved_by)),
        )
        if follow is None:
            return order
        succession = Succession(
            follow=follow, order_id=order.id, ordered_by=self._actor, approved_by=order.approved_by
        )
        return replace(order, succession=succession)

    def check_follows(self, request: CheckedRequest, order: OrderRecord) -> CheckedRequest:
        """Check an order against the certificate that it follows; give the request the end of its kind.

        Raises:
            CaError: see `Renewals.check`.
        """
        if order.succession is None or self._parts.ledger.find_order(order.id, order.content_sha256):
            return request
        renewals = Renewals(self._parts.database)
        return renewals.check(order.succession.follow, request, order.id, self._parts.clock.now())

    def issue(self, authority: str, request: CheckedRequest, order: OrderRecord) -> CertificateRecord:
        """Issue; the same order returns the same certificate. What it follows is revoked as it says."""
        found = self._parts.authorities.get(authority)
        self._parts.follow_ups.revoke_first(order)
        record, _is_new = self._parts.certifier.certify(
            found.maker(request.profile), found.key_label, request, order
        )
        self._parts.follow_ups.settle_now(order)
        return record

    def delivered(self, order_id: str, people: tuple[str, ...]) -> Delivery:
        """Take the word of a person at this machine that the holder has what a command ordered.

        Raises:
            UnknownOrderError
        """
        notice = DeliveryNotice(
            order=order_id, told_by=self._actor, created_at=self._parts.clock.now(), people=people
        )
        return self._parts.follow_ups.deliver_as(notice)


def _identifiers(given: tuple[str, ...]) -> tuple[str, ...]:
    for each in given:
        try:
            x509.ObjectIdentifier(each)
        except ValueError:
            raise FieldAlphabetError("may_give", each[:64]) from None
    return tuple(sorted(set(given)))


def _sorted_names(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    hosts, addresses = [], []
    for name in names:
        try:
            addresses.append(str(ipaddress.ip_address(name)))
        except ValueError:
            if not _HOST.fullmatch(name):
                raise FieldAlphabetError("dns", name[:64]) from None
            hosts.append(name)
    return tuple(hosts), tuple(addresses)
