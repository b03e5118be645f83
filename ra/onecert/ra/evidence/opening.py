"""An evidence that is opened: its content in parts, and the entry of who looked.

What shows a person's number is audited when it is opened; again within ten minutes by the same person is the
same look, of which one entry says it.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from onecert.ra.evidence.records import Evidence
from onecert.ra.operators.acting import with_certificate
from onecert.server.audit import AuditTrail
from onecert.server.clock import Clock
from onecert.server.database import Database
from onecert.server.operators import Operator

__all__ = ["Looks", "Opened", "details_of"]

SAME_LOOK = timedelta(minutes=10)
_LOOKS_MAX = 4096


@dataclass(frozen=True)
class Opened:
    """An evidence with its content, in parts."""

    evidence: Evidence
    media_type: str
    parts: Iterator[bytes]


class Looks:
    """Who has opened what lately in this process; safe to share between threads."""

    def __init__(self, *, database: Database, audit: AuditTrail, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._lately: dict[tuple[str, str], datetime] = {}
        self._lock = threading.Lock()

    def note(self, operator: Operator, found: Evidence) -> None:
        """Write the entry, unless this look has one."""
        now, who = self._clock.now(), (operator.id, found.id)
        with self._lock:
            if now - self._lately.get(who, now - 2 * SAME_LOOK) < SAME_LOOK:
                return
        with self._database.transaction() as connection:
            self._audit.record(
                connection,
                event="evidence.opened",
                actor=operator.actor,
                subject=f"{found.record}:{found.record_id}",
                details={**details_of(found), **with_certificate(operator)},
            )
        with self._lock:
            if len(self._lately) >= _LOOKS_MAX:
                self._lately.clear()
            self._lately[who] = now


def details_of(found: Evidence) -> dict[str, str | int]:
    """What an audit entry says of an evidence."""
    return {
        "evidence": found.id,
        "material": found.material,
        "sha256": found.sha256,
        "size": found.size,
        "media_type": found.media_type,
    }
