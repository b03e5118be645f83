"""One rule of a policy: where it stands, what its scope can match, and what it reads of a question.

What a rule reads is worked out from its tree (Cedar's JSON form). Two questions that agree on all that the
rules read have the same answer: that is what makes answers and sets of holders worth remembering.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

__all__ = ["Reads", "Rule", "rule_texts"]

HOLDER, ROLE, ACTION = "Holder", "Role", "Action"
_EQUAL = {"==", "in"}
# An answer depends on where a number lies among the literals, which of them a text is, which a set holds.
_COMPARISONS = {"==", "!=", "<", "<=", ">", ">=", "contains"}
# A text, a comment, or the end of a rule.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|;', re.DOTALL)
_BLANK = re.compile(r"(?:\s|//[^\n]*(?:\n|$))*")


@dataclass(frozen=True, kw_only=True)
class Reads:
    """What rules read of a question.

    Args:
        roles: those whose presence counts.
        holders: ids that rules name; for all other holders the id makes no difference.
        principal: attributes of the holder.
        resource, context: attributes; ``resource_id``: whether its id counts.
        whole: which of ``principal``, ``resource``, ``context`` is read as a whole, id and all.
        literals: (part, attribute, literal): what an attribute is compared with.
        opaque: (part, attribute): those that are read in another way as well, so that each value may count.
    """

    roles: frozenset[str] = frozenset()
    holders: frozenset[str] = frozenset()
    principal: frozenset[str] = frozenset()
    resource: frozenset[str] = frozenset()
    context: frozenset[str] = frozenset()
    resource_id: bool = False
    whole: frozenset[str] = frozenset()
    literals: frozenset[tuple[str, str, int | str]] = frozenset()
    opaque: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def together(cls, reads: Iterable[Reads]) -> Reads:
        """What several rules read together."""
        each = list(reads)
        return cls(
            roles=frozenset().union(*(one.roles for one in each)),
            holders=frozenset().union(*(one.holders for one in each)),
            principal=frozenset().union(*(one.principal for one in each)),
            resource=frozenset().union(*(one.resource for one in each)),
            context=frozenset().union(*(one.context for one in each)),
            resource_id=any(one.resource_id for one in each),
            whole=frozenset().union(*(one.whole for one in each)),
            literals=frozenset().union(*(one.literals for one in each)),
            opaque=frozenset().union(*(one.opaque for one in each)),
        )

    def compared_with(self, part: str, attribute: str) -> frozenset[int | str] | None:
        """Return the literals that tell values of this attribute apart; None when each value may count."""
        if (part, attribute) in self.opaque:
            return None
        return frozenset(literal for of, name, literal in self.literals if (of, name) == (part, attribute))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. ``tree`` is Cedar's JSON form of it, ``line`` where it begins, from 1."""

    id: str
    effect: str
    line: int
    obligation: str
    tree: Mapping[str, Any] = field(repr=False)

    def can_match(self, action: str, resource_type: str, roles: frozenset[str] | None) -> bool:
        """Tell whether the scope can match; True when in doubt. ``roles`` None stands for any."""
        return (
            _may_be(self.tree["action"], ACTION, {action})
            and _may_be_of_type(self.tree["resource"], resource_type)
            and _may_be_of_type(self.tree["principal"], HOLDER)
            and (roles is None or _may_be(self.tree["principal"], ROLE, roles))
        )

    @property
    def actions(self) -> frozenset[str] | None:
        """The actions that its scope names; None for any."""
        return _named(self.tree["action"], ACTION)

    @property
    def resource_type(self) -> str | None:
        """The kind of resource that its scope names; None for any."""
        scope = self.tree["resource"]
        entity = scope.get("entity") if scope["op"] == "==" else None
        found = scope.get("entity_type") or (entity or {}).get("type")
        return str(found) if found else None

    @cached_property
    def scope_role(self) -> str | None:
        """The role that its scope demands, if any."""
        found = _named(self.tree["principal"], ROLE)
        return min(found) if found else None

    @property
    def is_unconditional(self) -> bool:
        """Whether its scope alone decides."""
        return not self.tree["conditions"]

    @property
    def scope(self) -> tuple[str, str, str]:
        """Principal, action and resource of its scope, in a form that can be compared."""
        return tuple(repr(_sorted(self.tree[name])) for name in ("principal", "action", "resource"))  # type: ignore[return-value]

    @cached_property
    def reads(self) -> Reads:
        """What its scope and its conditions read."""
        found = _Reading()
        for name in ("principal", "resource"):
            found.scope(name, self.tree[name])
        for condition in self.tree["conditions"]:
            found.walk(condition["body"])
        return found.result()


def rule_texts(rules: str) -> list[tuple[int, str]]:
    """Cut the text of a policy at the end of each rule; with the line at which each begins."""
    found, start = [], 0
    for token in _TOKEN.finditer(rules):
        if token.group() == ";":
            found.append((_first_line(rules, start), rules[start : token.end()]))
            start = token.end()
    rest = rules[start:]
    if _BLANK.sub("", rest, count=1):
        found.append((_first_line(rules, start), rest))
    return found


