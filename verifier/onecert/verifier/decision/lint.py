"""What is suspicious in a policy that may be put in force: rules that nothing reaches, roles nobody has.

Each finding is a ``Fault`` with the line of its rule. Unknown actions and kinds of resources are found by the
schema, when the policy has one, and then refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set

from onecert.verifier.decision.engine import PolicyEngine
from onecert.verifier.decision.errors import Fault
from onecert.verifier.decision.role_model import BASE_ATTRIBUTES, RoleModel
from onecert.verifier.decision.rules import HOLDER, Rule

__all__ = ["lint"]

_USUAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")


def lint(
    engine: PolicyEngine, *, model: RoleModel | None = None, roles: Mapping[str, Set[str]] | None = None
) -> list[Fault]:
    """Look a policy through.

    Args:
        engine: the policy.
        model: hierarchy and attributes of the catalogue; without it attributes are not judged.
        roles: the catalogue's roles with the authorities that can give each now (the empty set: nobody);
            without it roles are not judged.

    Returns:
        What was found, in the order of the policy.
    """
    found: list[Fault] = []
    known = model or RoleModel()
    for rule in engine.rules.values():
        found += _form(rule)
        found += _unreachable(rule, engine.rules, known)
        if roles is not None:
            found += _roles(rule, known, roles)
        if model is not None:
            unknown = rule.reads.principal - model.attributes - BASE_ATTRIBUTES
            found += [
                Fault("UNKNOWN_ATTRIBUTE", {"name": name}, rule.line, rule.id) for name in sorted(unknown)
            ]
    return found


def _form(rule: Rule) -> Iterator[Fault]:
    if not _USUAL_ID.fullmatch(rule.id):
        yield Fault("ODD_ID", {"id": rule.id}, rule.line, rule.id)
    reads = rule.reads
    nobody_named = not (reads.roles or reads.holders or reads.principal or "principal" in reads.whole)
    if rule.effect == "permit" and nobody_named:
        yield Fault("FOR_ANYBODY", {}, rule.line, rule.id)
    principal = rule.tree["principal"]
    kind = principal.get("entity_type") or HOLDER
    if principal["op"] == "==":
        kind = principal["entity"]["type"]
    if kind != HOLDER:
        yield Fault("NEVER_MATCHES", {"type": kind}, rule.line, rule.id)


def _unreachable(rule: Rule, rules: Mapping[str, Rule], model: RoleModel) -> Iterator[Fault]:
    if rule.effect != "permit":
        return
    for other in rules.values():
        if other.effect == "forbid" and other.is_unconditional and _covers(other, rule, model):
            yield Fault("SHADOWED", {"other": other.id, "line": other.line}, rule.line, rule.id)
            return


def _covers(wide: Rule, narrow: Rule, model: RoleModel) -> bool:
    """Tell whether whatever the one matches is matched by the other; False when in doubt."""
    return all(
        _part_covers(name, wide.tree[name], narrow.tree[name], model)
        for name in ("principal", "action", "resource")
    )


def _part_covers(
    name: str, wide: Mapping[str, object], narrow: Mapping[str, object], model: RoleModel
) -> bool:
    if wide["op"] == "All" or wide == narrow:
        return True
    if name == "action":
        return _ids(narrow) <= _ids(wide) != set()
    if wide["op"] == "is" and not wide.get("in"):
        kind = narrow.get("entity_type") or _entity(narrow).get("type")
        # Every principal is a holder; that it is in a role says nothing of its type.
        if narrow["op"] in {"is", "=="}:
            return kind == wide["entity_type"]
        return name == "principal" and wide["entity_type"] == HOLDER
    if name == "principal" and wide["op"] == "in" and _entity(wide).get("type") == "Role":
        inner = _entity(narrow)
        if inner.get("type") != "Role":
            inside = narrow.get("in")
            inner = inside["entity"] if isinstance(inside, Mapping) else {}
        role = inner.get("id")
        return isinstance(role, str) and _entity(wide)["id"] in model.with_included([role])
    return False


def _entity(scope: Mapping[str, object]) -> Mapping[str, str]:
    found = scope.get("entity")
    return found if isinstance(found, Mapping) else {}


def _ids(scope: Mapping[str, object]) -> set[tuple[str, str]]:
    found = scope.get("entities")
    entities = found if isinstance(found, list) else [_entity(scope)] if _entity(scope) else []
    return {(entity["type"], entity["id"]) for entity in entities}


def _roles(rule: Rule, model: RoleModel, roles: Mapping[str, Set[str]]) -> Iterator[Fault]:
    for role in sorted(rule.reads.roles):
        if role not in roles:
            yield Fault("UNKNOWN_ROLE", {"role": role}, rule.line, rule.id)
            continue
        giving = (authorities for giver, authorities in roles.items() if role in model.with_included([giver]))
        if not any(giving):
            yield Fault("NOBODY_ASSIGNS", {"role": role}, rule.line, rule.id)
