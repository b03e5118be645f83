"""Whether the record may be believed: it is no old copy of what the world outside has seen of it.

A record goes back when a backup is restored, when a database is set to a point in time, or when a standby
that lagged takes over. Its next list would bear a number that was used, and its answers would call good what
was revoked since. Two things give it away: the restore left an entry in the audit trail and nobody has told
the record what is outside (`reconcile.py`); or a list was published with a number that the record does not
know. Then nothing is signed.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, bindparam, select

from onecert.ca.errors import CrlNumberWentBackError, RecordRestoredError
from onecert.ca.lists.names import delta_name, list_name
from onecert.ca.lists.snapshot import newest
from onecert.ca.models import authorities
from onecert.ca.status.files import StatusFiles
from onecert.server.backup.ages import RESTORED, RETURN_SUBJECT
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.errors import DatabaseUnavailableError
from onecert.server.models import audit_entries

__all__ = ["RECONCILED", "RecordGuard", "check_numbers", "check_reconciled", "published_number"]

RECONCILED = "backup.reconciled"

# A record goes back under a running process only when somebody sets the database back under it.
LOOK_EVERY = timedelta(seconds=5)

_AUTHORITIES = select(authorities.c.name, authorities.c.crl_partitions)
_RETURN = (
    select(audit_entries.c.at, audit_entries.c.event)
    .where(
        audit_entries.c.subject == RETURN_SUBJECT,
        audit_entries.c.event.in_(bindparam("events", expanding=True)),
    )
    .order_by(audit_entries.c.seq.desc())
    .limit(1)
)


class RecordGuard:
    """Asked before a key is used; looks now and then. Safe to share between threads."""

    def __init__(self, database: Database, files: StatusFiles, clock: Clock) -> None:
        self._database = database
        self._files = files
        self._clock = clock
        self._passed: timedelta | None = None

    def check(self) -> None:
        """Raise when the record is an old copy; costs nothing when that was looked at a moment ago.

        Raises:
            RecordRestoredError, CrlNumberWentBackError
            DatabaseUnavailableError: it was never looked at, and cannot be now.
        """
        now = self._clock.elapsed()
        if self._passed is not None and now - self._passed < LOOK_EVERY:
            return
        try:
            self._look()
        except DatabaseUnavailableError:
            # What needs no record, such as a timestamp, goes on while the database is away.
            if self._passed is None:
                raise
        self._passed = now

    def _look(self) -> None:
        with self._database.reading() as connection:
            known = connection.execute(_AUTHORITIES).all()
        # Files first: each number in them was on record before.
        published = {row.name: published_number(self._files, row.name, row.crl_partitions) for row in known}
        with self._database.reading() as connection:
            check_reconciled(connection)
            for name, number in published.items():
                check_numbers(connection, name, number)


def published_number(files: StatusFiles, name: str, partitions: int) -> int:
    """The highest number among the files of an authority that has so many partitions."""
    names = [list_name(name, partition) for partition in range(partitions + 1)]
    return max(files.crl_number(each) for one in names for each in (one, delta_name(one)))


def check_numbers(connection: Connection, name: str, published: int) -> None:
    """Every published number was on record before; otherwise the record is an old copy.

    Raises:
        CrlNumberWentBackError
    """
    on_record, _at = newest(connection, name)
    if published > on_record:
        raise CrlNumberWentBackError(name, published, on_record)


def check_reconciled(connection: Connection) -> None:
    """A record that came back from a backup was told what is outside.

    Raises:
        RecordRestoredError
    """
    found = connection.execute(_RETURN, {"events": [RESTORED, RECONCILED]}).one_or_none()
    if found is not None and found.event == RESTORED:
        raise RecordRestoredError(found.at.isoformat())
