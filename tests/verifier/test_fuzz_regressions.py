"""The fuzz targets without a fuzzer: seeds, the committed corpus, and what fuzzing once found.

`make fuzz` looks for new inputs; here the known ones run in the ordinary tests, on machines without atheris
too, with the rules of ``fuzz/rules.py``.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from fuzz import mutator, replay, rules, tree  # noqa: E402  lies beside the tests, not in a package
from fuzz.targets import NAMES, Target, load  # noqa: E402

CORPUS_MAX_BYTES = 300 * 1024


@pytest.fixture(params=NAMES)
def target(request: pytest.FixtureRequest) -> Target:
    return load(request.param)


def inputs(target: Target) -> list[bytes]:
    return [b"", *target.seeds(), *replay.corpus_of(target.name)]


def mutants(target: Target, count: int) -> Iterator[bytes]:
    """The same ones at every run."""
    chance = random.Random(target.name)
    seeds = list(target.seeds())
    for number in range(count):
        seed = chance.choice(seeds)
        if target.is_der:
            yield mutator.mutate(seed, number) or seed
        else:
            where = chance.randrange(len(seed) + 1)
            yield seed[:where] + chance.randbytes(chance.randrange(4)) + seed[where + chance.randrange(3) :]


def test_seeds_and_corpus_keep_the_rules(target: Target) -> None:
    for data in inputs(target):
        replay.run_timed(target, data)


def test_mutants_keep_the_rules(target: Target) -> None:
    for data in mutants(target, 80):
        replay.run_timed(target, data)


def test_inputs_leave_nothing_behind(target: Target) -> None:
    """The same inputs again and again: what they allocate is given back, but for caches that have a bound."""
    replay.check_growth(target, [*inputs(target)[:6], *mutants(target, 4)])


def test_every_cache_of_the_library_has_a_bound() -> None:
    for name in NAMES:
        load(name)
    unbounded = [str(cache) for cache in replay.caches() if cache.cache_parameters()["maxsize"] is None]
    assert replay.caches()
    assert unbounded == []


def test_the_committed_corpus_is_small() -> None:
    files = [path for path in replay.CORPUS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < CORPUS_MAX_BYTES
    assert {path.parent.name for path in files} <= set(NAMES)


def test_seeds_are_the_same_everywhere() -> None:
    """Inputs of the path target are edits of the seeds' material: chance in it would change their meaning."""
    for name in NAMES:
        target = load(name)
        assert list(target.seeds()) == list(target.seeds())


def test_a_broken_rule_is_a_finding() -> None:
    with pytest.raises(rules.Broken):
        rules.check_texts(["a\u202eb"])
    with pytest.raises(ZeroDivisionError):
        rules.answer(lambda: 1 // 0)


def test_the_mutator_makes_lengths_fit() -> None:
    """Most edits keep the whole parseable, or nothing behind the outer length would be reached."""
    seed = next(iter(load("certificate").seeds()))
    made = [mutator.mutate(seed, number) for number in range(200)]
    fitting = [data for data in made if data and tree.parse(data) is not None]
    assert len(fitting) > 120
    assert tree.write(tree.parse(seed) or []) == seed
    assert len(set(made)) > 150
