"""One run of a scenario with one fault, and a whole sweep of them."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from sweep_hooks import hooked
from sweep_invariants import ListWatch, broken, watch_signing
from sweep_points import FAULTS, POINTS, Crash, Fault, Point
from sweep_scenarios import SCENARIOS, NotNowError, Scenario, small_chunks
from sweep_worlds import Place, Prepared

from onecert.ca import api, member
from onecert.hsm import TokenError
from onecert.server.errors import ServiceError

__all__ = ["Report", "sweep"]

# What an act may say when something it needs is away; anything else says nothing to a person.
EXPECTED = (ServiceError, TokenError, NotNowError, OSError)
PASSING = timedelta(seconds=61)
# One asks another service; what the others find is asked in `broken`, where it counts.
LEFT_OUT = frozenset(("ca.reports", "ca.check", "ca.check-lists"))
# The web application of each world costs as much as a third of all else, so not every act comes over HTTP.
HTTP_EVERY = 3
# However slow the machine is, so many faults are injected.
AT_LEAST = 40


class _LaterApp:
    """The web application of a world, made when it is asked: few acts come over HTTP, and it costs most."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments
        self._made: Any = None

    def test_client(self) -> Any:
        self._made = self._made or api.create_app(*self._arguments)
        return self._made.test_client()


@dataclass
class Report:
    """What a sweep did and found."""

    engine: str
    seed: int
    points: Counter[str] = field(default_factory=Counter)  # places, by scenario
    faults: Counter[str] = field(default_factory=Counter)  # injected, by kind of fault
    kills: int = 0
    planned: int = 0  # runs; fewer are done when the time is up
    done: int = 0
    not_reached: int = 0
    answers: Counter[str] = field(default_factory=Counter)  # what the first attempt said
    broken: list[str] = field(default_factory=list)
    seconds: float = 0

    @property
    def injected(self) -> int:
        return sum(self.faults.values()) + self.kills

    def line(self) -> str:
        return (
            f"{self.engine}: {sum(self.points.values())} places in {len(self.points)} scenarios,"
            f" {sum(self.faults.values())} faults and {self.kills} kills injected in {self.seconds:.0f} s"
            f" ({self.injected / max(self.seconds, 0.1):.1f}/s; {self.done} of {self.planned} runs),"
            f" {len(self.broken)} broken invariants"
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "engine": self.engine,
            "seed": self.seed,
            "places": dict(self.points),
            "faults": dict(self.faults),
            "kills": self.kills,
            "runs": self.done,
            "planned": self.planned,
            "not_reached": self.not_reached,
            "answers": dict(self.answers),
            "broken": self.broken,
            "seconds": round(self.seconds, 1),
        }


