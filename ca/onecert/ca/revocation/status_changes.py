"""Hold, release and revoke by an operator who saw what it does: what is done is what was shown, once.

What was shown is named by a hash over the certificate's status, its last change, the wish and the operator.
The change that follows bears that hash as its number: a form that is sent twice, from the back button or
from two tabs, is one change; one that was made from an older status is refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from onecert.ca.authorities.authorities import Authorities
from onecert.ca.errors import OrderTimeError, RevocationReasonError
from onecert.ca.errors.console import NotOnPagesError, ShownChangedError
from onecert.ca.issuing.ledger import CertificateRecord, Ledger
from onecert.ca.issuing.order_notices import RevocationOrder
from onecert.ca.models import revocations
from onecert.ca.revocation.reason_words import offered_reasons
from onecert.ca.revocation.revocation import Revocation
from onecert.ca.revocation.security_officers import SECURITY_OFFICER
from onecert.server.audit import AuditEntry, AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.models import audit_entries
from onecert.server.operators import Operator, check_role, check_usable

__all__ = ["Change", "Shown", "StatusChanges"]

_PREFIX = "console."
SEEN_EVENT = "status.seen"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What would be done, to be confirmed by its hash."""

    record: CertificateRecord
    reason: str
    invalidity_date: datetime | None
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change that was made here, for those who watch until verifiers know of it."""

    id: str
    authority: str
    serial: str
    reason: str
    actor: str
    requested_at: datetime


class StatusChanges:
    """Lets operators with the role for it change a status."""

    def __init__(
        self,
        database: Database,
        audit: AuditTrail,
        clock: Clock,
        *,
        authorities: Authorities,
        ledger: Ledger,
        revocation: Revocation,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._authorities = authorities
        self._ledger = ledger
        self._revocation = revocation

    def preview(
        self,
        operator: Operator,
        authority: str,
        serial: str,
        *,
        reason: str,
        invalidity_date: datetime | None = None,
    ) -> Shown:
        """Show what would be done; changes nothing.

        Raises:
            OperatorError: the operator may not. UnknownAuthorityError, UnknownCertificateError
            NotOnPagesError: of a root. RevocationReasonError: not with this status.
            OrderTimeError: the invalidity date is in the future.
        """
        at = self._clock.now()
        check_usable(operator, at=at)
        check_role(operator, SECURITY_OFFICER)
        if self._authorities.get(authority).is_root:
            raise NotOnPagesError(authority)
        record = self._ledger.certificate(authority, serial)
        if reason not in offered_reasons(record):
            raise RevocationReasonError(reason[:64])
        if invalidity_date is not None and invalidity_date > at:
            raise OrderTimeError(invalidity_date.isoformat())
        content = {
            "certificate": [authority, serial, record.status, record.reason],
            "last_change": self._last_change(authority, serial),
            "wish": [reason, None if invalidity_date is None else invalidity_date.isoformat()],
            "operator": operator.id,
        }
        return Shown(
            record=record,
            reason=reason,
            invalidity_date=invalidity_date,
            sha256=hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
        )

    def carry_out(
        self,
        operator: Operator,
        authority: str,
        serial: str,
        *,
        reason: str,
        invalidity_date: datetime | None = None,
        shown_sha256: str,
    ) -> Change:
        """Do what was shown; done already, nothing happens again.

        Raises:
            ShownChangedError: something else was shown; and as for `preview`.
            ServiceError: 503, not now; nothing was changed.
        """
        check_usable(operator, at=self._clock.now())
        check_role(operator, SECURITY_OFFICER)
        number = _PREFIX + shown_sha256[:48]
        known = self.find(number)
        if known is not None:
            if (known.authority, known.serial, known.actor) != (authority, serial, operator.actor):
                raise ShownChangedError
            return known
        try:
            shown = self.preview(operator, authority, serial, reason=reason, invalidity_date=invalidity_date)
        except RevocationReasonError as exc:
            raise ShownChangedError from exc
        if shown.sha256 != shown_sha256:
            raise ShownChangedError
        at = self._clock.now()
        content = {"shown_sha256": shown_sha256, "operator": operator.id, "reason": reason}
        self._revocation.revoke(
            RevocationOrder(
                id=number,
                requested_by=operator.actor,
                created_at=at,
                authority=authority,
                serial=serial,
                reason=reason,
                invalidity_date=invalidity_date,
                people=(operator.id,),
                content_sha256=shown_sha256,
                document=json.dumps(content | {"requested_at": at.isoformat()}).encode(),
            )
        )
        return Change(
            id=number,
            authority=authority,
            serial=serial,
            reason=reason,
            actor=operator.actor,
            requested_at=at,
        )

    def find(self, number: str) -> Change | None:
        """A change that was made here."""
        with self._database.reading() as connection:
            row = connection.execute(select(revocations).where(revocations.c.id == number)).mappings().first()
        if row is None or not number.startswith(_PREFIX):
            return None
        document: dict[str, Any] = json.loads(row["document"])
        return Change(
            id=number,
            authority=row["authority"],
            serial=row["serial"],
            reason=row["reason"],
            actor=row["requested_by"],
            requested_at=datetime.fromisoformat(document["requested_at"]),
        )

    def seen(self, change: Change) -> dict[str, int] | None:
        """What `note_seen` has put on record."""
        table = audit_entries.c
        query = select(table.details).where(
            table.subject == f"{change.authority}/{change.serial}", table.event == SEEN_EVENT
        )
        with self._database.reading() as connection:
            for details in connection.execute(query).scalars():
                told = json.loads(details)
                if told.pop("revocation", "") == change.id:
                    return told  # type: ignore[no-any-return] # as `note_seen` wrote it
        return None

    def note_seen(self, change: Change, times_ms: dict[str, int]) -> None:
        """Put on record that verifiers know of a change, with the time from the request to the look."""
        with self._database.transaction() as connection:
            self._audit.record_many(
                connection,
                [
                    AuditEntry(
                        event=SEEN_EVENT,
                        actor=change.actor,
                        subject=f"{change.authority}/{change.serial}",
                        details={"revocation": change.id, **times_ms},
                    )
                ],
            )

    def _last_change(self, authority: str, serial: str) -> str | None:
        of_it = (revocations.c.authority == authority) & (revocations.c.serial == serial)
        query = select(revocations.c.id).where(of_it).order_by(revocations.c.status_version.desc())
        with self._database.reading() as connection:
            found: str | None = connection.execute(query.limit(1)).scalar()
        return found
