"""The frame of every measurement: ours, floor and peer in turn, medians of interleaved rounds, ratios.

A rate is counted in the contender's own unit of work per second, so that higher is better and a ratio above 1
means that we are faster. The machine's drift hits all contenders of a row alike, because they take turns.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Work = Callable[[], Any]  # one unit of work, or `batch` units when the row says so


@dataclass
class Row:
    """One figure to measure. ``floor`` is what cannot be beaten (a raw signature, the raw token); ``peer`` a rival."""

    name: str
    unit: str
    ours: Work
    floor: Work | None = None
    floor_name: str = ""
    peer: Work | None = None
    peer_name: str = ""
    batch: int = 1  # units of work in one call of ours
    floor_batch: int = 1
    peer_batch: int = 1
    close: Callable[[], None] = field(default=lambda: None)


def rate(work: Work, seconds: float, batch: int) -> float:
    """Units of work per second, over at least ``seconds`` and at least three calls."""
    calls, began = 0, time.perf_counter()
    while True:
        work()
        calls += 1
        passed = time.perf_counter() - began
        if passed >= seconds and calls >= 3:
            return calls * batch / passed


def measure(row: Row, *, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure one row and return it in the form of the design: medians, ratios, spread of ours in percent."""
    ours: list[float] = []
    floor: list[float] = []
    peer: list[float] = []
    contenders = [(row.ours, row.batch, ours), (row.floor, row.floor_batch, floor), (row.peer, row.peer_batch, peer)]
    for work, _, _ in contenders:
        if work:
            work()  # warm: caches filled, sessions open
    for _ in range(rounds):
        for work, batch, into in contenders:
            if work:
                into.append(rate(work, seconds, batch))

    def against(other: list[float]) -> float | None:
        # Pair by pair, so that drift of the machine cancels out.
        return round(statistics.median(a / b for a, b in zip(ours, other, strict=True)), 3) if other else None

    middle = statistics.median(ours)
    return {
        "name": row.name,
        "unit": row.unit,
        "ours": round(middle, 1),
        "floor": round(statistics.median(floor), 1) if floor else None,
        "floor_name": row.floor_name,
        "floor_ratio": against(floor),
        "peer": row.peer_name or None,
        "peer_value": round(statistics.median(peer), 1) if peer else None,
        "peer_ratio": against(peer),
        "runs": rounds,
        "spread": round(100 * (max(ours) - min(ours)) / middle, 1),
    }