def _first_line(rules: str, start: int) -> int:
    blank = _BLANK.match(rules, start)
    return rules.count("\n", 0, blank.end() if blank else start) + 1


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [(key, _sorted(item)) for key, item in sorted(value.items())]
    if isinstance(value, list):
        return sorted((_sorted(item) for item in value), key=repr)
    return value


def _entities(scope: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The entities that a scope demands one of."""
    if scope["op"] in _EQUAL:
        entities: list[Mapping[str, Any]] = scope.get("entities") or [scope["entity"]]
        yield from entities
    elif scope["op"] == "is" and scope.get("in"):
        yield scope["in"]["entity"]


def _may_be(scope: Mapping[str, Any], kind: str, given: frozenset[str] | set[str]) -> bool:
    entities = list(_entities(scope))
    return not entities or any(entity["type"] != kind or entity["id"] in given for entity in entities)


def _may_be_of_type(scope: Mapping[str, Any], kind: str) -> bool:
    if scope["op"] == "is":
        return bool(scope["entity_type"] == kind)
    return bool(scope["op"] != "==" or scope["entity"]["type"] == kind)


def _named(scope: Mapping[str, Any], kind: str) -> frozenset[str] | None:
    found = [entity["id"] for entity in _entities(scope) if entity["type"] == kind]
    return frozenset(found) or None


class _Reading:
    """Walks the tree of a rule. Whatever it does not know is read as a whole: then nothing is left out."""

    def __init__(self) -> None:
        self.attributes: dict[str, set[str]] = {"principal": set(), "resource": set(), "context": set()}
        self.roles: set[str] = set()
        self.holders: set[str] = set()
        self.whole: set[str] = set()
        self.resource_id = False
        self.literals: set[tuple[str, str, int | str]] = set()
        self.opaque: set[tuple[str, str]] = set()

    def result(self) -> Reads:
        return Reads(
            roles=frozenset(self.roles),
            holders=frozenset(self.holders),
            principal=frozenset(self.attributes["principal"]),
            resource=frozenset(self.attributes["resource"]),
            context=frozenset(self.attributes["context"]),
            resource_id=self.resource_id,
            whole=frozenset(self.whole),
            literals=frozenset(self.literals),
            opaque=frozenset(self.opaque),
        )

    def scope(self, name: str, scope: Mapping[str, Any]) -> None:
        for entity in _entities(scope):
            self._entity(name, entity)

    def walk(self, node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                self.walk(item)
            return
        if not isinstance(node, Mapping):
            return
        if "Value" in node:
            return
        if "Var" in node:
            self.whole.add(node["Var"])
            return
        for operator, operands in node.items():
            if operator == "Record":
                # Its keys are the author's, and no operators.
                self.walk(list(operands.values()))
            elif not self._known(operator, operands):
                self.walk(operands)

    def _known(self, operator: str, operands: Any) -> bool:
        """Take in an expression that reads one attribute, or compares a whole entity with literals."""
        left = operands.get("left") if isinstance(operands, Mapping) else None
        name = left.get("Var") if isinstance(left, Mapping) else None
        if operator in {".", "has"} and name in self.attributes:
            self.attributes[name].add(operands["attr"])
            if operator == ".":
                self.opaque.add((name, operands["attr"]))
            return True
        if operator in _COMPARISONS and self._compared(operands["left"], operands["right"], operator):
            return True
        if operator == "is" and name in self.attributes and not operands.get("in"):
            return True  # the type of a holder is one and the same; that of the resource always counts
        if operator in _EQUAL and name in {"principal", "resource"}:
            entities = _literals(operands.get("right"))
            if entities is not None:
                for entity in entities:
                    self._entity(name, entity)
                return True
        return False

    def _compared(self, left: Any, right: Any, operator: str) -> bool:
        """Take in the comparison of an attribute with a literal, in either order."""
        if operator != "contains" and isinstance(left, Mapping) and "Value" in left:
            left, right = right, left
        access = left.get(".") if isinstance(left, Mapping) else None
        part = access["left"].get("Var") if isinstance(access, Mapping) else None
        literal = right.get("Value") if isinstance(right, Mapping) else None
        if part not in self.attributes or type(literal) not in {int, str}:
            return False
        self.attributes[part].add(access["attr"])  # type: ignore[index]  # it has a part
        self.literals.add((part, access["attr"], literal))  # type: ignore[arg-type,index]
        return True

    def _entity(self, name: str, entity: Mapping[str, Any]) -> None:
        if name == "resource":
            self.resource_id = True
        elif entity["type"] == ROLE:
            self.roles.add(entity["id"])
        elif entity["type"] == HOLDER:
            self.holders.add(entity["id"])


def _literals(node: Any) -> list[Mapping[str, Any]] | None:
    """The entities that an expression writes out; None when it is anything else."""
    items: list[Any] = node["Set"] if isinstance(node, Mapping) and "Set" in node else [node]
    found = []
    for item in items:
        value = item.get("Value") if isinstance(item, Mapping) else None
        entity = value.get("__entity") if isinstance(value, Mapping) else None
        if entity is None:
            return None
        found.append(entity)
    return found
