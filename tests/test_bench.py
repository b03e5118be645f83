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
    "peers",
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
        for peer in row["peers"]:
            assert set(peer) == {"name", "value", "ratio"}
        first = row["peers"][0]
        assert [row["peer"], row["peer_value"], row["peer_ratio"]] == list(first.values())


def test_every_row_of_the_verifier_runs(tmp_path: Path) -> None:
    """Short lists, one short round: each row has its floor and its peers, whatever their figures."""
    out = tmp_path / "results.json"
    options = ["--only", "verifier", "--rounds", "1", "--seconds", "0.01", "--entries", "5000"]
    done = run(*options, "--out", str(out))
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(out.read_text("utf-8"))}
    assert list(rows) == [name for name in run("--list").stdout.split() if name.startswith("verifier.")]
    for name, row in rows.items():
        assert set(row) == FORM
        assert row["ours"] > 0, name
        assert row["floor"] > 0, name
        asked = " ".join(peer["name"] for peer in row["peers"])
        if name.startswith(("verifier.warm", "verifier.cold")):
            for peer in ("pyOpenSSL", "cryptography", "pyhanko-certvalidator"):
                assert peer in asked, name
    for name in ("verifier.crl.load.1000000", "verifier.crl.memory.1000000"):
        assert rows[name]["unit"].endswith("(less is better)")


def test_names_are_the_promised_ones(tmp_path: Path) -> None:
    done = run("--list")
    assert done.returncode == 0, done.stderr
    names = done.stdout.split()
    assert len(names) == len(set(names))
    assert {"hsm.sign.rsa2048", "ca.issue.process.p256", "ca.issue.http.p256"} <= set(names)
    assert {"verifier.warm.rsa2048.crl1000000", "verifier.cold.p256", "pmi.decide"} <= set(names)
    assert {"verifier.batch.p256", "verifier.crl.load.1000000", "verifier.sm2.chain"} <= set(names)
    assert {"verifier.form.cms", "verifier.form.stamped", "verifier.evidence.check"} <= set(names)


def test_a_name_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = run("--only", "hsm.nothing", "--out", str(tmp_path / "results.json"))
    assert done.returncode == 2
    assert "hsm.nothing" in done.stderr
    assert not (tmp_path / "results.json").exists()


def test_rate_counts_units_per_second(harness: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten units in five milliseconds each time, by a clock that the work itself moves on."""
    now = [0.0]

    def work() -> None:
        now[0] += 0.005

    monkeypatch.setattr(harness.time, "perf_counter", lambda: now[0])
    contender = harness.Contender(work=work, batch=10)
    assert contender.rate(0.1) == pytest.approx(2000)


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
    assert measured["peers"] == []


def test_a_ratio_above_one_is_better_for_us_whatever_is_measured(harness: ModuleType) -> None:
    """We need 2 s or MiB where the floor needs 1 and a peer 8; the peer takes part in one round only."""
    calls = []

    def by_peer() -> float:
        calls.append(8.0)
        return 8.0

    row = harness.Row(
        unit=f"MiB{harness.LESS_IS_BETTER}",
        ours=harness.Amount(work=lambda: 2.0),
        floor=harness.Amount(work=lambda: 1.0, name="bytes"),
        peers=[harness.Amount(work=by_peer, name="slow", rounds=1)],
    )
    measured = harness.measure("a.b", row, rounds=3, seconds=0.01)
    assert (measured["ours"], measured["floor_ratio"], measured["peer_ratio"]) == (2.0, 0.5, 4.0)
    assert measured["peers"] == [{"name": "slow", "value": 8.0, "ratio": 4.0}]
    assert calls == [8.0]


def test_seconds_for_each_unit(harness: ModuleType) -> None:
    contender = harness.Seconds(work=lambda: time.sleep(0.02), batch=4, calls_min=1)
    assert 0.005 <= contender.measure(0.01) < 0.05
