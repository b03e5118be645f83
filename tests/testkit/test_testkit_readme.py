"""README: its commands run as they stand, on other ports; both languages show the same."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from onecert.testkit.misuse import MISUSES
from onecert.testkit.recipes import RECIPES

MEMBER = Path(__file__).parents[2] / "testkit"
README = (MEMBER / "README.md").read_text(encoding="utf-8")
CHINESE = (MEMBER / "README.zh.md").read_text(encoding="utf-8")
EXAMPLE = MEMBER.parent / "verifier" / "examples" / "flask_app.py"


def commands(text: str) -> list[str]:
    (block,) = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line.removeprefix("$ ") for line in block.splitlines()]


@pytest.mark.parametrize("text", [README, CHINESE], ids=["en", "zh"])
def test_both_languages_name_every_case_and_the_same_commands(text: str) -> None:
    assert commands(text) == commands(README)
    named = set(re.findall(r"`([a-z0-9-]+)`", text))
    assert {row.name for row in (*RECIPES, *MISUSES)} <= named


def free_ports() -> Iterator[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(2)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        ports = [probe.getsockname()[1] for probe in probes]
    yield from ports


def test_the_commands_run(tmp_path: Path) -> None:
    """From nothing to a report, with the machine's clock, as a developer does it."""
    lists, login = free_ports()
    shutil.copy(EXAMPLE, tmp_path)
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": programs, "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    running: list[subprocess.Popen[str]] = []
    said = ""
    try:
        for line in commands(README):
            command = line.replace("make kit", f"make kit --base-url http://127.0.0.1:{lists}")
            command = command.replace("5000", str(login))
            if not command.endswith(" &"):
                done = subprocess.run(
                    command,
                    shell=True,
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, done.stdout + done.stderr
                said = done.stdout
                continue
            program = subprocess.Popen(
                command.removesuffix(" &").split(),
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            running.append(program)
            assert program.stdout is not None
            # Both say their address when they listen.
            assert any("http://127.0.0.1" in output for output in program.stdout)
    finally:
        for program in running:
            program.terminate()
            program.communicate()
    assert said.splitlines()[-1] == "all 38 as expected, 1 skipped."
