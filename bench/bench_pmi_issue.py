"""`pmi.issue.batch`: attribute certificates of an approved batch, from the record to the record."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator

import place
from bench_pmi import ACTOR, AUTHORITY, ROLE, world
from harness import Contender, EmptyError, Row, benchmark

from onecert.pmi.grants.acts import GrantRequest

# More than are issued before an answer is given, so that asking issues none of them.
ROWS = 2000
BATCHES = 3


@benchmark("pmi.issue.batch")
def issue_batch(name: str) -> Iterator[Row]:
    """Judged again, encoded, linted, intents on record, signed, verified, kept, audited: all of it."""
    made = world()
    holders = itertools.cycle(made.others)
    batches = made.parts.batches
    waiting: list[str] = []

    def ask(seconds: float) -> None:
        """Put approved rows on record while no clock runs; what is measured is what follows."""
        while len(waiting) < BATCHES:
            asked = [
                GrantRequest(authority=AUTHORITY, holder=next(holders), roles=(ROLE,)) for _ in range(ROWS)
            ]
            waiting.append(batches.request(str(uuid.uuid4()), AUTHORITY, asked, made.officer).id)

    def issue() -> None:
        if not waiting:
            raise EmptyError
        done = batches.issue(waiting.pop(), actor=ACTOR)
        if (done.issued, done.refused) != (ROWS, 0):
            raise RuntimeError(str(done))

    yield Row(
        unit="attribute certificates/s",
        ours=Contender(work=issue, batch=ROWS, prepare=ask, calls_min=1),
        floor=place.token_rate("p-256"),
        notes=[place.flushes()],
    )
