"""The demo's report: steps with checks, as readable text while it runs and as JSON at the end.

A check that fails is reported and the story goes on where it can; the exit status tells that one failed.
Texts come from texts.json in Chinese and English; facts of a check are data.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEXTS: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "texts.json").read_text("utf-8"))
GREEN, RED, BOLD, DIM, PLAIN = (
    ("\033[32m", "\033[31m", "\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("",) * 5
)


class Report:
    """Collects steps and checks and prints them as they come."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self._began = time.monotonic()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One chapter of the story; whatever breaks in it counts as a failed check."""
        text = TEXTS[name]
        print(f"\n{BOLD}{len(self.steps) + 1}. {text['zh']}{PLAIN}\n   {DIM}{text['en']}{PLAIN}", flush=True)
        self.steps.append({"step": name, "title": text, "checks": []})
        began = time.monotonic()
        try:
            yield
        except Exception as exc:
            self.check("step_completed", False, error=f"{type(exc).__name__}: {exc}")
        self.steps[-1]["seconds"] = round(time.monotonic() - began, 2)

    def check(self, name: str, passed: bool, **facts: Any) -> None:
        """One thing that must be so. ``facts`` are what was seen."""
        text = TEXTS[name]
        mark = f"{GREEN}✓{PLAIN}" if passed else f"{RED}✗{PLAIN}"
        shown = "  ".join(f"{key}={value}" for key, value in facts.items() if value not in (None, ""))
        print(f"   {mark} {text['zh']}  {DIM}{text['en']}{PLAIN}", flush=True)
        if shown:
            print(f"       {DIM}{shown}{PLAIN}", flush=True)
        self.steps[-1]["checks"].append({"check": name, "text": text, "passed": bool(passed), "facts": facts})

    @property
    def passed(self) -> bool:
        """True when there were checks and every one held."""
        checks = [check for step in self.steps for check in step["checks"]]
        return bool(checks) and all(check["passed"] for check in checks)

    def write(self, folder: Path) -> bool:
        """Write report.json and report.txt into ``folder`` and say the verdict."""
        checks = [check for step in self.steps for check in step["checks"]]
        failed = [check for check in checks if not check["passed"]]
        seconds = round(time.monotonic() - self._began, 1)
        whole = {
            "passed": self.passed,
            "checks": len(checks),
            "failed": len(failed),
            "seconds": seconds,
            "steps": self.steps,
        }
        (folder / "report.json").write_text(
            json.dumps(whole, ensure_ascii=False, indent=2, default=str), "utf-8"
        )
        lines = []
        for number, step in enumerate(self.steps, 1):
            lines += [
                "",
                f"{number}. {step['title']['zh']} / {step['title']['en']} ({step.get('seconds', 0)} s)",
            ]
            for check in step["checks"]:
                mark = "ok" if check["passed"] else "FAILED"
                lines.append(f"   [{mark}] {check['text']['zh']} / {check['text']['en']}")
                lines += [
                    f"        {key}: {value}"
                    for key, value in check["facts"].items()
                    if value not in (None, "")
                ]
        verdict = TEXTS["verdict_passed" if self.passed else "verdict_failed"]
        lines += [
            "",
            f"{verdict['zh']} / {verdict['en']}: {len(checks) - len(failed)}/{len(checks)}, {seconds} s",
            "",
        ]
        (folder / "report.txt").write_text("\n".join(lines), "utf-8")
        colour = GREEN if self.passed else RED
        score = f"{len(checks) - len(failed)}/{len(checks)}, {seconds} s"
        print(f"\n{colour}{BOLD}{verdict['zh']} {verdict['en']}{PLAIN}: {score}")
        print(f"{folder}/report.txt  {folder}/report.json")
        return self.passed
