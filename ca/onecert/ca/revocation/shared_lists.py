"""One list for all who wait: revocations that come together share it, and under load do not wait for it.

Whoever comes first makes the list, for everything that is wanted by then; a few wait for that one or the
next. Who finds enough others waiting goes on without: the list that has its change is made all the same, by
those who wait, before the last of them is done; and by the timer should the process end first.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from onecert.ca.lists.publishing import CrlPublisher

__all__ = ["WAITING_MAX", "SharedLists"]

WAITING_MAX = 8


@dataclass
class _Standing:
    """One list, as far as this process has made it."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    version: int = -1
    number: int = 0
    wanted: int = -1
    waiting: int = 0
    is_making: bool = False


class SharedLists:
    """The lists that revocations ask for."""

    def __init__(self, publisher: CrlPublisher) -> None:
        self._publisher = publisher
        self._standings: dict[tuple[str, int], _Standing] = {}
        self._lock = threading.Lock()

    def publish(self, authority: str, *, partition: int = 0, at_least: int) -> int | None:
        """Have a list made that holds the changes up to a version.

        Returns:
            its number; None: enough others wait for it, and it is made with theirs.

        Raises:
            what `CrlPublisher.publish` raises; the timer makes the list.
        """
        with self._lock:
            standing = self._standings.setdefault((authority, partition), _Standing())
        with standing.changed:
            standing.wanted = max(standing.wanted, at_least)
            if standing.is_making and standing.waiting >= WAITING_MAX and standing.version < at_least:
                return None
            standing.waiting += 1
            while standing.is_making and standing.version < at_least:
                standing.changed.wait()
            standing.waiting -= 1
            # The last of those who waited makes the list for who did not wait.
            is_last = not standing.is_making and not standing.waiting and standing.version < standing.wanted
            if standing.version >= at_least and not is_last:
                return standing.number
            standing.is_making = True
        return self._make(standing, authority, partition)

    def _make(self, standing: _Standing, authority: str, partition: int) -> int:
        try:
            while True:
                with standing.changed:
                    wanted = standing.wanted
                made = self._publisher.publish(authority, partition=partition, at_least=wanted)
                with standing.changed:
                    standing.version, standing.number = made.status_version, made.number
                    # Who waits takes over; what was wanted by who did not wait is ours.
                    if standing.version >= standing.wanted or standing.waiting:
                        return made.number
        finally:
            with standing.changed:
                standing.is_making = False
                standing.changed.notify_all()
