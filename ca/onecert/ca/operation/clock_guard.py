"""Whether the clock may be believed: it does not jump, or the machine says that somebody keeps it right.

What a CA signs is worth what its clock is worth. Between two questions, the clock must have gone on by as
much as the machine has counted, which nobody can set. A jump stops what depends on time until the clock is
right again, or a time daemon vouches for the new time (Linux forgets such a voucher when somebody sets the
clock by hand), or the service is started anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from onecert.ca.errors import ClockJumpedError, ClockNotKeptError
from onecert.server.clock import Clock
from onecert.server.kernel_clock import KernelClock, kernel_clock

__all__ = ["ClockGuard"]

log = logging.getLogger(__name__)

# A time daemon may let the clock run so much faster or slower to bring it right (Linux: 500 ppm).
SLEW = 0.0005


class ClockGuard:
    """A clock that gives the time, or refuses to. Safe to share between threads.

    Args:
        tolerance: so much the clock may differ from what has passed, and so much the kernel may be off.
        kernel: how the kernel is asked.
        needs_kept: refuse when the kernel knows of no time daemon, jump or not.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        tolerance: timedelta,
        kernel: Callable[[], KernelClock | None] = kernel_clock,
        needs_kept: bool = False,
    ) -> None:
        self._clock = clock
        self._tolerance = tolerance
        self._kernel = kernel
        self._needs_kept = needs_kept
        self._lock = threading.Lock()
        self._seen = self._begun = (clock.now(), clock.elapsed())
        self._jumped = False

    def now(self) -> datetime:
        """The present moment.

        Raises:
            ClockJumpedError: the clock and the time that has passed do not fit together.
            ClockNotKeptError: the kernel is not told the time, or may be too far off.
        """
        if self._needs_kept:
            self._check_kept()
        with self._lock:
            at, elapsed = self._clock.now(), self._clock.elapsed()
            off = self._off(at, elapsed)
            if off is not None:
                if not self._is_vouched_for(off):
                    # What was seen last is kept: the clock is believed again when it fits that.
                    if not self._jumped:
                        log.error("the clock jumped", extra={"by_s": off.total_seconds()})
                    self._jumped = True
                    raise ClockJumpedError(off.total_seconds())
                self._begun = (at, elapsed)
            if self._jumped:
                log.warning("the clock is right again")
            self._jumped = False
            self._seen = (at, elapsed)
            return at

    def _off(self, at: datetime, elapsed: timedelta) -> timedelta | None:
        """By how much it jumped; None: not at all. Small steps, each within bounds, add up to a jump."""
        for before, elapsed_before in (self._seen, self._begun):
            passed = elapsed - elapsed_before
            off = at - (before + passed)
            if abs(off) > self._tolerance + passed * SLEW:
                return off
        return None

    def elapsed(self) -> timedelta:
        """See `Clock`."""
        return self._clock.elapsed()

    def check(self) -> None:
        """Readiness: as `now`."""
        self.now()

    def _is_vouched_for(self, off: timedelta) -> bool:
        found = self._kernel()
        if found is None or not found.is_kept or found.max_error > self._tolerance:
            return False
        log.warning("the clock was set, and is kept right", extra={"by_s": off.total_seconds()})
        return True

    def _check_kept(self) -> None:
        found = self._kernel()
        if found is not None and (not found.is_kept or found.max_error > self._tolerance):
            raise ClockNotKeptError(found.max_error.total_seconds() if found.is_kept else None)
