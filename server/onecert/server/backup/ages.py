"""When each service was last copied and last proved: read from its audit trail, where both leave an entry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from onecert.server.database import Database
from onecert.server.models import audit_entries

__all__ = [
    "DRILLED",
    "DRILL_FAILED",
    "DRILL_SUBJECT",
    "MADE",
    "RESTORED",
    "RETURN_SUBJECT",
    "SUBJECT",
    "BackupAges",
    "backup_ages",
]

# Entries about backups, by their subject.
MADE, SUBJECT = "backup.made", "backup"
DRILLED, DRILL_FAILED, DRILL_SUBJECT = "backup.drilled", "backup.drill-failed", "backup-drill"
# That the record came back, and what a service says about it since; asked for before a key is used.
RESTORED, RETURN_SUBJECT = "backup.restored", "backup-return"


@dataclass(frozen=True, kw_only=True)
class BackupAges:
    """None: never. The trail goes back with a restore, and then it rightly says so."""

    made_at: datetime | None
    drilled_at: datetime | None  # the newest drill in which the service came back
    drill_failed_at: datetime | None


def backup_ages(database: Database) -> BackupAges:
    """Read when a service was last copied, and last came back in a drill."""
    with database.reading() as connection:
        return BackupAges(
            made_at=_newest(connection, SUBJECT, MADE),
            drilled_at=_newest(connection, DRILL_SUBJECT, DRILLED),
            drill_failed_at=_newest(connection, DRILL_SUBJECT, DRILL_FAILED),
        )


def _newest(connection: Connection, subject: str, event: str) -> datetime | None:
    found: datetime | None = connection.execute(
        select(audit_entries.c.at)
        .where(audit_entries.c.subject == subject, audit_entries.c.event == event)
        .order_by(audit_entries.c.seq.desc())
        .limit(1)
    ).scalar_one_or_none()
    return found
