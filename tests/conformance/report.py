"""What a suite reports about one case."""

from __future__ import annotations

import json
import lzma
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from onecert.verifier import VerifyError

# Whatever the bytes, a verdict in less than this.
SLOWEST_S = 1.0


class Scope(Enum):
    """Whether the case counts."""

    COUNTED = "counted"
    STRICT = "strict"  # breaks only an issuer's rule of RFC 5280, section 4
    EXCEPTION = "exception"  # known, with the reason
    OUTSIDE = "outside"  # written for TLS clients


@dataclass(frozen=True)
class Outcome:
    """``code`` is "accepted" or the code of the refusal."""

    case: str
    group: str
    expected_accept: bool
    code: str
    seconds: float
    scope: Scope = Scope.COUNTED
    reason: str = ""

    @property
    def accepted(self) -> bool:
        return self.code == "accepted"

    @property
    def as_expected(self) -> bool:
        return self.accepted == self.expected_accept

    @property
    def line(self) -> str:
        expected = "accepted" if self.expected_accept else "refused"
        return f"{self.case}: expected {expected}, found {self.code} ({1000 * self.seconds:.1f} ms)"


def load(path: Path) -> dict[str, Any]:
    """The suite, from compressed JSON."""
    with lzma.open(path) as file:
        suite: dict[str, Any] = json.load(file)
    return suite


def judge(validate: Callable[[], object]) -> tuple[str, float]:
    """Run one case: its code, and the seconds it took. Other exceptions than ours end the run."""
    started = time.perf_counter()
    try:
        validate()
    except VerifyError as error:
        return error.code, time.perf_counter() - started
    return "accepted", time.perf_counter() - started
