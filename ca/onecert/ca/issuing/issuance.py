"""Issuing: one order of a registration authority, one certificate, however often it is posted."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta

from onecert.ca.authorities.authorities import Authorities, Authority, pem
from onecert.ca.authorities.lines import AuthorityLines, with_predecessor
from onecert.ca.certificates.checked_request import ordered_request
from onecert.ca.certificates.draft import CheckedRequest
from onecert.ca.errors import CaError, OrderAlteredError
from onecert.ca.issuing.certifier import Certifier
from onecert.ca.issuing.ledger import CertificateRecord, OrderRecord
from onecert.ca.issuing.order_preparing import OrderHelpers
from onecert.ca.issuing.orders import Order, OrderDesk
from onecert.ca.issuing.turns import Turns
from onecert.ca.renewals.follow_up import FollowUps
from onecert.ca.renewals.record import Renewals
from onecert.server.clock import Clock

__all__ = ["Issuance", "Issued"]


@dataclass(frozen=True, kw_only=True)
class Issued:
    """The result of an order. `is_new` is False when the order had been filled before."""

    record: CertificateRecord
    chain_pem: list[str]
    is_new: bool

    def as_json(self) -> dict[str, object]:
        return {
            "order": self.record.order_id,
            "serial": self.record.serial,
            "certificate_pem": pem(self.record.certificate_der or b""),
            "chain_pem": self.chain_pem,
            "status": self.record.state,
        }


class _Count:
    """How many blocks are entered and not yet left."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.count += 1

    def __exit__(self, *_exception: object) -> None:
        with self._lock:
            self.count -= 1


class Issuance:
    """Fills orders of registration authorities."""

    def __init__(
        self,
        desk: OrderDesk,
        authorities: Authorities,
        certifier: Certifier,
        clock: Clock,
        *,
        renewals: Renewals,
        follow_ups: FollowUps,
        test_identities: bool = False,
        turn_timeout: timedelta = timedelta(seconds=30),
        helpers: OrderHelpers | None = None,
    ) -> None:
        self._desk = desk
        self._authorities = authorities
        self._certifier = certifier
        self._ledger = certifier.ledger
        self._clock = clock
        self._renewals = renewals
        self._follow_ups = follow_ups
        self._test_identities = test_identities
        self._turns = Turns(turn_timeout)
        self.lines = AuthorityLines(authorities, self._ledger)
        self.helpers = helpers
        self.under_way = _Count()

    def close(self) -> None:
        """End the processes that prepare orders."""
        if self.helpers is not None:
            self.helpers.close()

    def issue(self, document: bytes, *, idempotency_key: str | None = None) -> Issued:
        """Fill one signed order; however often it is posted, there is one certificate.

        Raises:
            CaError: refused (4xx), or not now (503) with nothing half-done.
        """
        with self.under_way:
            # While another order is under way, a process beside us may do the steps up to the record.
            if self.under_way.count > 1 and (
                issued := self._issue_prepared(document, idempotency_key=idempotency_key)
            ):
                return issued
            return self._issue(document, idempotency_key=idempotency_key)

    def _issue_prepared(self, document: bytes, *, idempotency_key: str | None) -> Issued | None:
        """Fill an order that a helper has prepared; None: begin anew, nothing was changed."""
        if self.helpers is None:
            return None
        prepared = self.helpers.prepare(document, self._clock.now())
        if prepared is None or idempotency_key not in (None, prepared.order.id):
            return None
        order = prepared.order
        if self.lines.order(order) is not order:
            return None
        authority = self._authorities.get(order.authority)
        profile = self._authorities.profile(
            order.authority, order.profile, order.profile_version, order.profile_sha256
        )
        known = authority.maker(profile).issuer.mark, profile.sha256
        if (prepared.issuer_mark, prepared.intent.profile_sha256) != known:
            self.helpers.renew()
            return None
        with self._turns.of(order.id):
            record = self._certifier.certify_prepared(authority.issuer, authority.key_label, prepared)
        return None if record is None else self._answer(authority, record, is_new=True)

    def _issue(self, document: bytes, *, idempotency_key: str | None) -> Issued:
        # 1. Who orders, and may they? Nothing of the content is looked at before.
        order = self._desk.open_order(document)
        if idempotency_key is not None and idempotency_key != order.id:
            raise OrderAlteredError(order.id)
        order = with_predecessor(self.lines.order(order), self._authorities, self._renewals)
        authority = self._authorities.get(order.authority)
        with self._turns.of(order.id):
            # 2. Is the content what the profile, frozen in the order, allows?
            try:
                self._desk.check_age(order.created_at, self._clock.now())
                request = self.check(order)
            except CaError:
                # What was ordered before is answered, whatever today's rules say about it.
                known = self._ledger.find_order(order.id, order.record.content_sha256)
                if known is None:
                    raise
                return self._answer(authority, self._finish(authority, known, order.record), is_new=False)
            # What is lost is revoked before its replacement exists.
            self._follow_ups.revoke_first(order.record)
            # 3. to 9. see `certify`, which also knows the order when it is on record already.
            record, is_new = self._certifier.certify(
                self._authorities.get(order.authority).maker(request.profile),
                authority.key_label,
                request,
                order.record,
            )
        self._follow_ups.settle_now(order.record)
        return self._answer(authority, record, is_new=is_new)

    def check(self, order: Order) -> CheckedRequest:
        """Check everything that the certificate will say."""
        profile = self._authorities.profile(
            order.authority, order.profile, order.profile_version, order.profile_sha256
        )
        at = self._clock.now()
        request = ordered_request(order, profile, at=at, test_identities=self._test_identities)
        if order.record.succession is None:
            return request
        return self._renewals.check(order.record.succession.follow, request, order.id, at)

    def find(self, order_id: str) -> CertificateRecord:
        """Tell what became of an order."""
        return self._ledger.order(order_id)

    def _finish(
        self, authority: Authority, record: CertificateRecord, order: OrderRecord
    ) -> CertificateRecord:
        return self._certifier.finish(
            authority.issuer,
            authority.key_label,
            record,
            actor=order.ordered_by,
            approved_by=order.approved_by,
            application_sha256=order.application_sha256,
        )

    def _answer(self, authority: Authority, record: CertificateRecord, *, is_new: bool) -> Issued:
        chain = self._authorities.chain_pem(authority)
        return Issued(record=record, chain_pem=chain, is_new=is_new)
