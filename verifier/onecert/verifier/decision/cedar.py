"""The policy engine Cedar (``cedarpy``) behind our interface; see docs/decisions/0004-policy-engine.md.

How a question looks to Cedar: the principal is ``Holder::"<canonical id>"``, in ``Role::"<URI>"`` for each
active role, with the proved attributes; the action is ``Action::"<name>"``; the resource ``<Type>::"<id>"``
with its attributes; ``context`` beside them.

What Cedar does not do for us: a rule that fails to evaluate is skipped there, even a forbid, so any error
here means no permit; every rule must carry ``@id``, because reasons name rules; and the cost of a question
follows the number of rules, so those whose scope cannot match are left out, and a question is cut down to
what the rest of them reads before it is evaluated: of a number, its place among the literals that it is
compared with. Equal cuts have equal answers, which are remembered.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import cedarpy

from onecert.verifier.decision.check import check_rules, parse_rules
from onecert.verifier.decision.errors import Fault, PolicyWrongError
from onecert.verifier.decision.plain import check_question
from onecert.verifier.decision.question import Answer, Question, Resource, Result
from onecert.verifier.decision.rules import ACTION, HOLDER, ROLE, Reads, Rule
from onecert.verifier.decision.source import PolicySource

__all__ = ["CedarEngine"]

_ANSWERS_KEPT = 16_384
_KEPT_OF_SIZE = 2048  # characters: what is remembered stays below 100 MiB whatever is asked
_SLICES_KEPT = 1024
_ANYONE = "-"
_dumps = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode


class _Slice:
    """The rules that can match some questions, compiled, and what they read."""

    def __init__(self, policies: cedarpy.PolicySet, reads: Reads) -> None:
        self.policies = policies
        self._reads = reads
        self._principal = _pickers(reads, "principal", reads.principal)
        self._resource = _pickers(reads, "resource", reads.resource)
        self._context = _pickers(reads, "context", reads.context)

    def cut(self, question: Question) -> Question:
        """Leave only what the rules read of a question."""
        reads, resource = self._reads, question.resource
        if "principal" in reads.whole:
            subject, roles, proved = question.subject, question.roles, question.attributes
        else:
            subject = question.subject if question.subject in reads.holders else _anyone(reads.holders)
            roles = question.roles & reads.roles
            proved = _picked(question.attributes, self._principal)
        if "resource" not in reads.whole:
            name = resource.id if reads.resource_id else _ANYONE
            attributes = _picked(resource.attributes, self._resource)
            resource = Resource(type=resource.type, id=name, attributes=attributes)
        context = question.context
        if "context" not in reads.whole:
            context = _picked(context, self._context)
        return Question(
            subject=subject,
            roles=roles,
            action=question.action,
            resource=resource,
            attributes=proved,
            context=context,
        )


def _key(slice_: _Slice, cut: Question) -> tuple[Hashable, ...]:
    """What an answer depends on. Equal keys are equal questions: true is not 1 here."""
    return (
        slice_,
        cut.subject,
        cut.roles,
        cut.action,
        cut.resource.type,
        cut.resource.id,
        _hashable(cut.attributes),
        _hashable(cut.resource.attributes),
        _hashable(cut.context),
    )


def _hashable(values: Mapping[str, Any]) -> tuple[Hashable, ...]:
    return tuple(
        (name, value) if type(value) is str else (name, type(value), _frozen(value))
        for name, value in values.items()
    )


def _frozen(value: Any) -> Hashable:
    # A set to a rule: neither order nor repetition counts.
    return value if isinstance(value, int) else frozenset(value)


def _size(values: Mapping[str, Any]) -> int:
    return sum(8 if isinstance(value, int) else sum(map(len, value)) for value in values.values())


class CedarEngine:
    """One compiled policy. Immutable; safe to share between threads."""

    def __init__(self, source: PolicySource) -> None:
        """Compile the rules.

        Raises:
            PolicyWrongError: with every fault.
        """
        parsed = parse_rules(source.rules, cedarpy.policies_to_json_str)
        check_rules(parsed)
        self._rules = {rule.id: rule for rule in parsed}
        _check_schema(source, parsed)
        self._of_kind = lru_cache(maxsize=_SLICES_KEPT)(self._find_candidates)
        self._chosen = lru_cache(maxsize=_SLICES_KEPT)(self._choose)
        self._slice = lru_cache(maxsize=_SLICES_KEPT)(self._compile)
        self._answers: dict[tuple[Hashable, ...], Answer] = {}

    @property
    def rules(self) -> Mapping[str, Rule]:
        """All rules by id, in the order of the policy."""
        return self._rules

    def candidates(self, action: str, resource_type: str) -> Sequence[Rule]:
        """The rules whose scope can match this action on this kind of resource, whatever the roles."""
        return self._of_kind(action, resource_type)

    def reads(self, action: str, resource_type: str) -> Reads:
        """What those rules read of a question."""
        return Reads.together(rule.reads for rule in self._of_kind(action, resource_type))

    def decide(self, question: Question) -> Answer:
        """Answer a question; whatever goes wrong is INDETERMINATE, never a permit."""
        try:
            check_question(question)
            slice_ = self._chosen(question.action, question.resource.type, question.roles)
            cut = slice_.cut(question)
            key = _key(slice_, cut)
            found = self._answers.get(key)
            if found is None:
                found = self._evaluate(slice_, cut)
                if found.errors:
                    # Said again of the whole question, so that the errors name what was asked about.
                    return self._evaluate(slice_, question)
                self._remember(key, cut, found)
            return found
        except Exception as exc:
            return Answer(result=Result.INDETERMINATE, errors=(f"{type(exc).__name__}: {exc}"[:500],))

    def _remember(self, key: tuple[Hashable, ...], cut: Question, found: Answer) -> None:
        if _size(cut.resource.attributes) + _size(cut.context) + _size(cut.attributes) < _KEPT_OF_SIZE:
            if len(self._answers) >= _ANSWERS_KEPT:
                self._answers.clear()
            self._answers[key] = found

    def decide_many(self, questions: Iterable[Question]) -> list[Answer]:
        """Answer many, in their order; those that no rule can tell apart are evaluated once."""
        return [self.decide(question) for question in questions]

    def _find_candidates(self, action: str, resource_type: str) -> tuple[Rule, ...]:
        return tuple(rule for rule in self._rules.values() if rule.can_match(action, resource_type, None))

    def _choose(self, action: str, resource_type: str, roles: frozenset[str]) -> _Slice:
        """Keep the rules whose scope can match.

        A rule whose scope does not match decides nothing, so leaving it out changes no answer.
        """
        candidates = self._of_kind(action, resource_type)
        return self._slice(
            tuple(rule.id for rule in candidates if rule.can_match(action, resource_type, roles))
        )

    def _compile(self, ids: tuple[str, ...]) -> _Slice:
        chosen = [self._rules[name] for name in ids]
        static = {f"p{number}": rule.tree for number, rule in enumerate(chosen)}
        content = {"templates": {}, "staticPolicies": static, "templateLinks": []}
        policies = cedarpy.PolicySet.from_json_str(json.dumps(content))
        return _Slice(policies, Reads.together(rule.reads for rule in chosen))

    def _evaluate(self, slice_: _Slice, question: Question) -> Answer:
        resource = question.resource
        request = {
            "principal": {"type": HOLDER, "id": question.subject},
            "action": {"type": ACTION, "id": question.action},
            "resource": {"type": resource.type, "id": resource.id},
            "context": _dumps(dict(question.context)),
        }
        result = cedarpy.is_authorized(request, slice_.policies, _entities(question))
        diagnostics = result.diagnostics
        names = diagnostics.id_annotations_by_reason
        rules = tuple(sorted(names[reason] for reason in diagnostics.reasons))
        if diagnostics.errors:
            return Answer(result=Result.INDETERMINATE, rules=rules, errors=tuple(diagnostics.errors))
        if result.decision is cedarpy.Decision.Allow and rules:
            found = [self._rules[rule].obligation for rule in rules]
            obligations = tuple(dict.fromkeys(text for text in found if text))
            return Answer(result=Result.PERMIT, rules=rules, obligations=obligations)
        return Answer(result=Result.DENY if rules else Result.NOT_APPLICABLE, rules=rules)


def _anyone(named: frozenset[str]) -> str:
    """Stands for every holder whom no rule names."""
    name = _ANYONE
    while name in named:
        name += _ANYONE
    return name


class _Picker:
    """Takes one attribute out of a question, as one of the values that the rules can tell apart.

    Args:
        literals: all that the rules compare it with; None when each value may count.
    """

    def __init__(self, name: str, literals: frozenset[int | str] | None) -> None:
        self.name = name
        self._is_open = literals is None
        self._numbers = sorted(each for each in literals or () if type(each) is int)
        self._texts = frozenset(each for each in literals or () if type(each) is str)
        self._other = _anyone(self._texts)

    def pick(self, value: Any) -> Any:
        if self._is_open or value is True or value is False:
            return value
        if isinstance(value, str):
            return value if value in self._texts else self._other
        if isinstance(value, int):
            return self._beside(value)
        return sorted(self._texts.intersection(value))

    def _beside(self, value: int) -> int:
        """A number that compares with every literal as this one does."""
        numbers = self._numbers
        if not numbers:
            return 0
        at = bisect_left(numbers, value)
        if at < len(numbers) and numbers[at] == value:
            return value
        return numbers[at - 1] + 1 if at else numbers[0] - 1


def _pickers(reads: Reads, part: str, names: frozenset[str]) -> tuple[_Picker, ...]:
    return tuple(_Picker(name, reads.compared_with(part, name)) for name in sorted(names))


def _picked(given: Mapping[str, Any], wanted: tuple[_Picker, ...]) -> dict[str, Any]:
    return {each.name: each.pick(given[each.name]) for each in wanted if each.name in given}


def _entities(question: Question) -> str:
    roles = [{"type": ROLE, "id": role} for role in sorted(question.roles)]
    resource = question.resource
    attributes = {
        name: value if isinstance(value, str | int) else sorted(value)
        for name, value in question.attributes.items()
    }
    return _dumps(
        [
            {"uid": {"type": HOLDER, "id": question.subject}, "attrs": attributes, "parents": roles},
            {
                "uid": {"type": resource.type, "id": resource.id},
                "attrs": dict(resource.attributes),
                "parents": [],
            },
            *({"uid": role, "attrs": {}, "parents": []} for role in roles),
        ]
    )


def _check_schema(source: PolicySource, rules: Sequence[Rule]) -> None:
    if not source.schema:
        return
    try:
        result = cedarpy.validate_policies(source.rules, source.schema)
    except ValueError as exc:
        raise PolicyWrongError([Fault("SCHEMA", {"detail": exc})]) from exc
    if not result.validation_passed:
        names = result.id_annotations_by_policy_id
        lines = {rule.id: rule.line for rule in rules}
        raise PolicyWrongError(
            Fault(
                "SCHEMA",
                {"detail": error.error},
                line=lines.get(names.get(error.policy_id, ""), 0),
                rule=names.get(error.policy_id, ""),
            )
            for error in result.errors
        )
