"""Where the time comes from: only the edge of a service reads a clock, everything else is told `at`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "FixedClock", "SystemClock"]


class Clock(Protocol):
    """Tells the present moment."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...

    def elapsed(self) -> timedelta:
        """Return the time since some fixed moment, as counted by something that nobody sets."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def elapsed(self) -> timedelta:
        """Count since the machine was started; on Linux also while it was suspended."""
        clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return timedelta(microseconds=time.clock_gettime_ns(clock) // 1000)


class FixedClock:
    """A clock that stands still until it is told to move: for tests and for replaying a day."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("a clock needs an aware time, such as datetime(2026, 11, 21, tzinfo=UTC)")
        self._at = at.astimezone(UTC)
        self._elapsed = timedelta(0)

    def now(self) -> datetime:
        return self._at

    def elapsed(self) -> timedelta:
        return self._elapsed

    def advance(self, by: timedelta) -> None:
        """Let `by` pass."""
        self._at += by
        self._elapsed += by

    def set(self, at: datetime) -> None:
        """Set the clock, as somebody might do by hand: no time passes."""
        self._at = at.astimezone(UTC)
