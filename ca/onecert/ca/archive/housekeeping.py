"""What leaves the record without an archive, because it proves nothing that the audit trail does not say.

- drills, `keep_years` after they began: what each found is an audit entry, which stays
- rounds of the checker: without findings after a year, with findings after `keep_years`; the newest stays
- batches that were announced and never accepted, after 90 days: nothing was ordered by them

In transactions of bounded size, each with an audit entry. Docs: docs/decisions/0008-retention.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, tuple_

from onecert.ca.archive.limits import begin_of_kept
from onecert.ca.batches.batches import ARRIVING
from onecert.ca.batches.models import batch_chunks, batches
from onecert.ca.drills.models import drills
from onecert.ca.models import check_rounds
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database

__all__ = ["Housekeeping"]

ROUNDS_KEPT = timedelta(days=366)
ARRIVING_KEPT = timedelta(days=90)
AT_ONCE = 500


class Housekeeping:
    """Removes what need not be kept; for the job.

    Args:
        keep_years: as of everything that is evidence.
    """

    def __init__(self, database: Database, audit: AuditTrail, clock: Clock, *, keep_years: int) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._keep_years = keep_years

    def run(self) -> dict[str, int]:
        """Remove all of it; tell how many of each kind."""
        at = self._clock.now()
        removed: dict[str, int] = {}
        for kind, table, where in self._what(at):
            while (count := self._remove(kind, table, where)) > 0:
                removed[kind] = removed.get(kind, 0) + count
        return removed

    def _what(self, at: datetime) -> Iterator[tuple[str, Any, ColumnElement[bool]]]:
        limit = begin_of_kept(at, self._keep_years)
        yield "drills", drills, drills.c.began_at < limit
        rounds = check_rounds.alias("newer")
        newest = (
            select(func.max(rounds.c.number)).where(rounds.c.kind == check_rounds.c.kind).scalar_subquery()
        )
        yield (
            "check-rounds",
            check_rounds,
            and_(
                check_rounds.c.number < newest,
                or_(
                    check_rounds.c.started_at < limit,
                    and_(check_rounds.c.findings == 0, check_rounds.c.started_at < at - ROUNDS_KEPT),
                ),
            ),
        )
        is_left = and_(batches.c.state == ARRIVING, batches.c.received_at < at - ARRIVING_KEPT)
        yield "batches-never-accepted", batches, is_left

    def _remove(self, kind: str, table: Any, where: ColumnElement[bool]) -> int:
        keys = list(table.primary_key.columns)
        with self._database.transaction() as connection:
            found = connection.execute(select(*keys).where(where).limit(AT_ONCE).with_for_update()).all()
            if not found:
                return 0
            names = [tuple(row) for row in found]
            connection.execute(delete(table).where(where, tuple_(*keys).in_(names)))
            if table is batches:
                _remove_chunks(connection, [name for (name,) in names])
            self._audit.record(
                connection,
                event="retention.removed",
                actor="job:ca.retention",
                subject=kind,
                details={"count": len(names)},
            )
        return len(names)


def _remove_chunks(connection: Connection, names: list[str]) -> None:
    connection.execute(delete(batch_chunks).where(batch_chunks.c.batch.in_(names)))
