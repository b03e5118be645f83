"""Our verdict beside those of pyhanko-certvalidator, pyOpenSSL and the ``openssl`` command.

An ordinary run draws the same few hundred worlds each time. ``DIFFERENTIAL_EXAMPLES=20000`` draws that many
new ones, ``DIFFERENTIAL_SEED`` others, and the end of the run (``-s``) says how often each row was needed.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from diff_peers import ACCEPT, NOT_ASKED, OPENSSL, PEERS, REFUSE
from diff_rows import ROWS
from diff_strategy import THEMES, worlds
from diff_table import Row, disagreements, explain
from diff_world import World
from hypothesis import HealthCheck, given, seed, settings

EXAMPLES = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "0"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "0")) or (random.getrandbits(32) if EXAMPLES else 20261121)
ORDINARY = 50  # of each theme
TABLE = Path(__file__).parents[3] / "docs" / "verifier-disagreements.md"

pytestmark = pytest.mark.skipif(not OPENSSL, reason="needs the openssl command")


@pytest.fixture(scope="module")
def counts() -> Iterator[Counter[str]]:
    """What happened, printed at the end of a long run."""
    found: Counter[str] = Counter()
    yield found
    if EXAMPLES:
        print(f"\nseed {SEED}")
        for name, number in sorted(found.items()):
            print(f"{number:8d} {name}")


def judge(world: World, counts: Counter[str]) -> None:
    """Fail, with the description and all verdicts, on a disagreement that no row explains."""
    mine, theirs, cases = disagreements(world)
    counts[f"we {mine.kind}"] += 1
    for name, verdict in theirs.items():
        counts[f"{name}: {verdict.kind if verdict.kind == NOT_ASKED else 'asked'}"] += 1
    needed = set()
    for case in cases:
        rows = explain(case, ROWS)
        if not rows:
            report = "\n".join([str(world), f"  ours: {mine}", *(f"  {n}: {v}" for n, v in theirs.items())])
            pytest.fail(f"{case.peer} disagrees and no row says why\n{report}")
        for row in rows:
            counts[f"{case.peer}: disagrees by {row.id}"] += 1
        needed.add(case.peer)
    asked = {name for name, verdict in theirs.items() if verdict.kind != NOT_ASKED}
    if mine.kind == ACCEPT and asked and asked <= {n for n in needed if theirs[n].kind == REFUSE}:
        counts["only we accept"] += 1


@pytest.mark.parametrize("theme", THEMES)
def test_every_disagreement_has_a_row(theme: str, counts: Counter[str]) -> None:
    """Worlds of one theme; what is not agreed upon must be in the table."""

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES // len(THEMES) or ORDINARY,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds(theme=theme))
    def run(world: World) -> None:
        judge(world, counts)

    run()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_row_has_its_example(row: Row) -> None:
    """All that the row names disagree for this reason alone, and nobody disagrees without a reason."""
    _, theirs, cases = disagreements(row.example)
    found = {case.peer: explain(case, ROWS) for case in cases}
    shown = {name: str(verdict) for name, verdict in theirs.items()}
    assert {peer: found.get(peer) for peer in row.peers} == dict.fromkeys(row.peers, (row,)), shown
    assert all(found.values()), shown


def test_the_table_for_readers_is_the_same() -> None:
    """Every row has its line in the document, and no line is about a row that is gone."""
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert sorted(line.split("`")[1] for line in lines) == sorted(row.id for row in ROWS)


def test_a_peer_without_an_answer_says_so() -> None:
    """What a peer cannot be given is ``not asked``, with the reason."""
    row = next(row for row in ROWS if row.id == "openssl-any-usage")
    _, theirs, _ = disagreements(row.example)
    assert {name for name in PEERS if theirs[name].kind == NOT_ASKED} == {"pyhanko", "pyopenssl"}
    assert all(verdict.reason for verdict in theirs.values() if verdict.kind == NOT_ASKED)
