"""The policy engine Cedar (``cedarpy``) behind our interface; see docs/decisions/0004-policy-engine.md.

How a question looks to Cedar: the principal is ``Holder::"<canonical id>"``, in ``Role::"<URI>"`` for each
proved role; the action is ``Action::"<name>"``; the resource ``<Type>::"<id>"`` with its attributes.

Two things Cedar does not do for us: a rule that fails to evaluate is skipped there, even a forbid, so any
error here means no permit; and every rule must carry ``@id``, because reasons name rules.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import cedarpy

from onecert.pmi.decisions.policy import Answer, PolicySource, Question, Result
from onecert.pmi.errors import PolicyWrongError

__all__ = ["CedarEngine", "compile_policy"]

_HOLDER, _ROLE, _ACTION = "Holder", "Role", "Action"
_SLICES_KEPT = 256
_RESERVED_TYPES = {_HOLDER, _ROLE, _ACTION}


class CedarEngine:
    """One compiled policy. Immutable; safe to share between threads."""

    def __init__(self, source: PolicySource) -> None:
        """Compile the rules.

        Raises:
            PolicyWrongError: they do not parse, do not fit the schema, or a rule has no id of its own.
        """
        self._policies = _parse(source.rules)
        _check_ids(self._policies)
        _check_schema(source)
        self._by_id = {policy["annotations"]["id"]: policy for policy in self._policies.values()}
        self._slice = lru_cache(maxsize=_SLICES_KEPT)(self._make_slice)

    @property
    def rules(self) -> Sequence[str]:
        """The ids of all rules."""
        return sorted(self._by_id)

    def decide(self, question: Question) -> Answer:
        """Answer a question; whatever goes wrong is INDETERMINATE, never a permit."""
        if question.resource.type in _RESERVED_TYPES:
            return Answer(
                result=Result.INDETERMINATE, errors=(f"{question.resource.type} is not a resource",)
            )
        try:
            result = cedarpy.is_authorized(
                _request(question), self._slice(question.action, question.roles), _entities(question)
            )
            return self._answer(result)
        except Exception as exc:
            return Answer(result=Result.INDETERMINATE, errors=(f"{type(exc).__name__}: {exc}"[:500],))

    def _answer(self, result: cedarpy.AuthzResult) -> Answer:
        diagnostics = result.diagnostics
        names = diagnostics.id_annotations_by_reason
        rules = tuple(sorted(names[reason] for reason in diagnostics.reasons))
        if diagnostics.errors:
            return Answer(result=Result.INDETERMINATE, rules=rules, errors=tuple(diagnostics.errors))
        if result.decision is cedarpy.Decision.Allow and rules:
            found = [self._by_id[rule]["annotations"].get("obligation", "") for rule in rules]
            obligations = tuple(dict.fromkeys(text for text in found if text))
            return Answer(result=Result.PERMIT, rules=rules, obligations=obligations)
        return Answer(result=Result.DENY if rules else Result.NOT_APPLICABLE, rules=rules)

    def _make_slice(self, action: str, roles: frozenset[str]) -> cedarpy.PolicySet:
        """Keep the rules whose scope can match this action and these roles.

        A rule whose scope does not match decides nothing, so leaving it out changes no answer; the cost of a
        question then follows the rules that speak of it and not all there are.
        """
        chosen = {
            name: policy
            for name, policy in self._policies.items()
            if _may_match(policy["action"], _ACTION, {action})
            and _may_match(policy["principal"], _ROLE, roles)
        }
        content = {"templates": {}, "staticPolicies": chosen, "templateLinks": []}
        return cedarpy.PolicySet.from_json_str(json.dumps(content))


def compile_policy(source: PolicySource) -> CedarEngine:
    """Compile a policy. Raises PolicyWrongError."""
    return CedarEngine(source)


def _parse(rules: str) -> dict[str, dict[str, Any]]:
    try:
        parsed = json.loads(cedarpy.policies_to_json_str(rules))
    except ValueError as exc:
        raise PolicyWrongError([str(exc)]) from exc
    if parsed.get("templates"):
        raise PolicyWrongError(["templates are not used here; write the rule out"])
    policies: dict[str, dict[str, Any]] = parsed["staticPolicies"]
    if not policies:
        raise PolicyWrongError(["there is no rule"])
    return policies


def _check_ids(policies: Mapping[str, dict[str, Any]]) -> None:
    ids = [policy.get("annotations", {}).get("id") or "" for policy in policies.values()]
    faults = [f"rule {number} has no @id" for number, name in enumerate(ids, start=1) if not name]
    faults += [
        f"@id {name} occurs {times} times" for name, times in Counter(ids).items() if name and times > 1
    ]
    if faults:
        raise PolicyWrongError(faults)


def _check_schema(source: PolicySource) -> None:
    if not source.schema:
        return
    try:
        result = cedarpy.validate_policies(source.rules, source.schema)
    except ValueError as exc:
        raise PolicyWrongError([str(exc)]) from exc
    if not result.validation_passed:
        raise PolicyWrongError([error.error for error in result.errors])


def _may_match(scope: Mapping[str, Any], kind: str, given: frozenset[str] | set[str]) -> bool:
    """Tell whether a scope can match one of the given entities; True when in doubt."""
    if scope["op"] not in {"==", "in"}:
        return True
    entities = scope.get("entities") or [scope.get("entity")]
    return any(entity is None or entity["type"] != kind or entity["id"] in given for entity in entities)


def _request(question: Question) -> dict[str, Any]:
    return {
        "principal": {"type": _HOLDER, "id": question.subject},
        "action": {"type": _ACTION, "id": question.action},
        "resource": {"type": question.resource.type, "id": question.resource.id},
        "context": dict(question.context),
    }


def _entities(question: Question) -> list[dict[str, Any]]:
    roles = [{"type": _ROLE, "id": role} for role in sorted(question.roles)]
    return [
        {
            "uid": {"type": _HOLDER, "id": question.subject},
            "attrs": dict(question.attributes),
            "parents": roles,
        },
        {
            "uid": {"type": question.resource.type, "id": question.resource.id},
            "attrs": dict(question.resource.attributes),
            "parents": [],
        },
        *({"uid": role, "attrs": {}, "parents": []} for role in roles),
    ]
