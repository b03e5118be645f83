"""A mass revocation through kill -9 at each step, and with two processes at it: each certificate once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = "import sys; sys.path.insert(0, sys.argv[1]); import ca_mass_child; ca_mass_child.run(*sys.argv[2:])"
POINTS = [f"{when}:{step}" for step in ("changes", "chunk", "publish") for when in ("before", "after")]


def start(folder: Path, url: str, act: str, point: str = "-") -> subprocess.Popen[bytes]:
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", CHILD, here, str(folder), url, act, point]
    return subprocess.Popen(command, env=dict(os.environ))


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_step_and_begun_again(tmp_path: Path, database_url: str, point: str) -> None:
    """One process proposes and confirms, one is killed in the work, one goes on and looks."""
    assert start(tmp_path, database_url, "set-up").wait(120) == 0
    assert start(tmp_path, database_url, "die", point).wait(120) == -signal.SIGKILL
    assert start(tmp_path, database_url, "look").wait(120) == 0


def test_two_processes_share_the_work(tmp_path: Path, database_url: str) -> None:
    assert start(tmp_path, database_url, "set-up").wait(120) == 0
    both = [start(tmp_path, database_url, "work") for _ in range(2)]
    assert [each.wait(120) for each in both] == [0, 0]
    assert start(tmp_path, database_url, "look").wait(120) == 0
