"""What a judge says of one artefact, and programs that are asked about many."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from artefacts import Artefact

__all__ = ["Verdict", "at_once", "said_by", "version_in"]

PROCESSES = 2
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


def at_once(ask: Callable[[Artefact], Verdict], artefacts: Iterable[Artefact]) -> Sequence[Verdict]:
    """Ask about each in a process of its own, two at a time."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        return list(pool.map(ask, artefacts))
