"""A seeded sample of the fault sweep, on both engines; `make sweep` runs it in full."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sweep_runner import AT_LEAST, sweep
from sweep_scenarios import SCENARIOS
from sweep_worlds import Place, postgresql_place, sqlite_place

SECONDS = 25
SEED = int(os.environ.get("SWEEP_SEED", "1"))


def run(place: Place, record_property: Callable[[str, object], None]) -> None:
    report = sweep(place, seed=SEED, kills=3, at_most_s=SECONDS)
    record_property("sweep", report.line())
    assert report.broken == []
    assert report.injected >= AT_LEAST
    assert len(report.points) == len(SCENARIOS)  # a scenario without a place would prove nothing
    assert all(report.points.values())


@pytest.mark.timeout(900)
def test_nothing_is_lost_doubled_or_half_done_on_sqlite(tmp_path: Path, record_property: Any) -> None:
    run(sqlite_place(tmp_path), record_property)


@pytest.mark.postgres
@pytest.mark.timeout(900)
def test_nothing_is_lost_doubled_or_half_done_on_postgresql(
    tmp_path: Path, postgresql_server: Path, record_property: Any
) -> None:
    with postgresql_place(tmp_path, postgresql_server) as place:
        run(place, record_property)
