"""Changes of the status of certificates: record, audit entry and status version in one transaction.

Everything that revokes, holds or releases goes through here, one certificate or ten thousand; a change that
was made before is not made again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, update

from onecert.pmi.models import certificates, holds
from onecert.pmi.repository.search import Record
from onecert.pmi.status.acrl import Acrl, AcrlPublisher, bump_status
from onecert.pmi.status.ocsp import OcspResponder
from onecert.server.audit import AuditTrail
from onecert.server.errors import ServiceError
from onecert.server.statements import Statement

__all__ = ["HOLD_REASON", "Changes"]

log = logging.getLogger(__name__)

HOLD_REASON = "certificateHold"
_SERIAL = certificates.c.serial == bindparam("wanted")
_REVOKE = Statement(
    update(certificates)
    .where(_SERIAL, (certificates.c.state == "issued") | (certificates.c.state == "held"))
    .values(
        state="revoked",
        revoked_at=bindparam("at"),
        reason=bindparam("why"),
        revoked_by=bindparam("actor"),
        replaced_by=bindparam("replacement"),
    )
)
_ABANDON = Statement(
    update(certificates)
    .where(_SERIAL, certificates.c.state == "intended")
    .values(
        state="abandoned", revoked_at=bindparam("at"), reason=bindparam("why"), revoked_by=bindparam("actor")
    )
)
_HOLD = Statement(
    update(certificates)
    .where(_SERIAL, certificates.c.state == "issued")
    .values(state="held", revoked_at=bindparam("at"), reason=HOLD_REASON, revoked_by=bindparam("actor"))
)
_RELEASE = Statement(
    update(certificates)
    .where(_SERIAL, certificates.c.state == "held")
    .values(state="issued", revoked_at=None, reason=None, revoked_by=None)
)
_INSERT_HOLD = Statement(insert(holds))
_END_HOLD = Statement(
    update(holds)
    .where(holds.c.serial == bindparam("wanted"), holds.c.released_at.is_(None))
    .values(released_at=bindparam("at"), released_by=bindparam("actor"))
)


class Changes:
    """What happens to certificates after they were issued."""

    def __init__(self, *, audit: AuditTrail, publisher: AcrlPublisher, responder: OcspResponder) -> None:
        self._audit = audit
        self._publisher = publisher
        self._responder = responder

    def revoke(
        self,
        connection: Connection,
        records: Iterable[Record],
        *,
        reason: str,
        actor: str,
        at: datetime,
        replaced_by: str | None = None,
    ) -> list[Record]:
        """Revoke those that are issued or on hold; give up those that are being signed. Return which.

        One on hold keeps the date of its hold: it was not good in between.
        """
        changed: list[Record] = []
        for record in records:
            since = record.revoked_at if record.state == "held" and record.revoked_at else at
            values = {"wanted": record.serial, "at": since, "why": reason, "actor": actor}
            if record.state == "intended":
                event, count = "attribute_certificate.abandoned", _ABANDON.run(connection, values)
            else:
                values = {**values, "replacement": replaced_by or record.replaced_by}
                event, count = "attribute_certificate.revoked", _REVOKE.run(connection, values)
            if count != 1:
                continue
            _END_HOLD.run(connection, {"wanted": record.serial, "at": at, "actor": actor})
            changed.append(record)
            details = {"reason": reason, "authority": record.authority}
            if replaced_by:
                details["replaced_by"] = replaced_by
            self._record(connection, event, record, actor, details)
        self._moved(connection, changed)
        return changed

    def hold(
        self, connection: Connection, records: Iterable[Record], *, actor: str, at: datetime
    ) -> list[Record]:
        """Put those that are issued on hold. Return which."""
        changed: list[Record] = []
        for record in records:
            if _HOLD.run(connection, {"wanted": record.serial, "at": at, "actor": actor}) != 1:
                continue
            row = {"serial": record.serial, "held_at": at, "held_by": actor}
            _INSERT_HOLD.run(connection, {**row, "released_at": None, "released_by": None})
            changed.append(record)
            self._record(
                connection, "attribute_certificate.held", record, actor, {"authority": record.authority}
            )
        self._moved(connection, changed)
        return changed

    def release(
        self, connection: Connection, records: Iterable[Record], *, actor: str, at: datetime
    ) -> list[Record]:
        """Let those on hold count again. Return which."""
        changed: list[Record] = []
        for record in records:
            if _RELEASE.run(connection, {"wanted": record.serial}) != 1:
                continue
            _END_HOLD.run(connection, {"wanted": record.serial, "at": at, "actor": actor})
            changed.append(record)
            self._record(
                connection, "attribute_certificate.released", record, actor, {"authority": record.authority}
            )
        self._moved(connection, changed)
        return changed

    def publish(self, records: Sequence[Record]) -> dict[str, Acrl | None]:
        """Publish the lists of the authorities of these; None where that was not possible just now.

        The change counts all the same, and the timer publishes the list. OCSP answers are signed anew.
        """
        self._responder.remake(records)
        published: dict[str, Acrl | None] = {}
        for name in sorted({record.authority for record in records}):
            try:
                published[name] = self._publisher.publish(name)
            except ServiceError:
                log.exception("acrl after a change of status not published", extra={"authority": name})
                published[name] = None
        return published

    def _moved(self, connection: Connection, changed: Sequence[Record]) -> None:
        for name in sorted({record.authority for record in changed}):
            bump_status(connection, name)
        if changed:
            log.info("attribute certificates changed", extra={"count": len(changed)})

    def _record(
        self, connection: Connection, event: str, record: Record, actor: str, details: dict[str, str]
    ) -> None:
        self._audit.record(
            connection,
            event=event,
            actor=actor,
            subject=f"attribute-certificate:{record.serial}",
            details=details,
        )
