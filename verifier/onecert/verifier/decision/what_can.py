"""What a holder can do: each rule that permits them something, and on what it still depends.

Nobody lists all resources, so the answer is by action and kind of resource: certain for every resource of
that kind, or with the attributes of resource and context that it depends on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from onecert.verifier.decision.deciding import Act, PolicyInForce, Subject, question_of
from onecert.verifier.decision.engine import answer
from onecert.verifier.decision.facts import Facts
from onecert.verifier.decision.question import Answer, Resource, Result
from onecert.verifier.decision.rules import Reads, Rule

__all__ = ["ANY", "Possibility", "what_can"]

ANY = "*"
# Stands for an action or a kind of resource that no rule names.
_UNNAMED_ACTION, _UNNAMED_TYPE = "any-other-action", "AnyOther"


@dataclass(frozen=True, kw_only=True)
class Possibility:
    """One thing that a holder can do.

    Args:
        action, resource_type: ``*`` for all that no rule names.
        rules: that permit it, sorted.
        is_certain: whether it holds for every resource of that kind, whatever the context.
        depends_on: what it depends on otherwise, such as ``resource.amount``.
        roles: those of the holder that the rules ask for.
        obligations: what must be done besides.
    """

    action: str
    resource_type: str
    rules: tuple[str, ...]
    is_certain: bool
    depends_on: tuple[str, ...]
    roles: tuple[str, ...]
    obligations: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "action": self.action,
            "resource_type": self.resource_type,
            "certain": self.is_certain,
            "depends_on": list(self.depends_on),
            "rules": list(self.rules),
            "roles": list(self.roles),
            "obligations": list(self.obligations),
        }


def what_can(
    policy: PolicyInForce,
    subject: Subject,
    facts: Facts,
    *,
    at: datetime,
    use_roles: frozenset[str] | None = None,
) -> list[Possibility]:
    """Say what a holder can do.

    Args:
        policy: in force at this time.
        subject, facts: the holder and what is proved of them.
        at: the time asked about, aware.
        use_roles: only these are active. Where two active roles exclude each other, nothing can be done.

    Returns:
        By action and kind of resource, in the order of the policy.
    """
    activation = policy.model.activate(facts.roles, use_roles)
    if activation.exclusions:
        return []
    asked = _Asked(policy, subject, facts, at, use_roles, activation.roles)
    found = (asked.possibility(action, kind) for action, kind in _pairs(policy))
    return [each for each in found if each is not None]


def _pairs(policy: PolicyInForce) -> Iterator[tuple[str, str]]:
    permits = [rule for rule in policy.engine.rules.values() if rule.effect == "permit"]
    actions = {name: None for rule in permits for name in sorted(rule.actions or ())}
    kinds = {rule.resource_type: None for rule in permits if rule.resource_type}
    for action in [*actions, _UNNAMED_ACTION]:
        for kind in [*kinds, _UNNAMED_TYPE]:
            yield action, kind


@dataclass(frozen=True)
class _Asked:
    """One holder at one time."""

    policy: PolicyInForce
    subject: Subject
    facts: Facts
    at: datetime
    use_roles: frozenset[str] | None
    active: frozenset[str]

    def possibility(self, action: str, kind: str) -> Possibility | None:
        matching = self._matching(action, kind)
        if kind != _UNNAMED_TYPE and matching == self._matching(action, _UNNAMED_TYPE):
            return None  # said of every kind
        if action != _UNNAMED_ACTION and matching == self._matching(_UNNAMED_ACTION, kind):
            return None  # said of every action
        permits = [rule for rule in matching if rule.effect == "permit"]
        if not permits or any(rule.effect == "forbid" and _is_wide(rule) for rule in matching):
            return None
        open_to = _open(Reads.together(rule.reads for rule in matching))
        if not open_to:
            given = self._answer(action, kind)
            if given.result is not Result.PERMIT:
                return None
            permits = [rule for rule in permits if rule.id in given.rules]
        asked = frozenset().union(*(rule.reads.roles for rule in permits))
        return Possibility(
            action=ANY if action == _UNNAMED_ACTION else action,
            resource_type=ANY if kind == _UNNAMED_TYPE else kind,
            rules=tuple(sorted(rule.id for rule in permits)),
            is_certain=not open_to,
            depends_on=tuple(open_to),
            roles=tuple(sorted(asked & self.active)),
            obligations=tuple(dict.fromkeys(rule.obligation for rule in permits if rule.obligation)),
        )

    def _matching(self, action: str, kind: str) -> list[Rule]:
        candidates = self.policy.engine.candidates(action, kind)
        return [rule for rule in candidates if rule.can_match(action, kind, self.active)]

    def _answer(self, action: str, kind: str) -> Answer:
        act = Act(action=action, resource=Resource(type=kind, id="-"))
        question = question_of(self.subject, self.facts, act, self.at)
        return answer(self.policy.engine, self.policy.model, question, self.use_roles)


def _is_wide(rule: Rule) -> bool:
    """Whether a rule speaks of every resource of its kind, whatever else."""
    return rule.is_unconditional and not rule.reads.resource_id


def _open(reads: Reads) -> list[str]:
    """What of resource and context the rules ask for; the time is known."""
    found = [f"resource.{name}" for name in sorted(reads.resource)]
    found += [f"context.{name}" for name in sorted(reads.context - {"now"})]
    if reads.resource_id or "resource" in reads.whole:
        found.append("resource")
    if "context" in reads.whole:
        found.append("context")
    return found
