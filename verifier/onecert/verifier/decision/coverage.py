"""Which rules of a policy are exercised by the tests inside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onecert.verifier.decision.engine import PolicyEngine, run_cases
from onecert.verifier.decision.role_model import RoleModel
from onecert.verifier.decision.source import PolicySource

__all__ = ["Coverage", "measure_coverage"]


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Rule -> names of the tests whose answer it determined, in the order of the policy."""

    rules: Mapping[str, tuple[str, ...]]

    @property
    def missed(self) -> tuple[str, ...]:
        """The rules that determined no test."""
        return tuple(name for name, cases in self.rules.items() if not cases)

    @property
    def percent(self) -> int:
        """How many of a hundred rules determined some test, rounded down."""
        return 100 * (len(self.rules) - len(self.missed)) // len(self.rules)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rules = {name: list(cases) for name, cases in self.rules.items()}
        return {"percent": self.percent, "missed": list(self.missed), "rules": rules}


def measure_coverage(source: PolicySource, engine: PolicyEngine, model: RoleModel | None = None) -> Coverage:
    """Run the tests inside a policy and note which rules determined them; failing ones count as well."""
    found: dict[str, list[str]] = {name: [] for name in engine.rules}
    answers = run_cases(source, engine, model or RoleModel())
    for case, (answer, _) in zip(source.cases, answers, strict=True):
        for rule in answer.rules:
            found[rule].append(case.name)
    return Coverage(rules={name: tuple(cases) for name, cases in found.items()})
