"""How often one address may ask: a bucket of tokens per address, in memory, bounded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime

from onecert.pmi.errors import TooManyQuestionsError

__all__ = ["Throttle"]

MAX_ADDRESSES = 10_000


class Throttle:
    """Lets each address ask ``per_minute`` times a minute, a sixth of it at once at most.

    Behind a proxy all requests come from one address; set the limit there for all departments together.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._capacity = max(10.0, per_minute / 6)
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, datetime]] = OrderedDict()

    def check(self, address: str, at: datetime) -> None:
        """Take one token. Raises TooManyQuestionsError when there is none left."""
        with self._lock:
            level, since = self._buckets.pop(address, (self._capacity, at))
            gained = max(0.0, (at - since).total_seconds()) * self._per_minute / 60
            level = min(self._capacity, level + gained)
            is_allowed = level >= 1.0
            self._buckets[address] = (level - 1.0 if is_allowed else level, at)
            if len(self._buckets) > MAX_ADDRESSES:
                self._buckets.popitem(last=False)
        if not is_allowed:
            raise TooManyQuestionsError(self._per_minute)
