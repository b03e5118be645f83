"""What is refused before a policy is compiled: rules that do not parse, have no id, or contradict each other.

The engine names neither line nor column, so rules are parsed one by one: a fault then has its rule's line.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from onecert.verifier.decision.errors import Fault, PolicyWrongError
from onecert.verifier.decision.rules import Rule, rule_texts

__all__ = ["check_rules", "parse_rules"]

MAX_RULES = 10_000
MAX_ID = 100
_ANNOTATIONS = {"id", "obligation", "description", "description_zh", "description_en"}
_RESERVED = {"Holder", "Role", "Action"}


def parse_rules(rules: str, parse: Callable[[str], str]) -> list[Rule]:
    """Parse the rules.

    Args:
        rules: the text.
        parse: Cedar's parser: text to JSON; raises ValueError.

    Raises:
        PolicyWrongError: with every fault.
    """
    texts = rule_texts(rules)
    if not texts:
        raise PolicyWrongError([Fault("NO_RULE")])
    if len(texts) > MAX_RULES:
        raise PolicyWrongError([Fault("TOO_MANY", {"most": MAX_RULES})])
    faults: list[Fault] = []
    found: list[Rule] = []
    for line, text in texts:
        try:
            parsed = json.loads(parse(text))
        except (ValueError, RecursionError) as exc:
            faults.append(Fault("SYNTAX", {"detail": exc}, line))
            continue
        if parsed.get("templates"):
            faults.append(Fault("TEMPLATE", {}, line))
        for tree in parsed["staticPolicies"].values():
            faults += _form_faults(tree, line)
            found.append(_rule(tree, line))
    if faults:
        raise PolicyWrongError(faults)
    return found


def _rule(tree: Mapping[str, Any], line: int) -> Rule:
    annotations = tree.get("annotations", {})
    return Rule(
        id=annotations.get("id") or "",
        effect=tree["effect"],
        line=line,
        obligation=annotations.get("obligation") or "",
        tree=tree,
    )


def _form_faults(tree: Mapping[str, Any], line: int) -> Iterator[Fault]:
    annotations = tree.get("annotations", {})
    name = annotations.get("id") or ""
    if not name:
        yield Fault("NO_ID", {}, line)
    elif len(name) > MAX_ID or not name.isprintable():
        yield Fault("ID_FORM", {"most": MAX_ID}, line)
    for key in sorted(annotations.keys() - _ANNOTATIONS):
        yield Fault("ANNOTATION", {"name": key}, line, name)
    entity = tree["resource"].get("entity") or {}
    if {entity.get("type"), tree["resource"].get("entity_type")} & _RESERVED:
        yield Fault("RESERVED_TYPE", {}, line, name)


def check_rules(rules: Sequence[Rule]) -> None:
    """Check the rules against each other.

    Raises:
        PolicyWrongError: an id occurs twice, or a permit and a forbid say the opposite of the same.
    """
    by_id: dict[str, list[Rule]] = defaultdict(list)
    by_scope: dict[tuple[str, str, str], list[Rule]] = defaultdict(list)
    for rule in rules:
        by_id[rule.id].append(rule)
        if rule.is_unconditional:
            by_scope[rule.scope].append(rule)
    faults = [
        Fault("DUPLICATE_ID", {"id": name, "lines": [rule.line for rule in found]}, found[1].line, name)
        for name, found in by_id.items()
        if len(found) > 1
    ]
    for found in by_scope.values():
        for one, other in combinations(found[:50], 2):
            if one.effect != other.effect:
                faults.append(
                    Fault("CONTRADICTION", {"other": one.id, "line": one.line}, other.line, other.id)
                )
    if faults:
        raise PolicyWrongError(faults)
