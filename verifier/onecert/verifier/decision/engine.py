"""The engine behind a policy can be exchanged (docs/decisions/0004-policy-engine.md); this is all it must do.

The engine that is kept is Cedar: ``pip install onecert-verifier[decide]`` brings it, and nothing of it is
imported before a policy is compiled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Protocol

from onecert.verifier.decision.errors import Fault, PolicyTestsFailedError
from onecert.verifier.decision.question import Answer, Question, Result
from onecert.verifier.decision.role_model import RoleModel
from onecert.verifier.decision.rules import Reads, Rule
from onecert.verifier.decision.source import PolicySource
from onecert.verifier.errors import CouldNotCheckError

__all__ = ["PolicyEngine", "answer", "check_policy", "compile_policy", "run_cases"]

_ENGINE = "onecert.verifier.decision.cedar"


class PolicyEngine(Protocol):
    """One policy, ready to answer. Immutable; safe to share between threads."""

    @property
    def rules(self) -> Mapping[str, Rule]:
        """All rules by id, in the order of the policy."""
        ...

    def decide(self, question: Question) -> Answer:
        """Answer a question; never raises for what the question holds."""
        ...

    def decide_many(self, questions: Iterable[Question]) -> list[Answer]:
        """Answer many, in their order; those that no rule can tell apart are evaluated once."""
        ...

    def reads(self, action: str, resource_type: str) -> Reads:
        """What the rules that can match this action on this kind of resource read of a question."""
        ...

    def candidates(self, action: str, resource_type: str) -> Sequence[Rule]:
        """The rules whose scope can match this action on this kind of resource, whatever the roles."""
        ...


def compile_policy(source: PolicySource) -> PolicyEngine:
    """Compile a policy.

    Raises:
        PolicyWrongError: with every fault: it does not parse, does not fit its schema, contradicts itself, or
            a rule has no id of its own.
        CouldNotCheckError: ``DECISION_EXTRA_MISSING``.
    """
    try:
        module = import_module(_ENGINE)
    except ImportError as exc:
        raise CouldNotCheckError("DECISION_EXTRA_MISSING", detail=str(exc)[:200]) from exc
    engine: PolicyEngine = module.CedarEngine(source)
    return engine


def answer(
    engine: PolicyEngine,
    model: RoleModel,
    question: Question,
    use_roles: frozenset[str] | None = None,
) -> Answer:
    """Answer a question whose roles are those that are proved: what they include is added, and two that
    exclude each other deny before any rule is asked."""
    activation = model.activate(question.roles, use_roles)
    if activation.exclusions:
        return Answer(result=Result.DENY, exclusions=activation.exclusions)
    return engine.decide(
        Question(
            subject=question.subject,
            roles=activation.roles,
            action=question.action,
            resource=question.resource,
            attributes=model.complete(question.attributes),
            context=question.context,
        )
    )


def run_cases(
    source: PolicySource, engine: PolicyEngine, model: RoleModel
) -> list[tuple[Answer, Fault | None]]:
    """Run the tests inside a policy: the answer to each, and how it differs from what it should be."""
    found = []
    for case in source.cases:
        given = answer(engine, model, case.question, case.use_roles)
        found.append((given, case.failure(given)))
    return found


def check_policy(source: PolicySource, model: RoleModel | None = None) -> PolicyEngine:
    """Compile a policy and run the tests inside it.

    Args:
        source: the policy.
        model: hierarchy and exclusions of the catalogue that it will be used with.

    Raises:
        PolicyWrongError, PolicyTestsFailedError: it must not be put in force.
    """
    engine = compile_policy(source)
    failures = [fault for _, fault in run_cases(source, engine, model or RoleModel()) if fault is not None]
    if failures:
        raise PolicyTestsFailedError(failures)
    return engine
