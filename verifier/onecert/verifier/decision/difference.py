"""What another policy, or another catalogue, would have answered to questions that were asked before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from onecert.verifier.decision.engine import PolicyEngine, answer
from onecert.verifier.decision.question import Answer, Question
from onecert.verifier.decision.role_model import RoleModel

__all__ = ["Change", "Recorded", "find_changes"]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A question as it was asked: id of the decision, proved facts, and which roles were to be used."""

    id: str
    question: Question
    use_roles: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """A recorded decision that would come out otherwise."""

    recorded: Recorded
    before: Answer
    after: Answer

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        question = self.recorded.question
        return {
            "decision_id": self.recorded.id,
            "action": question.action,
            "resource": f"{question.resource.type}::{question.resource.id}",
            "roles": sorted(question.roles),
            "before": self.before.result.value,
            "before_rules": list(self.before.rules),
            "after": self.after.result.value,
            "after_rules": list(self.after.rules),
        }


def find_changes(
    recorded: Iterable[Recorded],
    before: tuple[PolicyEngine, RoleModel],
    after: tuple[PolicyEngine, RoleModel],
) -> Iterator[Change]:
    """Answer each recorded question by both, and yield those whose result, rules or obligations differ."""
    for each in recorded:
        old = answer(*before, each.question, each.use_roles)
        new = answer(*after, each.question, each.use_roles)
        if (old.result, old.rules, old.obligations) != (new.result, new.rules, new.obligations):
            yield Change(recorded=each, before=old, after=new)
