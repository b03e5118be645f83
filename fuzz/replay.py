"""Inputs run without atheris: single files, the committed corpus, and what a long run left to be judged.

What is measured here counts: instrumented code is several times slower than the library is.
"""

from __future__ import annotations

import functools
import gc
import sys
import time
import tracemalloc
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType

from fuzz import rules
from fuzz.targets import Target

FOLDER = Path(__file__).parent
CORPUS = FOLDER / "corpus"
SLOWEST_S = 1.0
_SOME = 100
_CACHES = (FunctionType, functools._lru_cache_wrapper)
GROWTH_MAX_BYTES = 256 * 1024


@dataclass(frozen=True)
class Timing:
    """CPU time of one input; other work on the machine does not count."""

    seconds: float
    data: bytes


def corpus_of(name: str) -> list[bytes]:
    """The committed inputs of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def run_timed(target: Target, data: bytes) -> Timing:
    """Run one input; a rule that is broken raises."""
    begin = time.thread_time()
    target.run(data)
    return Timing(time.thread_time() - begin, data)


def some_of(folder: str) -> list[bytes]:
    """Some inputs of a folder; they run many times, under a slow tracer."""
    files = sorted(Path(folder).glob("*")) if folder else []
    return [path.read_bytes() for path in files[:: max(len(files) // _SOME, 1)]]


def growth_of(target: Target, inputs: Iterable[bytes]) -> int:
    """Octets that stay allocated after the inputs have run once more, with every cache emptied."""
    inputs = list(inputs)
    _run_all(target, inputs)  # what is made once
    tracemalloc.start()
    try:
        _run_all(target, inputs)
        before, _ = tracemalloc.get_traced_memory()
        _run_all(target, inputs)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before


def _run_all(target: Target, inputs: Iterable[bytes]) -> None:
    for data in inputs:
        target.run(data)
    for cache in caches():
        cache.cache_clear()
    rules.forget()
    gc.collect()


def check_growth(target: Target, inputs: Iterable[bytes]) -> None:
    """Raise when memory grows with the number of inputs.

    Raises:
        fuzz.rules.Broken: it does.
    """
    grown = growth_of(target, inputs)
    rules.require(grown <= GROWTH_MAX_BYTES, f"{grown} octets more after the same inputs")


def caches() -> list[functools._lru_cache_wrapper[object]]:
    """Every ``lru_cache`` of the library that has been loaded."""
    found = []
    for name, module in list(sys.modules.items()):
        if name.startswith("onecert.verifier"):
            # By type, since a stand-in of a web framework answers every question only within a request.
            values = [value for value in vars(module).values() if type(value) in _CACHES]
            values = [value for value in values if hasattr(value, "cache_parameters")]
            found += [value for value in values if value.__module__ == name]
    return found
