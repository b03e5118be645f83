"""All targets, as many at a time as there are processors, each in processes of its own, within one amount of
time.

A target that dies is started again with another seed while its share of the time lasts, and never stops the
others. New inputs go to ``build/fuzz/corpus``, findings to ``build/fuzz/findings``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fuzz import targets
from fuzz.replay import CORPUS, FOLDER

ROOT = FOLDER.parent
WORK = ROOT / "build" / "fuzz"
# The first seconds of a process go to importing instrumented code; less is not worth starting for.
_SECONDS_MIN = 3
_STARTS_MAX = 4
# Beyond its time a child may finish an input, which libFuzzer's alarm bounds, and print its figures.
_PATIENCE_S = 60
# Caches fill in the first half of a run; what is added after that is growth.
_GROWTH_MAX_MB = 160
_GROWTH_SAMPLES_MIN = 20
# A share as long as this has time for the same inputs over and over, under a tracer of memory.
_SHARE_WITH_TRACER_S = 120
_TRACER_S = 60
_COVERAGE = re.compile(r"\bcov: (\d+) ft: (\d+)")
_ADDED = re.compile(r"^stat::new_units_added:\s+(\d+)", re.MULTILINE)
_PEAK = re.compile(r"^stat::peak_rss_mb:\s+(\d+)", re.MULTILINE)
_ARTIFACTS = ("crash-*", "timeout-*", "oom-*", "leak-*")


@dataclass
class Summary:
    """One line of the report."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    coverage: int = 0
    features: int = 0
    new_corpus_items: int = 0
    slowest_ms: float = 0.0
    peak_rss_mb: int = 0
    rss_growth_mb: int = 0
    starts: int = 0
    findings: list[str] = field(default_factory=list)


