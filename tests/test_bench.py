"""`make bench`: the form of its rows, and that a rate is a rate."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
FORM = {
    "name",
    "unit",
    "ours",
    "floor",
    "floor_ratio",
    "peer",
    "peer_value",
    "peer_ratio",
    "runs",
    "spread",
}


@pytest.fixture(scope="module")
def harness() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_harness", ROOT / "bench" / "harness.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.token
def test_rows_have_the_form(softhsm_store: Path, tmp_path: Path) -> None:
    names = ["hsm.sign.p256", "verifier.warm.p256.nocrl"]
    out = tmp_path / "results.json"
    options = ["--only", ",".join(names), "--rounds", "1", "--seconds", "0.05", "--out", str(out)]
    done = run(*options)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text("utf-8"))
    assert [row["name"] for row in rows] == names
    assert [json.loads(line) for line in done.stdout.splitlines()] == rows
    for row in rows:
        assert set(row) == FORM
        assert isinstance(row["unit"], str)
        assert isinstance(row["peer"], str)
        assert row["runs"] == 1
        for value in ("ours", "floor", "floor_ratio", "peer_value", "peer_ratio"):
            assert row[value] > 0, (row["name"], value)
        assert row["floor_ratio"] == pytest.approx(row["ours"] / row["floor"], rel=0.01)


def test_names_are_the_promised_ones(tmp_path: Path) -> None:
    done = run("--list")
    assert done.returncode == 0, done.stderr
    names = done.stdout.split()
    assert len(names) == len(set(names))
    assert {"hsm.sign.rsa2048", "ca.issue.process.p256", "ca.issue.http.p256"} <= set(names)
    assert {"verifier.warm.rsa2048.crl1000000", "verifier.cold.p256", "pmi.decide"} <= set(names)


def test_a_name_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = run("--only", "hsm.nothing", "--out", str(tmp_path / "results.json"))
    assert done.returncode == 2
    assert "hsm.nothing" in done.stderr
    assert not (tmp_path / "results.json").exists()


def test_rate_counts_units_per_second(harness: ModuleType) -> None:
    contender = harness.Contender(work=lambda: time.sleep(0.005), batch=10)
    assert 1000 < contender.rate(0.1) < 2001


def test_threads_work_at_the_same_time(harness: ModuleType) -> None:
    contender = harness.Contender(work=lambda: time.sleep(0.01), threads=4)
    assert 150 < contender.rate(0.2) < 401


def test_each_input_is_used_once_and_a_supply_that_ends_ends_the_measurement(harness: ModuleType) -> None:
    made = iter(range(1000))
    supply = harness.Supply(lambda: next(made), per_second=100)
    used = []

    def work() -> None:
        used.append(supply.take())
        time.sleep(0.001)

    rate = harness.Contender(work=work, prepare=supply.refill).rate(0.5)
    assert used == list(range(100))
    assert 100 < rate < 1001


def test_failure_of_a_thread_fails_the_row(harness: ModuleType) -> None:
    def work() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        harness.Contender(work=work, threads=2).rate(0.05)


def test_ratios_are_taken_pair_by_pair(harness: ModuleType) -> None:
    row = harness.Row(
        unit="naps/s",
        ours=harness.Contender(work=lambda: time.sleep(0.002)),
        floor=harness.Contender(work=lambda: time.sleep(0.001)),
    )
    measured = harness.measure("a.b", row, rounds=3, seconds=0.03)
    assert set(measured) == FORM
    assert 0.2 < measured["floor_ratio"] < 1
    assert measured["peer"] is measured["peer_value"] is measured["peer_ratio"] is None
