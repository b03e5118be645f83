"""What a judge says of one artefact, by its library about all and by its command about some."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from artefacts import Artefact

__all__ = ["Verdict", "both", "said_by", "version_in"]

PROCESSES = 2
# Of what a library accepts its command judges one in so many.
ONE_IN = 50
_TIMEOUT_S = 300


@dataclass(frozen=True)
class Verdict:
    """Accepted, or refused with what the judge said."""

    artefact: Artefact
    is_accepted: bool
    said: str = ""


def said_by(*command: str) -> tuple[int, str]:
    """Run a program; its exit status and everything it said."""
    done = subprocess.run(command, check=False, capture_output=True, timeout=_TIMEOUT_S)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def version_in(text: str) -> tuple[int, ...]:
    """The first version number in a text."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def both(
    artefacts: Sequence[Artefact],
    by_library: Callable[[Artefact], str | None],
    by_command: Callable[[Artefact], Verdict],
) -> list[Verdict]:
    """Ask a judge's library about everything, and its command about all that needs a second look.

    The command is asked about whatever the library refuses, about a sample of what it accepts, and where
    the library has nothing to say. It is a refusal, too, when the two do not agree.

    Args:
        by_library: why it is refused; empty: accepted; None: only the command can tell.
        by_command: asked from several threads at once.
    """
    said = [by_library(each) for each in artefacts]
    # By its content and not by its place, so that the sample has some of everything.
    asked = [
        each
        for each, reason in zip(artefacts, said, strict=True)
        if reason != "" or int(each.sha256[:8], 16) % ONE_IN == 0
    ]
    with ThreadPoolExecutor(PROCESSES) as pool:
        answers = dict(zip(map(id, asked), pool.map(by_command, asked), strict=True))
    verdicts = []
    for each, reason in zip(artefacts, said, strict=True):
        verdict = answers.get(id(each), Verdict(each, True))
        if reason is not None and verdict.is_accepted != (reason == ""):
            words = reason or "accepted"
            verdict = Verdict(each, False, f"library and command disagree: {words} / {verdict.said}")
        verdicts.append(verdict)
    return verdicts
