"""The frame of every measurement: ours, floor and peer take turns; medians of rounds; ratios pair by pair.

A figure is a rate, in units of work per second, so that a ratio above 1 means that we are the faster one. The
machine's drift hits all contenders of a row alike, because they take turns.
"""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Maker = Callable[[str], Iterator["Row"]]

# A look at the clock costs a tenth of a microsecond; short work is done this long between two looks.
BETWEEN_LOOKS_S = 0.001
CALLS_MIN = 3


class EmptyError(Exception):
    """The inputs that were made before the measurement are used up: it ends early."""


class Supply(Generic[T]):
    """Inputs for work that needs a new one each time, made while no clock runs.

    Args:
        make: makes one input.
        per_second: how many a second may be used; learns when more are.
    """

    def __init__(self, make: Callable[[], T], *, per_second: int) -> None:
        self._make = make
        self._per_second = per_second
        self._ready: deque[T] = deque()
        self._offered = 0
        self._emptied = False

    def take(self) -> T:
        """Hand out one input, each only once. Raises EmptyError."""
        try:
            return self._ready.popleft()
        except IndexError:
            self._emptied = True
            raise EmptyError from None

    def refill(self, seconds: float) -> None:
        """Make enough for a measurement of so many seconds."""
        if self._emptied:
            self._per_second, self._emptied = self._per_second * 2, False
        wanted = int(self._per_second * seconds) + 50
        while len(self._ready) < wanted:
            self._ready.append(self._make())


@dataclass(kw_only=True)
class Contender:
    """Somebody who does the work of a row.

    Args:
        work: does `batch` units of work; with several `threads`, all of them call it.
        prepare: is told the seconds of each measurement before its clock runs.
    """

    work: Callable[[], Any]
    name: str = ""
    batch: int = 1
    threads: int = 1
    prepare: Callable[[float], None] = lambda seconds: None

    def rate(self, seconds: float) -> float:
        """Measure once: units of work per second, over at least so many seconds and three calls."""
        self.prepare(seconds)
        gc.collect()
        gc.freeze()  # or the collector would look through our inputs during the measurement
        try:
            if self.threads == 1:
                calls, passed = self._run(seconds, time.perf_counter())
            else:
                calls, passed = self._run_threads(seconds)
        finally:
            gc.unfreeze()
        return calls * self.batch / passed

    def _run(self, seconds: float, began: float) -> tuple[int, float]:
        calls, at_once, work = 0, 1, self.work
        try:
            while True:
                for _ in repeat(None, at_once):
                    work()
                calls += at_once
                passed = time.perf_counter() - began
                if passed >= seconds and calls >= CALLS_MIN:
                    return calls, passed
                at_once = max(1, min(int(calls / passed * BETWEEN_LOOKS_S), at_once * 2))
        except EmptyError:
            # What was done since the last look is not counted; neither is its time.
            if not calls:
                raise
            return calls, passed

    def _run_threads(self, seconds: float) -> tuple[int, float]:
        counts, failures = [], []
        began = time.perf_counter()

        def run() -> None:
            calls = 0
            try:
                while time.perf_counter() - began < seconds:
                    self.work()
                    calls += 1
            except EmptyError:
                pass
            except BaseException as exc:
                failures.append(exc)
            counts.append(calls)

        threads = [threading.Thread(target=run, daemon=True) for _ in range(self.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        passed = time.perf_counter() - began
        if failures:
            raise failures[0]
        return sum(counts), passed


@dataclass(kw_only=True)
class Row:
    """One figure. The floor cannot be beaten (a raw signature); the peer is what others use."""

    unit: str
    ours: Contender
    floor: Contender | None = None
    peer: Contender | None = None
    notes: list[str] = field(default_factory=list)  # said on stderr: why there is no peer, for example


_benchmarks: dict[str, Callable[[str], AbstractContextManager[Row]]] = {}


def benchmark(*names: str) -> Callable[[Maker], Maker]:
    """Register a generator that sets up the row of a name, yields it, and clears up."""

    def register(maker: Maker) -> Maker:
        for name in names:
            if name in _benchmarks:
                raise ValueError(f"two benchmarks are called {name}")
            _benchmarks[name] = contextmanager(maker)
        return maker

    return register


def names(prefixes: tuple[str, ...] = ("",)) -> list[str]:
    """The registered names that begin so, in their order."""
    return [name for name in _benchmarks if name.startswith(prefixes)]


def set_up(name: str) -> AbstractContextManager[Row]:
    """The row of a name, for a `with` statement."""
    return _benchmarks[name](name)


def measure(name: str, row: Row, *, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure one row: medians, ratios, and the spread of ours in percent of its median."""
    contenders = [contender for contender in (row.ours, row.floor, row.peer) if contender is not None]
    rates: dict[int, list[float]] = {id(contender): [] for contender in contenders}
    for contender in contenders:
        contender.rate(min(seconds, 0.1))  # warm: caches filled, sessions and connections open
    for _ in range(rounds):
        for contender in contenders:
            rates[id(contender)].append(contender.rate(seconds))

    ours = rates[id(row.ours)]
    middle = statistics.median(ours)
    return {
        "name": name,
        "unit": row.unit,
        "ours": _rounded(middle),
        "floor": _median(rates, row.floor),
        "floor_ratio": _against(rates, row.ours, row.floor),
        "peer": row.peer.name if row.peer is not None else None,
        "peer_value": _median(rates, row.peer),
        "peer_ratio": _against(rates, row.ours, row.peer),
        "runs": rounds,
        "spread": round(100 * (max(ours) - min(ours)) / middle, 1),
    }


def _median(rates: dict[int, list[float]], contender: Contender | None) -> float | None:
    return _rounded(statistics.median(rates[id(contender)])) if contender is not None else None


def _against(rates: dict[int, list[float]], ours: Contender, other: Contender | None) -> float | None:
    if other is None:
        return None
    # Pair by pair, so that drift of the machine cancels out.
    pairs = zip(rates[id(ours)], rates[id(other)], strict=True)
    ratio = statistics.median(a / b for a, b in pairs)
    return float(f"{ratio:.4g}")


def _rounded(rate: float) -> float:
    return round(rate, 1) if rate < 10_000 else float(round(rate))
