"""Counts what the judges say, and decides what of it is a fault."""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from artefacts import KINDS, Artefact, Run
from exemptions import DISAGREEMENTS, EXEMPTIONS, NOT_THEIR_KIND
from forgeries import Forgery, forgeries
from verdicts import Verdict

__all__ = ["Judge", "Report"]

# Of what a judge is asked about; the rest are algorithms that it does not know.
LEAST_SHARE = 0.8
_SHOWN = 40


class Judge(Protocol):
    """A module by_….py."""

    KINDS: Sequence[str]

    def missing(self) -> str: ...

    def version(self) -> tuple[int, ...]: ...

    def judge(self, run: Run, artefacts: Sequence[Artefact]) -> list[Verdict]: ...


@dataclass
class _Figures:
    """One judge: how many of each kind, by what became of them."""

    seconds: float = 0.0
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    not_judged: Counter[str] = field(default_factory=Counter)
    disagreed: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)


class Report:
    """Asks judges about a run."""

    def __init__(self, run: Run) -> None:
        self.faults: list[str] = []
        self._run = run
        self._forgeries = forgeries(run.folder)
        self._figures: dict[str, _Figures] = {}
        self._versions: dict[str, tuple[int, ...]] = {}
        self._notes: list[str] = []
        kinds = {each.kind for each in run.artefacts}
        self.faults += [f"the run left no {kind}" for kind in KINDS if kind not in kinds]
        self._noticed: dict[str, bool] = defaultdict(bool)  # reason of a mark -> somebody refused something

    def is_missing(self, name: str, packages: str) -> None:
        """A judge is not installed: that fails where everything must be there."""
        said = f"{name} is missing: install Debian's {packages}"
        (self.faults if os.environ.get("CI") == "true" else self._notes).append(said)

    def ask(self, judges: Mapping[str, Judge]) -> None:
        """Ask judges about everything of their kinds, forgeries among it, two judges at a time."""
        with ThreadPoolExecutor(2) as pool:
            said = list(pool.map(self._ask, judges.values()))
        for (name, judge), (seconds, verdicts) in zip(judges.items(), said, strict=True):
            self._figures[name] = _Figures(seconds=seconds)
            self._versions[name] = judge.version()
            self._judge(name, judge, verdicts)
        for reason, is_noticed in self._noticed.items():
            if not is_noticed and len(judges) > 1:
                self.faults.append(f"marked as wrong, and every judge accepts all of it: {reason}")

    def _ask(self, judge: Judge) -> tuple[float, list[Verdict]]:
        begun = time.monotonic()
        artefacts = [each for each in self._run.artefacts if each.kind in judge.KINDS]
        forged = [each.artefact for each in self._forgeries if each.artefact.kind in judge.KINDS]
        try:
            verdicts = judge.judge(self._run, [*artefacts, *forged])
        except Exception as exc:  # what the others say is wanted all the same
            self.faults.append(f"a judge stopped: {type(exc).__name__}: {exc}"[:2000])
            verdicts = []
        return time.monotonic() - begun, verdicts

    def _judge(self, name: str, judge: Judge, verdicts: Sequence[Verdict]) -> None:
        by_forgery = {id(each.artefact): each for each in self._forgeries}
        figures = self._figures[name]
        for verdict in verdicts:
            forgery = by_forgery.get(id(verdict.artefact))
            if forgery is None:
                self._count(name, figures, verdict)
            else:
                self._check_forgery(name, forgery, verdict)
        if len(verdicts) != len({id(verdict.artefact) for verdict in verdicts}) or not verdicts:
            self.faults.append(f"{name} did not give one verdict for each")
        asked = sum(each.kind in judge.KINDS and not each.wrong for each in self._run.artefacts)
        judged = asked - figures.not_judged.total()
        if judged < LEAST_SHARE * asked:
            self.faults.append(f"{name} judged {judged} of {asked}, less than {LEAST_SHARE:.0%}")

    def _count(self, name: str, figures: _Figures, verdict: Verdict) -> None:
        each = verdict.artefact
        if each.wrong:
            figures.wrong[each.kind] += 1
            self._noticed[each.wrong] |= not verdict.is_accepted
            return
        exempt = [one for one in EXEMPTIONS if one.judge == name and one.applies_to(verdict)]
        if verdict.is_accepted:
            figures.accepted[each.kind] += 1
            if exempt and self._versions[name] < exempt[0].known_from:
                what = exempt[0].what
                self.faults.append(
                    f"{name} accepts {each.kind} {each.sha256[:16]}: no exemption for {what} needed"
                )
        elif exempt:
            figures.not_judged[each.kind] += 1
        elif any(one.judge == name and one.applies_to(verdict) for one in DISAGREEMENTS):
            figures.disagreed[each.kind] += 1
        else:
            figures.refused[each.kind] += 1
            said = " ".join(verdict.said.split())[-300:]
            self.faults.append(f"{name} refuses {each.kind} {each.sha256[:16]} of {each.tests[0]}: {said}")

    def _check_forgery(self, name: str, forgery: Forgery, verdict: Verdict) -> None:
        if not forgery.refused_by and not verdict.is_accepted:
            self.faults.append(f"{name} refuses {forgery.what}: {' '.join(verdict.said.split())[-300:]}")
        if name in forgery.refused_by and verdict.is_accepted:
            self.faults.append(f"{name} accepts a forgery, {forgery.what}")

    # ------------------------------------------------------------------ what it says

    def text(self) -> str:
        """The table, and every fault with its test."""
        totals = Counter(each.kind for each in self._run.artefacts)
        of_run = ", ".join(f"{totals[kind]} {kind}" for kind in KINDS)
        lines = [f"second opinions on {len(self._run.artefacts)} artefacts of the test run: {of_run}"]
        lines.append(
            f"{'judge':<15}{'kind':<13}{'accepted':>9}{'refused':>9}{'known':>7}{'no way':>8}{'wrong':>7}"
        )
        for name, figures in self._figures.items():
            for kind in KINDS:
                if not totals[kind]:
                    continue
                if (name, kind) in NOT_THEIR_KIND:
                    lines.append(f"{name:<15}{kind:<13}  not judged: {NOT_THEIR_KIND[name, kind]}")
                    continue
                counts = (
                    figures.accepted,
                    figures.refused,
                    figures.disagreed,
                    figures.not_judged,
                    figures.wrong,
                )
                row = "".join(
                    f"{count[kind]:>{width}}" for count, width in zip(counts, (9, 9, 7, 8, 7), strict=True)
                )
                lines.append(f"{name:<15}{kind:<13}{row}")
            version = ".".join(map(str, self._versions[name]))
            lines.append(f"{name:<15}{version} in {figures.seconds:.1f} s")
        caught = [each for each in self._forgeries if each.refused_by]
        lines.append(
            "known: we hold another opinion, with a reason; no way: something that it does not know;"
        )
        lines.append(
            f"wrong: made so by a test; {len(caught)} forgeries were among what they were asked about"
        )
        lines += [f"note: {note}" for note in self._notes]
        lines += [f"FAULT {fault}" for fault in self.faults[:_SHOWN]]
        if len(self.faults) > _SHOWN:
            lines.append(f"FAULT and {len(self.faults) - _SHOWN} more")
        return "\n".join(lines)

    def json(self) -> str:
        """All of it, for programs."""
        judges = {
            name: {
                "seconds": round(figures.seconds, 1),
                "accepted": dict(figures.accepted),
                "refused": dict(figures.refused),
                "disagreed": dict(figures.disagreed),
                "not_judged": dict(figures.not_judged),
                "deliberately_wrong": dict(figures.wrong),
            }
            for name, figures in self._figures.items()
        }
        artefacts = dict(Counter(each.kind for each in self._run.artefacts))
        whole = {"artefacts": artefacts, "judges": judges, "faults": self.faults, "notes": self._notes}
        return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"
