"""Revokes attribute certificates: status and audit in one transaction, a new list at once.

Reasons are those of RFC 5280, section 5.3.1, that fit an attribute certificate. Revoking is for good;
there is no hold yet (RFC 5280 calls it certificateHold).
"""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy import Connection, update

from onecert.pmi.errors import GrantStateError, ReasonUnknownError
from onecert.pmi.models import certificates
from onecert.pmi.repository.search import STATUSES, Record, load_certificate
from onecert.pmi.status.acrl import Acrl, AcrlPublisher, bump_status
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import ServiceError
from onecert.server.languages import Message, _
from onecert.server.operators import Operator, check_role, check_usable

__all__ = ["REASONS", "Revocations"]

REVOKERS = ("attribute.officer", "attribute.approver")

log = logging.getLogger(__name__)

REASONS: dict[str, Message] = {
    "privilegeWithdrawn": _("the role was taken back"),
    "affiliationChanged": _("the holder has left the office"),
    "keyCompromise": _("the holder's key is compromised"),
    "superseded": _("replaced by another certificate"),
    "cessationOfOperation": _("no longer needed"),
    "unspecified": _("no reason given"),
}


class Revocations:
    """Revokes, and has the list published."""

    def __init__(
        self, *, database: Database, audit: AuditTrail, clock: Clock, publisher: AcrlPublisher
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._publisher = publisher

    def revoke(self, serial: str, *, reason: str, operator: Operator) -> tuple[Record, Acrl | None]:
        """Revoke one certificate. A second time changes nothing and answers with what is on record.

        Returns:
            The record, and the list on which it stands; None when the list could not be published just now.
            The revocation counts all the same, and the timer publishes the list.

        Raises:
            CertificateUnknownError, ReasonUnknownError, GrantStateError: nothing was revoked.
        """
        now = self._clock.now()
        check_role(operator, *REVOKERS)
        check_usable(operator, at=now)
        with self._database.transaction() as connection:
            record = _check(connection, serial, reason)
            if record.state == "issued":
                log.info("attribute certificate to be revoked", extra={"serial": record.serial})
                self._record(connection, record, reason=reason, actor=operator.actor, at=now)
        acrl = self._publish(record.authority)
        with self._database.reading() as connection:
            return load_certificate(connection, serial), acrl

    def preview(self, serial: str, *, reason: str) -> Record:
        """Return the certificate that ``revoke`` would revoke; refuse what it would refuse."""
        with self._database.reading() as connection:
            return _check(connection, serial, reason)

    def _record(
        self, connection: Connection, record: Record, *, reason: str, actor: str, at: datetime
    ) -> None:
        connection.execute(
            update(certificates)
            .where(certificates.c.serial == record.serial)
            .values(state="revoked", revoked_at=at, reason=reason, revoked_by=actor)
        )
        bump_status(connection, record.authority)
        self._audit.record(
            connection,
            event="attribute_certificate.revoked",
            actor=actor,
            subject=f"attribute-certificate:{record.serial}",
            details={"reason": reason, "authority": record.authority},
        )

    def _publish(self, authority: str) -> Acrl | None:
        try:
            return self._publisher.publish(authority)
        except ServiceError:
            log.exception("acrl after a revocation not published", extra={"authority": authority})
            return None


def _check(connection: Connection, serial: str, reason: str) -> Record:
    if reason not in REASONS:
        raise ReasonUnknownError(reason, REASONS)
    record = load_certificate(connection, serial)
    if record.state not in {"issued", "revoked"}:
        raise GrantStateError(record.grant_id, STATUSES[record.state])
    return record
