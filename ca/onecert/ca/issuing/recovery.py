"""After an interruption: every intent without a result is finished, or given up and its serial revoked.

Finishing means to sign the recorded bytes again; whoever records first wins, and only that certificate exists
for anyone. An intent is given up when it is so old that its first day would lie noticeably before its issue.
What a living process has in hand is left to it for a while.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select

from onecert.ca.authorities.authorities import Authorities
from onecert.ca.errors import CaError, UnknownAuthorityError
from onecert.ca.issuing.certifier import Certifier
from onecert.ca.issuing.ledger import CertificateRecord, OrderRecord
from onecert.ca.issuing.order_documents import payload_of
from onecert.ca.models import orders
from onecert.ca.revocation.revocation import Revocation
from onecert.server.database import Database
from onecert.server.errors import DatabaseUnavailableError
from onecert.server.processes import Living

__all__ = ["LEFT_ALONE", "Recovery", "RecoveryReport"]

log = logging.getLogger(__name__)

# notBefore lies never more than this before the moment of issue.
FINISH_WITHIN = timedelta(hours=1)
# An intent this young may still be in the hands of the thread that made it.
LEFT_ALONE = timedelta(seconds=60)


@dataclass
class RecoveryReport:
    """Serials by what became of them. Waiting: the key or its ceremony is not at hand now."""

    finished: list[str] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


class Recovery:
    """Resolves intents; run at every start and by a job."""

    def __init__(
        self,
        database: Database,
        authorities: Authorities,
        certifier: Certifier,
        revocation: Revocation,
        processes: Living,
    ) -> None:
        self._database = database
        self._authorities = authorities
        self._certifier = certifier
        self._revocation = revocation
        self._processes = processes

    def run(self, at: datetime, *, older_than: timedelta = timedelta(0)) -> RecoveryReport:
        """Resolve what was left behind.

        Args:
            older_than: leave younger intents of this process alone, which a thread may be working on, and
                those of nobody knows whom.
        """
        report = RecoveryReport()
        unfinished = self._certifier.ledger.unfinished()
        makers = {record.intended_by for record in unfinished} - {None, self._processes.own}
        living = {maker for maker in makers if maker is not None and self._processes.is_living(maker)}
        for record in unfinished:
            wait = older_than
            if record.intended_by in makers:
                wait = LEFT_ALONE if record.intended_by in living else timedelta(0)
            if record.not_before > at - wait:
                continue
            try:
                self._resolve(record, at, report)
            except DatabaseUnavailableError:
                raise
            except Exception:
                # One that cannot be resolved keeps nobody from resolving the others.
                log.exception("interrupted order not resolved", extra={"serial": record.serial})
                report.waiting.append(record.serial)
        if report.finished or report.abandoned:
            log.warning(
                "interrupted orders resolved",
                extra={"finished": len(report.finished), "abandoned": len(report.abandoned)},
            )
        return report

    def _resolve(self, record: CertificateRecord, at: datetime, report: RecoveryReport) -> None:
        try:
            authority = self._authorities.get(record.authority)
        except UnknownAuthorityError:
            # A ceremony that was interrupted; it goes on when the command is run again.
            report.waiting.append(record.serial)
            return
        if authority.is_root:
            report.waiting.append(record.serial)
            return
        if at - record.not_before > FINISH_WITHIN:
            self._revocation.abandon(record, "too old to be finished")
            report.abandoned.append(record.serial)
            return
        order = self._order(record.order_id)
        try:
            self._certifier.finish(
                authority.issuer,
                authority.key_label,
                record,
                actor=order.ordered_by,
                approved_by=order.approved_by,
                application_sha256=order.application_sha256,
            )
        except CaError:
            log.exception("interrupted order not finished", extra={"serial": record.serial})
            report.waiting.append(record.serial)
        else:
            report.finished.append(record.serial)

    def _order(self, order_id: str) -> OrderRecord:
        with self._database.reading() as connection:
            row = connection.execute(select(orders).where(orders.c.id == order_id)).mappings().one()
        payload = payload_of(row["document"])
        return OrderRecord(
            id=order_id,
            content_sha256=row["content_sha256"],
            ordered_by=row["ordered_by"],
            document=row["document"],
            approved_by=tuple(payload.get("approved_by", ())),
            application_sha256=payload.get("application_sha256", ""),
        )
