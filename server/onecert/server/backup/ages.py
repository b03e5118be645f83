"""When each service was last copied and last proved: read from its audit trail, where both leave an entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select

from onecert.server.backup.drilling import DRILL_FAILED, DRILL_SUBJECT, DRILLED, Drill
from onecert.server.backup.making import MADE, SUBJECT
from onecert.server.contexts import load_member_settings, open_members
from onecert.server.database import Database
from onecert.server.members import Member
from onecert.server.models import audit_entries
from onecert.server.operators import command_actor

__all__ = ["BackupStanding", "backup_standing", "note_drill"]


@dataclass(frozen=True, kw_only=True)
class BackupStanding:
    """None: never. The trail goes back with a restore, and then it rightly says so."""

    made_at: datetime | None
    drilled_at: datetime | None  # the newest drill in which the service came back
    drill_failed_at: datetime | None


def backup_standing(database: Database) -> BackupStanding:
    """Read when a service was last copied, and last came back in a drill."""
    with database.reading() as connection:
        return BackupStanding(
            made_at=_newest(connection, SUBJECT, MADE),
            drilled_at=_newest(connection, DRILL_SUBJECT, DRILLED),
            drill_failed_at=_newest(connection, DRILL_SUBJECT, DRILL_FAILED),
        )


def note_drill(found: Drill, members: Sequence[Member], data: Path, *, config: Path | None = None) -> None:
    """Leave the result in the audit trail of each service that runs here."""
    wrong = {service for service, _sentence in found.faults}
    settings = load_member_settings(members, data, config=config)
    for opened in open_members(members, data, settings):
        context = opened.context
        try:
            with context.database.transaction() as connection:
                context.audit.record(
                    connection,
                    event=DRILL_FAILED if context.name in wrong else DRILLED,
                    actor=command_actor(),
                    subject=DRILL_SUBJECT,
                    details={
                        "backup": found.backup,
                        "backup_age_s": found.age_s,
                        "restore_ms": round(found.restore_s * 1000),
                        "faults": [sentence[:500] for name, sentence in found.faults if name == context.name][
                            :20
                        ],
                    },
                )
        finally:
            opened.close()


def _newest(connection: Connection, subject: str, event: str) -> datetime | None:
    found: datetime | None = connection.execute(
        select(audit_entries.c.at)
        .where(audit_entries.c.subject == subject, audit_entries.c.event == event)
        .order_by(audit_entries.c.seq.desc())
        .limit(1)
    ).scalar_one_or_none()
    return found
