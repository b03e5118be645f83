"""Runs our commands and services the way an operator of the service does."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from onecert.server import cli
from onecert.verifier import cli as verifier_cli

BIN = Path(sys.executable).parent
# What an operator's shell has, without settings that happen to be exported where the demo is started.
ENVIRONMENT = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith("ONECERT_") or key == "ONECERT_PKCS11_MODULE"
}


class CommandError(RuntimeError):
    """A command said no; ``status`` is its exit code (1 refused, 2 wrong usage, 3 could not check)."""

    def __init__(self, command: tuple[str, ...], status: int, said: str) -> None:
        super().__init__(f"{' '.join(command)} -> {status}: {said.strip()}")
        self.status = status
        self.said = said


def run(program: str, *arguments: str | Path, stdin: str | None = None) -> str:
    """Run a program of this environment and return its standard output."""
    command = (str(BIN / program), *map(str, arguments))
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if done.returncode:
        raise CommandError(command, done.returncode, done.stderr + done.stdout)
    return done.stdout


def onecert(*arguments: str | Path, stdin: str = "") -> str:
    """Run `onecert …` and return its standard output."""
    return _in_this_process("onecert", cli.run, arguments, stdin=stdin)


def onecert_verify(*arguments: str | Path) -> str:
    """Run `onecert-verify …` and return its standard output."""
    return _in_this_process("onecert-verify", verifier_cli.main, arguments)


def _in_this_process(
    program: str,
    main: Callable[[Sequence[str]], int],
    arguments: Sequence[str | Path],
    *,
    stdin: str = "",
) -> str:
    """What the command does is the same, and sixty of them do not load the same libraries sixty times."""
    command = tuple(map(str, arguments))
    said, talk = io.StringIO(), io.StringIO()
    before, sys.stdin = sys.stdin, io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(talk):
            status = main(command)
    finally:
        sys.stdin = before
    if status:
        raise CommandError((program, *command), status, talk.getvalue() + said.getvalue())
    return said.getvalue()


def lines_of_json(text: str) -> list[dict[str, Any]]:
    """One JSON object a line."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]


class Process:
    """A long-running program that prints `ready …` when it serves."""

    def __init__(
        self, command: list[str | Path], log: Path, *, environment: dict[str, str] | None = None
    ) -> None:
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            [str(each) for each in command],
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment or ENVIRONMENT,
            text=True,
        )
        assert self._process.stdout is not None
        first = self._process.stdout.readline().split()
        if first[:1] != ["ready"]:
            self.stop()
            tail = log.read_text("utf-8", errors="replace")[-1500:]
            raise RuntimeError(f"{command[0]} did not start; the end of {log} says:\n{tail}")
        self.urls = first[1:]

    def stop(self) -> int:
        """Ask it to stop, and wait."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._log.close()
        return status

    def wait(self) -> int:
        """Wait until it ends by itself."""
        return self._process.wait()