def sweep(
    place: Place,
    *,
    seed: int = 1,
    every: int = 1,
    kills: int = 20,
    thorough: bool = False,
    only: Sequence[str] = (),
    at_most_s: float | None = None,
    tell: Callable[[str], None] = lambda _line: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Report:
    """Run every scenario with a fault at every place.

    Args:
        every: only every so many-th run, beginning at a place that the seed chooses.
        kills: so many runs, spread over all, are done by a process that is killed.
        thorough: every fault at every place; otherwise a crash at every place, and the others in turns.
        at_most_s: stop then; runs are taken in an order that the seed shuffles.
    """
    logging.disable(logging.CRITICAL)
    report, chosen = Report(place.engine, seed), random.Random(seed)
    begun = time.monotonic()
    try:
        with hooked(), small_chunks(), patch.object(member, "create_app", _LaterApp):
            runs: list[tuple[Scenario, Prepared, Point, str]] = []
            for scenario in SCENARIOS:
                if only and scenario.name not in only:
                    continue
                prepared = place.prepare(scenario.prepare)
                found = _places(place, scenario, prepared)
                report.points[scenario.name] = len(found)
                runs += [
                    (scenario, prepared, point, name)
                    for point in found
                    for name in _faults_at(point, seed, thorough=thorough)
                ]
            runs = runs[chosen.randrange(every) :: every]
            if at_most_s is not None:
                chosen.shuffle(runs)
            crashes = [each for each in runs if each[3] == "crash"]
            if at_most_s is None:
                chosen.shuffle(crashes)
            killed = {id(each) for each in crashes[:kills]}  # where time is short, the first to be done
            report.planned = len(runs)
            for number, each in enumerate(runs):
                is_late = at_most_s is not None and time.monotonic() - begun > at_most_s
                if stopped() or (is_late and report.injected >= AT_LEAST):
                    break
                if number % 100 == 0:
                    tell(f"{number}/{len(runs)} {each[0].name}, {len(report.broken)} broken")
                before = len(report.broken)
                _run(place, *each, report, is_killed=id(each) in killed)
                report.done += 1
                for line in report.broken[before:]:
                    tell(line)
    finally:
        logging.disable(logging.NOTSET)
    report.seconds = time.monotonic() - begun
    return report


def _places(place: Place, scenario: Scenario, prepared: Prepared) -> list[Point]:
    """Run without a fault: counts the places, and shows that the scenario itself is sound."""
    with place.opened(prepared) as (world, memo):
        _open(world, scenario, memo)
        with POINTS.watched(None, lambda _by, _passes: None) as passed:
            answer = scenario.act(world, memo)
        faults = [*_settled(place, world, scenario, memo, answer, jobs_first=True)]
        if any(faults):
            raise RuntimeError(f"{scenario.name} without any fault: {faults}")
        return list(passed)


def _faults_at(point: Point, seed: int, *, thorough: bool) -> Iterator[str]:
    names = FAULTS[point.kind]
    if thorough:
        yield from names
        return
    yield "crash"
    errors = [name for name in names if name != "crash" and not name.startswith("clock")]
    yield errors[(point.index + seed) % len(errors)]
    clocks = [name for name in names if name.startswith("clock")]
    if clocks and (point.index + seed) % 3 == 0:
        yield clocks[(point.index // 3 + seed) % len(clocks)]


def _open(world: Any, scenario: Scenario, memo: dict[str, Any]) -> None:
    assert scenario.is_start or world.service is not None
    memo["at"] = world.clock.now
    scenario.opened(world, memo)


def _run(
    place: Place,
    scenario: Scenario,
    prepared: Prepared,
    point: Point,
    name: str,
    report: Report,
    *,
    is_killed: bool,
) -> None:
    name = "kill" if is_killed else name
    fault = Fault(point.index, name)
    about = f"{scenario.name} [{point.index} {point.kind} {point.what}] {name}"
    faults: list[str] = []
    with place.opened(prepared, keep_tokens=name == "kill") as (world, memo):
        answer: Any = None
        memo["by_http"] = point.index % HTTP_EVERY == 0
        if name == "kill":
            struck = _killed(place, world, scenario, memo, fault)
            place.reopen(world)
            world.token.read_back()
            world.roots.read_back()
            watch = ListWatch(world)
            faults += watch.look()
        else:
            _open(world, scenario, memo)
            watch = ListWatch(world)
            watch_signing(world, faults)
            true_time = world.clock.now()
            passed = timedelta(0)

            def shift(by: timedelta, passes: bool) -> None:
                nonlocal passed
                if passes:
                    world.clock.advance(by)
                    passed += by
                else:
                    world.clock.set(world.clock.now() + by)

            with POINTS.watched(fault, shift):
                try:
                    answer = scenario.act(world, memo)
                except Crash:
                    report.answers["crash"] += 1
                except EXPECTED as exc:
                    report.answers[getattr(exc, "code", type(exc).__name__)] += 1
                except Exception as exc:  # what nobody expected is a finding
                    faults.append(f"said nothing sensible: {type(exc).__name__}: {exc}"[:300])
                else:
                    report.answers["answered"] += 1
            struck = POINTS.struck is not None
            world.clock.set(true_time + passed)
            world.swept_beside.close()
            world.token.before_signing = world.roots.before_signing = lambda _signature: None
            faults += watch.look()
            if name == "crash":
                place.reopen(world)
        if not struck:
            report.not_reached += 1
        try:
            _open(world, scenario, memo)
            faults += watch.look()
            faults += _settled(place, world, scenario, memo, answer, jobs_first=point.index % 2 == 0)
            faults += watch.look()
        except Exception as exc:  # whatever ends the sweep's own look is a finding, too
            faults.append(f"did not come back: {type(exc).__name__}: {exc}"[:500])
    if name == "kill":
        report.kills += struck
    elif struck:
        report.faults[name] += 1
    report.broken += [f"{about}: {each}" for each in faults]


def _killed(place: Place, world: Any, scenario: Scenario, memo: dict[str, Any], fault: Fault) -> bool:
    """Let a process of its own do the act and be killed; tell whether it was."""
    world.context.database.close()
    place.end_connections(world.swept_url)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            place.reopen(world)
            _open(world, scenario, memo)
            with POINTS.watched(fault, lambda _by, _passes: None):
                scenario.act(world, memo)
            status = 0
        finally:
            os._exit(status)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _settled(
    place: Place, world: Any, scenario: Scenario, memo: dict[str, Any], answer: Any, *, jobs_first: bool
) -> Iterator[str]:
    """Let the jobs run and the client ask again, in either order; then everything must be as it should."""
    if jobs_first:
        # What a person has begun and must go on with may keep a job from its work until then.
        with suppress(ServiceError):
            _run_jobs(world)
    again = scenario.act(world, memo)
    if answer is not None and dict(again) != dict(answer):
        yield f"what was answered is not so any more: {dict(answer)} / {dict(again)}"[:600]
    _run_jobs(world)
    yield from scenario.look(world, memo, again)
    yield from broken(world)


def _run_jobs(world: Any) -> None:
    world.clock.advance(PASSING)
    for job in world.service.jobs:
        if job.name not in LEFT_OUT:
            job.run(world.clock.now())
