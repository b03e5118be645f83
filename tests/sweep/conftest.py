"""Shows at the end of a test run how many faults were injected."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "ca")]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each engine; reports come from the processes that ran the tests."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, line in getattr(report, "user_properties", ()):
                if name == "sweep":
                    terminalreporter.write_line(f"fault sweep, {line}")
