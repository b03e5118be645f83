"""A judge's library and its command have to agree, and what either refuses is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "second_opinions"))

from artefacts import Artefact
from verdicts import Verdict, both


def artefact(number: int) -> Artefact:
    return Artefact("certificate", f"{number:08x}" + "0" * 56, Path("none"))


@pytest.mark.parametrize(
    ("library", "command", "is_accepted"),
    [("", True, True), ("no", False, False), ("", False, False), ("no", True, False), (None, True, True)],
)
def test_what_either_refuses_is_refused(library: str | None, command: bool, is_accepted: bool) -> None:
    each = artefact(0)  # a number that the sample has
    (verdict,) = both([each], lambda _: library, lambda _: Verdict(each, command, "said"))
    assert verdict.is_accepted is is_accepted
    assert ("disagree" in verdict.said) is (library is not None and (library == "") is not command)


def test_the_command_sees_a_sample_and_everything_that_is_refused() -> None:
    asked: list[Artefact] = []
    every = [artefact(number) for number in range(200)]

    def by_command(each: Artefact) -> Verdict:
        asked.append(each)
        return Verdict(each, each.sha256 != every[7].sha256, "said")

    verdicts = both(every, lambda each: "no" if each is every[7] else "", by_command)
    assert [verdict.artefact for verdict in verdicts] == every
    assert [verdict.artefact for verdict in verdicts if not verdict.is_accepted] == [every[7]]
    assert {id(each) for each in asked} == {id(every[number]) for number in (0, 7, 50, 100, 150)}
