"""Turns: one thread of this process at a time for one name, such as the number of an order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

__all__ = ["Turns"]

PATIENCE = timedelta(seconds=30)


class Turns:
    """Hands out turns. They only save work; what must be exact is decided by the database."""

    def __init__(self, timeout: timedelta = PATIENCE) -> None:
        self._timeout_s = timeout.total_seconds()
        self._lock = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        with self._lock:
            turn, users = self._held.get(name, (threading.Lock(), 0))
            self._held[name] = (turn, users + 1)
        try:
            acquired = turn.acquire(timeout=self._timeout_s)
            try:
                # Not acquired: another thread hangs, perhaps in the token. To go on is safe.
                yield
            finally:
                if acquired:
                    turn.release()
        finally:
            with self._lock:
                _turn, users = self._held[name]
                if users == 1:
                    del self._held[name]
                else:
                    self._held[name] = (turn, users - 1)
