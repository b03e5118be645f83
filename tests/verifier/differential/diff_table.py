"""Known disagreements, each as a row: who, what, who is right by which rule, and how to recognise it.

A row is recognised by undoing it. ``undo`` takes the one feature out of the world to which the row ascribes
the disagreement; the row explains a case only if our verdict stays what it was and the peer then says the
same. What cannot be undone (a crash) is recognised by ``seen``, on the peer's own words. Rows that need each
other are tried together, in the order of the table.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from diff_peers import PEERS, Question, Verdict, ours
from diff_world import World


@dataclass(frozen=True)
class Case:
    """One disagreement."""

    peer: str
    world: World
    ours: Verdict
    theirs: Verdict


@dataclass(frozen=True, kw_only=True)
class Row:
    """See ``docs/verifier-disagreements.md`` for the words.

    Args:
        peers: whom it concerns.
        kinds: (our verdict, theirs); an empty one stands for any.
        undo: the world without the feature; the same world when it is not there.
        seen: what must also hold.
        example: a world of its own, in which every one of ``peers`` disagrees for this reason alone.
    """

    id: str
    peers: tuple[str, ...]
    kinds: tuple[str, str]
    undo: Callable[[World, Case], World] | None = None
    seen: Callable[[Case], bool] | None = None
    example: World

    def may_concern(self, case: Case) -> bool:
        mine, theirs = self.kinds
        if case.peer not in self.peers or mine not in {"", case.ours.kind} or theirs != case.theirs.kind:
            return False
        return self.seen is None or self.seen(case)


def explain(case: Case, rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The rows that together explain a case: mostly one, at most three, none when it is unexplained."""
    concerned = [row for row in rows if row.may_concern(case)]
    for row in concerned:
        if row.undo is None:
            return (row,)
    present = [row for row in concerned if row.undo and row.undo(case.world, case) != case.world]
    for count in (1, 2, 3):
        for together in itertools.combinations(present, count):
            left = _without(case, together)
            if left.ours.kind == case.ours.kind == left.theirs.kind:
                return together
            # What remains may be a crash.
            for row in rows:
                if row.undo is None and left.ours.kind == case.ours.kind and row.may_concern(left):
                    return (*together, row)
    return ()


def _without(case: Case, rows: tuple[Row, ...]) -> Case:
    """The case in the world from which the features of ``rows`` are taken out."""
    world = case.world
    for row in rows:
        if row.undo is not None:
            world = row.undo(world, case)
    question = Question(world)
    return Case(case.peer, world, ours(question), PEERS[case.peer](question))


def disagreements(world: World) -> tuple[Verdict, dict[str, Verdict], Iterator[Case]]:
    """Ask everybody. Returns our verdict, theirs, and the cases that need a row."""
    question = Question(world)
    mine = ours(question)
    theirs = {name: ask(question) for name, ask in PEERS.items()}
    cases = (
        Case(name, world, mine, verdict)
        for name, verdict in theirs.items()
        if verdict.kind not in {mine.kind, "not asked"}
    )
    return mine, theirs, cases