def main(arguments: Sequence[str]) -> int:
    """Run and report; exit code 1 on a finding."""
    options = argparse.ArgumentParser(prog="python fuzz run")
    options.add_argument("--seconds", type=float, default=120, help="for all targets together (default 120)")
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at a time")
    options.add_argument("--seed", type=int, default=0, help="0 takes another one every time")
    options.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(targets.NAMES)}")
    chosen = options.parse_args(arguments)
    names = chosen.targets or list(targets.NAMES)
    unknown = [name for name in names if name not in targets.NAMES]
    if unknown:
        options.error(f"no target {', '.join(unknown)}; there are {', '.join(targets.NAMES)}")
    if importlib.util.find_spec("atheris") is None:
        print(
            "fuzz: atheris is not installed, so there is no coverage to be guided by\n"
            "hint: it exists for CPython before 3.15 on Linux: pip install -r requirements/test.txt there;\n"
            "      the ordinary tests replay the corpus without it",
            file=sys.stderr,
        )
        return 3
    seed = chosen.seed or time.time_ns() % (1 << 31)
    deadline = time.monotonic() + chosen.seconds
    jobs = max(1, min(chosen.jobs, len(names)))

    def fuzz(index: int) -> Summary:
        # Those that come now share what is left of the time with those that come later.
        turns = -(-(len(names) - index) // jobs)
        summary = _fuzz(names[index], (deadline - time.monotonic()) / turns, seed + index)
        print(json.dumps(asdict(summary)), flush=True)
        return summary

    with ThreadPoolExecutor(jobs) as pool:
        summaries = list(pool.map(fuzz, range(len(names))))
    found = [file for summary in summaries for file in summary.findings]
    total = sum(summary.inputs for summary in summaries)
    print(f"fuzz: {total} inputs, {len(found)} findings, seed {seed}", file=sys.stderr)
    for summary in summaries:
        for place in summary.findings:
            is_input = not place.startswith("memory") and not place.endswith(".log")
            hint = f"replay with: python fuzz {summary.target} " if is_input else f"{summary.target}: "
            print(f"fuzz: {hint}{place}", file=sys.stderr)
    return 1 if found else 0


def _fuzz(name: str, share_s: float, seed: int) -> Summary:
    """One target, for its share of the time."""
    summary = Summary(name)
    grown, findings = WORK / "corpus" / name, WORK / "findings" / name
    for folder in (grown, findings, CORPUS / name):
        folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    is_traced = share_s >= _SHARE_WITH_TRACER_S
    fuzz_s = share_s - _TRACER_S if is_traced else share_s
    with tempfile.TemporaryDirectory(prefix="onecert-fuzz-") as place:
        seeds = Path(place) / "seeds"
        write_seeds(name, seeds)
        while summary.starts < _STARTS_MAX:
            left = fuzz_s - (time.monotonic() - begin)
            if summary.starts and left < _SECONDS_MIN:
                break
            folder = Path(place) / str(summary.starts)
            folder.mkdir()
            summary.starts += 1
            corpora = [str(each) for each in (grown, CORPUS / name, seeds)]
            died = _start(name, folder, max(int(left), 1), seed + 1000 * summary.starts, corpora, summary)
            summary.findings += _keep(name, folder, findings, died)
            if not died:
                break
    if summary.rss_growth_mb > _GROWTH_MAX_MB:
        summary.findings.append(f"memory: {summary.rss_growth_mb} MB more in the second half of a run")
    if is_traced:
        summary.findings += _trace(name, grown)
    summary.seconds = round(time.monotonic() - begin, 1)
    return summary


def _trace(name: str, folder: Path) -> list[str]:
    """What inputs leave behind, without instrumentation."""
    command = [sys.executable, str(FOLDER), "growth", name, str(folder)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, check=False, timeout=2 * _TRACER_S, text=True
        )
    except subprocess.TimeoutExpired:
        return [f"memory: python fuzz growth {name} did not end"]
    return [f"memory: {(done.stdout or done.stderr)[-300:].strip()}"] if done.returncode else []


def write_seeds(name: str, folder: Path) -> None:
    """Make the first inputs of a target in a new folder."""
    folder.mkdir()
    for index, data in enumerate(targets.load(name).seeds()):
        (folder / f"{index:03}").write_bytes(data)


def _start(name: str, folder: Path, seconds: int, seed: int, corpora: list[str], summary: Summary) -> str:
    """One process. Answers why it died, or nothing."""
    end = f"{time.time() + seconds:.0f}"
    command = [sys.executable, str(FOLDER), "child", name, str(folder), end, str(seed), *corpora]
    log = folder / "log"
    died = ""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            code = process.wait(timeout=seconds + _PATIENCE_S)
            died = f"exit code {code}" if code else ""
        except subprocess.TimeoutExpired:
            died = f"no end {_PATIENCE_S} s after its time"
        finally:
            process.kill()
            process.wait()
    _read(folder, log.read_text("utf-8", "replace"), summary)
    return died


def _read(folder: Path, log: str, summary: Summary) -> None:
    """Add the figures of one process to those of its target."""
    try:
        status: dict[str, Any] = json.loads((folder / "status.json").read_text())
    except (OSError, ValueError):
        status = {"inputs": 0, "slowest_ms": 0.0, "rss_mb": []}
    summary.inputs += status["inputs"]
    summary.slowest_ms = max(summary.slowest_ms, status["slowest_ms"])
    for coverage, features in _COVERAGE.findall(log)[-1:]:
        summary.coverage = max(summary.coverage, int(coverage))
        summary.features = max(summary.features, int(features))
    summary.new_corpus_items += sum(map(int, _ADDED.findall(log)))
    levels: list[int] = status["rss_mb"]
    summary.peak_rss_mb = max(summary.peak_rss_mb, *levels, *map(int, _PEAK.findall(log)), 0)
    if len(levels) >= _GROWTH_SAMPLES_MIN:
        summary.rss_growth_mb = max(summary.rss_growth_mb, levels[-1] - max(levels[: len(levels) // 2]))


def _keep(name: str, folder: Path, findings: Path, died: str) -> list[str]:
    """Move what must be looked at, and judge without instrumentation what was only slow."""
    kept = []
    artifacts = [file for pattern in _ARTIFACTS for file in folder.glob(pattern)]
    for file in (*folder.glob("finding-*"), *artifacts):
        target = findings / file.name
        target.write_bytes(file.read_bytes())
        if file.suffix != ".txt":
            kept.append(str(target.relative_to(ROOT)))
    if died and not artifacts:
        # It died of something that no input is known for.
        target = findings / f"died-{time.time_ns()}.log"
        target.write_text(f"{died}\n" + (folder / "log").read_text("utf-8", "replace")[-20_000:])
        kept.append(str(target.relative_to(ROOT)))
    for file in folder.glob("slow-*"):
        command = [sys.executable, str(FOLDER), name, str(file)]
        try:
            fine = (
                subprocess.run(
                    command, cwd=ROOT, capture_output=True, check=False, timeout=_PATIENCE_S
                ).returncode
                == 0
            )
        except subprocess.TimeoutExpired:
            fine = False
        if not fine:
            target = findings / file.name
            target.write_bytes(file.read_bytes())
            kept.append(str(target.relative_to(ROOT)))
    return kept
