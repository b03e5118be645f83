"""Where something becomes lasting or leaves the process, and what goes wrong there.

`POINTS.reach` is called at each such place by what `sweep_hooks` and `sweep_token` put there. In the first
run of a scenario it counts; in the others it makes one fault happen at one place. After a crash the process
is dead: whatever the code still tries, in a handler or another thread, leaves no trace.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

__all__ = ["FAULTS", "POINTS", "Crash", "Fault", "Point"]

ERRORS = ("locked", "gone", "read-only", "full")
CLOCK = {
    "clock-back": timedelta(hours=-2),
    "clock-forward": timedelta(hours=2),
    "clock-back-far": timedelta(days=-400),
    "clock-forward-far": timedelta(days=400),
}
# What may go wrong at a kind of place. `lost`: it was done, and the answer never came back.
FAULTS: dict[str, tuple[str, ...]] = {
    "begin": (*ERRORS, "crash", *CLOCK),
    "write": (*ERRORS, "crash", *CLOCK),
    "commit": (*ERRORS, "crash", *CLOCK),
    "committed": ("lost", "crash", *CLOCK),
    "sign": ("gone", "slow", "crash", *CLOCK),
    "signed": ("lost", "crash"),
    "make": ("gone", "full", "crash"),
    "made": ("lost", "crash"),
    "destroy": ("gone", "crash"),
    "destroyed": ("lost", "crash"),
    "open": ("full", "read-only", "crash"),
    "flush": ("full", "torn", "crash"),
    "rename": ("read-only", "crash"),
    "renamed": ("gone", "crash"),
}


class Crash(BaseException):
    """The process is gone. No handler of ours may survive this."""


@dataclass(frozen=True)
class Point:
    """One place that a scenario passes: its kind, what is done there, and how many were passed before."""

    index: int
    kind: str
    what: str


@dataclass(frozen=True)
class Fault:
    """What is to go wrong, and at which place."""

    index: int
    name: str


class Points:
    """Counts places, or makes a fault happen at one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._shift: Callable[[timedelta, bool], None] = lambda _by, _passes: None
        self.is_on = False
        self.is_dead = False
        self.passed: list[Point] = []
        self.struck: Point | None = None

    @contextmanager
    def watched(self, fault: Fault | None, shift: Callable[[timedelta, bool], None]) -> Iterator[list[Point]]:
        """Count all places passed in the block, and let the fault happen.

        Args:
            shift: moves the clock of the world, with or without time passing.
        """
        self._fault, self._shift, self.passed = fault, shift, []
        self.struck, self.is_dead, self.is_on = None, False, True
        try:
            yield self.passed
        finally:
            self.is_on = self.is_dead = False

    def reach(self, kind: str, what: str) -> str | None:
        """Pass a place. Return the error that the caller makes happen there, or nothing."""
        if not self.is_on:
            return None
        with self._lock:
            if self.is_dead:
                raise Crash
            point = Point(len(self.passed), kind, what)
            self.passed.append(point)
            fault = self._fault
            if fault is None or fault.index != point.index:
                return None
            if fault.name not in (*FAULTS[kind], "kill"):
                return None  # threads came in another order than when the places were counted
            self.struck = point
        if fault.name == "crash":
            self.is_dead = True
            raise Crash
        if fault.name == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.name in CLOCK:
            self._shift(CLOCK[fault.name], False)
            return None
        if fault.name == "slow":
            self._shift(timedelta(seconds=90), True)
            return None
        return fault.name

    def die(self) -> None:
        """Crash here, after the caller has left something half-done."""
        self.is_dead = True
        raise Crash


POINTS = Points()
