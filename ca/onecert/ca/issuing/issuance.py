"""Issuing: one order, one certificate, in the one order of acts from which no crash can take anything
away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from onecert.ca import der
from onecert.ca.authorities.authorities import Authorities, Authority, pem
from onecert.ca.authorities.lines import AuthorityLines, with_predecessor
from onecert.ca.certificates.checked_request import ordered_request
from onecert.ca.certificates.draft import CheckedRequest, Draft, DraftMaker, Issuer, random_serial, serial_hex
from onecert.ca.certificates.lint import check_certificate
from onecert.ca.errors import (
    CaError,
    OrderAbandonedError,
    OrderAlteredError,
    SignatureFaultError,
    TryAgainError,
)
from onecert.ca.errors.profiles import ProfileChangedError
from onecert.ca.issuing.ledger import (
    ABANDONED,
    INTENDED,
    CertificateRecord,
    Ledger,
    NumberTakenError,
    OrderKnownError,
    OrderRecord,
)
from onecert.ca.issuing.order_preparing import OrderHelpers, Prepared
from onecert.ca.issuing.orders import Order, OrderDesk
from onecert.ca.issuing.turns import Turns
from onecert.ca.renewals.follow_up import FollowUps
from onecert.ca.renewals.record import Renewals
from onecert.ca.signatures.algorithms import ThrowAwayKeys
from onecert.ca.signatures.signer import Signer
from onecert.server.clock import Clock

__all__ = ["Certifier", "Issuance", "Issued"]

log = logging.getLogger(__name__)

DRAFT_ATTEMPTS = 5


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


class Certifier:
    """Turns a checked request into a recorded certificate; the part that every way of issuing shares.

    Args:
        ledger: the record.
        signer: the token of the issuer.
        serials: draws serial numbers; their uniqueness is the ledger's matter.
    """

    def __init__(
        self, ledger: Ledger, signer: Signer, clock: Clock, *, serials: Callable[[], int] = random_serial
    ) -> None:
        self.ledger = ledger
        self._signer = signer
        self._clock = clock
        self._serials = serials
        self._throw_away = ThrowAwayKeys()
        self._turns = Turns()

    def certify(
        self, maker: DraftMaker, key_label: str, request: CheckedRequest, order: OrderRecord
    ) -> tuple[CertificateRecord, bool]:
        """Issue one certificate; the same order a second time returns the first certificate.

        Returns:
            the record, and whether this call put it there.

        Raises:
            CaError: nothing was signed, or (503) the order will be finished when it is posted again.
        """
        issuer = maker.issuer
        # Orders for one holder take turns, because each key of a holder has its own number.
        with self._turns.of(f"{issuer.name}/{request.entity}"):
            intended = self._reserve(maker, key_label, request, order)
        record = intended or self.ledger.find_order(order.id, order.content_sha256)
        if record is None:
            raise OrderAlteredError(order.id)
        # 4. Only now use the key.
        return (
            self.finish(
                issuer,
                key_label,
                record,
                actor=order.ordered_by,
                approved_by=order.approved_by,
                application_sha256=order.application_sha256,
                profile_sha256=request.profile.sha256,
            ),
            intended is not None,
        )

    def _reserve(
        self, maker: DraftMaker, key_label: str, request: CheckedRequest, order: OrderRecord
    ) -> CertificateRecord | None:
        """Put the intent on record and return it; None when the order was on record before."""
        for _attempt in range(DRAFT_ATTEMPTS):
            at = self._clock.now()
            # 1. Draw a serial and write the draft around it.
            try:
                draft = self.draft(maker, request, at, order_id=order.id)
            except OrderKnownError:
                return None
            # An order that waits for its token leaves no intent behind, which would be given up after an
            # hour.
            self._signer.check_usable(key_label)
            # 2. Sign the draft with a throw-away key and lint it. A fault ends here, with nothing on record.
            check_certificate(self._throw_away.sign(maker.issuer.algorithm, draft.tbs_der), draft)
            # 3. Reserve serial and key number and put the exact bytes on record; after a power cut whatever
            #    may have been signed has a row and can be revoked.
            try:
                return self.ledger.record_intent(draft, order, at)
            except NumberTakenError:
                continue
        raise TryAgainError

    def certify_prepared(
        self, issuer: Issuer, key_label: str, prepared: Prepared
    ) -> CertificateRecord | None:
        """Issue what a helper has checked, drafted and linted, by the same order of acts.

        Returns:
            None when the order is on record already, or number or serial are taken: nothing was changed.

        Raises:
            CaError: as `certify`.
        """
        order, intent = prepared.order.record, prepared.intent
        with self._turns.of(f"{issuer.name}/{intent.record.entity}"):
            self._signer.check_usable(key_label)
            try:
                record = self.ledger.record_prepared(intent, prepared.at)
            except NumberTakenError:
                return None
        if record is None:
            return None
        return self.finish(
            issuer,
            key_label,
            record,
            actor=order.ordered_by,
            approved_by=order.approved_by,
            application_sha256=order.application_sha256,
            profile_sha256=record.profile_sha256,
        )

    def draft(self, maker: DraftMaker, request: CheckedRequest, at: datetime, *, order_id: str = "") -> Draft:
        """Write the draft of a certificate with a fresh serial and the holder's next key number.

        Raises:
            OrderKnownError: an order of this number is on record.
        """
        number = self.ledger.key_number(
            maker.issuer.name, request.entity, request.key.sha256, order_id=order_id
        )
        return maker.draft(request, serial=self._serials(), key_number=number, at=at)

    def finish(
        self,
        issuer: Issuer,
        key_label: str,
        record: CertificateRecord,
        *,
        actor: str,
        approved_by: tuple[str, ...] = (),
        application_sha256: str = "",
        profile_sha256: str | None = None,
    ) -> CertificateRecord:
        """Sign what is on record and put the result there. Safe to repeat, also by several processes at once.

        Raises:
            OrderAbandonedError: it was given up.
            ProfileChangedError: its profile is not the one that the order was begun with; nothing is signed.
            TokenGoneError, SignatureFaultError: not now; the intent stays on record.
        """
        if record.state == ABANDONED:
            raise OrderAbandonedError(record.order_id, record.serial)
        if record.state != INTENDED or record.tbs_der is None:
            return record
        self.check_profile(record, profile_sha256)
        log.debug("certificate to be signed", extra={"authority": record.authority, "serial": record.serial})
        certificate_der = self.sign(issuer, key_label, record.serial, record.tbs_der)
        # 6. Certificate and audit entry, in one transaction.
        finished = self.ledger.record_issued(
            record,
            certificate_der,
            actor=actor,
            details={"approved_by": list(approved_by), "application_sha256": application_sha256},
        )
        if finished.state == ABANDONED:
            raise OrderAbandonedError(record.order_id, record.serial)
        log.info("certificate issued", extra={"authority": record.authority, "serial": record.serial})
        return finished

    def check_profile(self, record: CertificateRecord, profile_sha256: str | None = None) -> None:
        """Refuse to sign an intent whose profile has changed since it went on record.

        Args:
            profile_sha256: of the profile as the caller knows it; None: ask the record.

        Raises:
            ProfileChangedError
        """
        if (profile_sha256 or self.ledger.profile_sha256(record)) != record.profile_sha256:
            raise ProfileChangedError(record.profile, record.profile_version)

    def sign(self, issuer: Issuer, key_label: str, serial: str, tbs_der: bytes) -> bytes:
        """Sign bytes that are on record.

        Raises:
            TokenGoneError, SignatureFaultError: not now.
        """
        return _compared(issuer, self._signer.sign(issuer, key_label, tbs_der), serial, tbs_der)

    def sign_all(self, issuer: Issuer, key_label: str, on_record: Sequence[tuple[str, bytes]]) -> list[bytes]:
        """Sign several: serials and the bytes that are on record under them."""
        certificates = self._signer.sign_all(issuer, key_label, [tbs_der for _serial, tbs_der in on_record])
        return [
            _compared(issuer, certificate_der, serial, tbs_der)
            for certificate_der, (serial, tbs_der) in zip(certificates, on_record, strict=True)
        ]


def _compared(issuer: Issuer, certificate_der: bytes, serial: str, tbs_der: bytes) -> bytes:
    # 5. What was signed is what was linted, byte for byte, and the signature is verified (by the signer).
    _tag, content, signed = der.element_at(der.content_of(certificate_der), 0)
    fields = der.Reader(content)
    fields.take(0xA0)
    if signed != tbs_der or serial_hex(fields.take_integer()) != serial:
        raise SignatureFaultError(issuer.name)
    return certificate_der


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
