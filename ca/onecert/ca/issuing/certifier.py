"""One certificate, in the one order of acts from which no crash can take anything away: drafted, linted, on
record, and only then signed. Every way of issuing goes through here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from onecert.ca import der
from onecert.ca.certificates.draft import CheckedRequest, Draft, DraftMaker, Issuer, random_serial, serial_hex
from onecert.ca.certificates.lint import check_certificate
from onecert.ca.errors import OrderAbandonedError, OrderAlteredError, SignatureFaultError, TryAgainError
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
from onecert.ca.issuing.order_preparing import Prepared
from onecert.ca.issuing.turns import Turns
from onecert.ca.signatures.algorithms import ThrowAwayKeys
from onecert.ca.signatures.signer import Signer
from onecert.server.clock import Clock

__all__ = ["Certifier"]

log = logging.getLogger(__name__)

DRAFT_ATTEMPTS = 5


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
