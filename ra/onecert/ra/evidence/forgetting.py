"""Scans that never became part of an application: of drafts that nobody goes on with, and of withdrawn ones.

What a reviewer ever had is kept as long as the record. The rest shows people's papers for no purpose any more
and goes after the days of the setting `evidence_draft_days`; the files follow with the sweep (`keeping.py`).
"""

import logging
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, insert, select

from onecert.ra.applications.records import load_application
from onecert.ra.evidence.tables import evidence
from onecert.ra.life.machine import State
from onecert.ra.models import application_events, applications
from onecert.server.audit import AuditTrail
from onecert.server.database import Database

__all__ = ["ForgottenScans"]

log = logging.getLogger(__name__)

_AT_ONCE = 200
_STATES = (State.DRAFT.value, State.WITHDRAWN.value)


class ForgottenScans:
    """The job.

    Args:
        name: of the registration authority, for the audit trail.
        days: after the last step of the life line; 0: nothing is ever removed.
    """

    def __init__(self, *, database: Database, audit: AuditTrail, name: str, days: int) -> None:
        self._database = database
        self._audit = audit
        self._name = name
        self._days = days

    def run(self, at: datetime) -> None:
        """Remove what has been forgotten, application by application."""
        if not self._days:
            return
        before = at - timedelta(days=self._days)
        with self._database.reading() as connection:
            query = (
                select(applications.c.id).distinct().join(evidence, evidence.c.record_id == applications.c.id)
            )
            found = connection.scalars(query.where(_forgotten(before)).limit(_AT_ONCE)).all()
        for application_id in found:
            with self._database.transaction() as connection:
                removed = self._remove(connection, application_id, before, at)
            if removed:
                log.info("forgotten scans removed", extra={"application": application_id, "scans": removed})

    def _remove(self, connection: Connection, application_id: str, before: datetime, at: datetime) -> int:
        current = load_application(connection, application_id, lock=True)
        query = select(evidence.c.id, evidence.c.material, evidence.c.sha256)
        query = query.join(applications, applications.c.id == evidence.c.record_id)
        # Again, now that nobody else can go on with it.
        rows = connection.execute(
            query.where(evidence.c.record_id == application_id, _forgotten(before))
        ).all()
        for row in rows:
            connection.execute(delete(evidence).where(evidence.c.id == row.id))
            connection.execute(
                insert(application_events).values(
                    application_id=application_id,
                    at=at,
                    actor="service",
                    event="evidence_removed",
                    state=current.state.value,
                    note=None,
                )
            )
            self._audit.record(
                connection,
                event="application.evidence_removed",
                actor="ra:" + self._name,
                subject=f"application:{application_id}",
                details={
                    "number": current.number,
                    "evidence": row.id,
                    "material": row.material,
                    "sha256": row.sha256,
                },
            )
        return len(rows)


def _forgotten(before: datetime) -> ColumnElement[bool]:
    """Evidence that no reviewer had, of an application in which nothing has happened since."""
    events = application_events.c
    return and_(
        evidence.c.record == "application",
        evidence.c.frozen_at.is_(None),
        evidence.c.added_at < before,
        applications.c.state.in_(_STATES),
        ~exists().where(events.application_id == applications.c.id, events.at >= before),
    )
