"""The frame of every measurement: ours, floor and peers take turns; medians of rounds; ratios pair by pair.

A figure is a rate, in units of work per second, or a cost, such as seconds or MiB, of which less is better; a
ratio above 1 means that we are the better one, either way. The machine's drift hits all contenders of a row
alike, because they take turns.
"""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Maker = Callable[[str], Iterator["Row"]]

# A look at the clock costs a tenth of a microsecond; short work is done this long between two looks.
BETWEEN_LOOKS_S = 0.001
WARM_UP_S = 0.1
# Peers are there to be compared with: a part of the time says enough about them.
PEER_SHARE = 0.4
LESS_IS_BETTER = " (less is better)"


@dataclass
class Sizes:
    """How large the large things are; smaller ones only show that a row runs."""

    entries: int = 1_000_000


sizes = Sizes()


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
        calls_min: so many calls are made, however long they take.
        rounds: takes part in so many rounds only, the last ones, and in no warm-up: one call takes seconds,
            and what it leaves in memory would slow the others down.
    """

    work: Callable[[], Any]
    name: str = ""
    batch: int = 1
    threads: int = 1
    prepare: Callable[[float], None] = lambda seconds: None
    calls_min: int = 3
    rounds: int | None = None

    def measure(self, seconds: float) -> float:
        """One figure for the row."""
        return self.rate(seconds)

    def rate(self, seconds: float) -> float:
        """Measure once: units of work per second, over at least so many seconds and `calls_min` calls."""
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
                if passed >= seconds and calls >= self.calls_min:
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
                while not calls or time.perf_counter() - began < seconds:
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


class Seconds(Contender):
    """Measured in seconds for each unit of work."""

    def measure(self, seconds: float) -> float:
        """See `Contender.measure`."""
        return 1 / self.rate(seconds)


class Amount(Contender):
    """Measured by what `work` returns, such as MiB."""

    def measure(self, seconds: float) -> float:
        """See `Contender.measure`."""
        return float(self.work())


@dataclass(kw_only=True)
class Row:
    """One figure. The floor cannot be beaten (a raw signature); the peers are what others use, nearest first.

    A unit that ends in `LESS_IS_BETTER` turns the ratios round.
    """

    unit: str
    ours: Contender
    floor: Contender | None = None
    peers: Sequence[Contender] = ()
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
    others = [*([row.floor] if row.floor else []), *row.peers]
    contenders = [(row.ours, 1.0), *((other, 1.0 if other is row.floor else PEER_SHARE) for other in others)]
    found: dict[int, list[float]] = {id(contender): [] for contender, _ in contenders}
    for contender, _ in contenders:
        if contender.rounds is None:
            contender.measure(min(seconds, WARM_UP_S))  # caches filled, sessions and connections open
    for number in range(rounds):
        for contender, share in contenders:
            if contender.rounds is None or number >= rounds - contender.rounds:
                found[id(contender)].append(contender.measure(seconds * share))

    ours = found[id(row.ours)]
    middle = statistics.median(ours)
    less = row.unit.endswith(LESS_IS_BETTER)

    def against(other: Contender | None) -> tuple[float | None, float | None]:
        """Its median, and ours against it: pair by pair, so that drift of the machine cancels out."""
        if other is None:
            return None, None
        theirs = found[id(other)]
        pairs = zip(ours[-len(theirs) :], theirs, strict=True)
        ratio = statistics.median(b / a if less else a / b for a, b in pairs)
        return _rounded(statistics.median(theirs)), float(f"{ratio:.4g}")

    floor, floor_ratio = against(row.floor)
    peers = [
        dict(zip(("name", "value", "ratio"), (peer.name, *against(peer)), strict=True)) for peer in row.peers
    ]
    first = peers[0] if peers else {"name": None, "value": None, "ratio": None}
    return {
        "name": name,
        "unit": row.unit,
        "ours": _rounded(middle),
        "floor": floor,
        "floor_ratio": floor_ratio,
        "peer": first["name"],
        "peer_value": first["value"],
        "peer_ratio": first["ratio"],
        "peers": peers,
        "runs": rounds,
        "spread": round(100 * (max(ours) - min(ours)) / middle, 1),
    }


def _rounded(figure: float) -> float:
    if figure < 100:
        return float(f"{figure:.4g}")
    return round(figure, 1) if figure < 10_000 else float(round(figure))
