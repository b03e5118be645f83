"""Helpers of the token tests."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def run_program(softhsm_store: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a small program in a process of its own, with ``STORE`` and ``PIN`` defined: a store of its own.

    For what must not happen in the test process: a second store, a foreign C_Initialize, fork, a crash.
    """

    def run(
        program: str, *, timeout_s: float = 120, store: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        store = store or tmp_path / "own-store"
        header = f"""
            from pathlib import Path
            STORE, PIN = Path({str(store)!r}), Path({str(tmp_path / "own.pin")!r})
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(header) + textwrap.dedent(program)],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={key: value for key, value in os.environ.items() if key != "SOFTHSM2_CONF"},
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    return run
