"""What is suspicious in a policy, each finding with the line of its rule; and what a holder can do by it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from onecert.verifier.attribute_certificate.values import STANDARD
from onecert.verifier.decision import (
    Exclusion,
    Facts,
    PolicyEngine,
    PolicyInForce,
    PolicySource,
    RoleModel,
    Subject,
    compile_policy,
    lint,
    what_can,
)
from onecert.verifier.decision.facts import texts_of

T = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
CHIEF, CLERK, LOST = "urn:x:role:chief", "urn:x:role:clerk", "urn:x:role:lost"
MODEL = RoleModel(includes={CHIEF: (CLERK,)}, registered={"office": ("1.2.3.4", "utf8")})
ROLES = {CHIEF: frozenset({"tax-office"}), CLERK: frozenset[str](), LOST: frozenset[str]()}


def engine(rules: str) -> PolicyEngine:
    return compile_policy(PolicySource(name="x", rules=rules, schema="", cases=(), content={}))


def clerk(
    name: str, when: str = "", action: str = 'action == Action::"read"', scope: str = "resource"
) -> str:
    return f'@id("{name}")\npermit(principal in Role::"{CLERK}", {action}, {scope}){when};\n'


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (clerk("good"), []),
        (clerk("good", " when { principal.office.contains(\"A\") }"), []),
        (clerk("奇怪"), [("ODD_ID", 1)]),
        (clerk("good") + clerk("typo", ' when { principal.ofice.contains("A") }'),
         [("UNKNOWN_ATTRIBUTE", 3)]),
        (clerk("a", f' when {{ principal in Role::"{LOST}" }}'), [("NOBODY_ASSIGNS", 1)]),
        (clerk("a", ' when { principal in Role::"urn:x:role:none" }'), [("UNKNOWN_ROLE", 1)]),
        ('@id("a") permit(principal, action, resource is Form);', [("FOR_ANYBODY", 1)]),
        ('@id("a") permit(principal is Person, action, resource);',
         [("FOR_ANYBODY", 1), ("NEVER_MATCHES", 1)]),
        (
            f'{clerk("a")}@id("b") forbid(principal, action in [Action::"read", Action::"x"], resource);',
            [("SHADOWED", 1)],
        ),
        (
            f"""@id("a") permit(principal in Role::"{CHIEF}", action, resource is Form);
            @id("b") forbid(principal in Role::"{CLERK}", action, resource);""",
            [("SHADOWED", 1)],
        ),
        (f'{clerk("a")}@id("b") forbid(principal, action, resource is Form);', []),
        (f'{clerk("a")}@id("b") forbid(principal in Role::"{CHIEF}", action, resource);', []),
        (f'{clerk("a")}@id("b") forbid(principal, action, resource) when {{ context has x }};', []),
    ],
)  # fmt: skip
def test_findings(rules: str, expected: list[tuple[str, int]]) -> None:
    found = lint(engine(rules), model=MODEL, roles=ROLES)
    assert [(fault.code, fault.line) for fault in found] == expected
    for fault in found:
        assert fault.text("zh") != fault.text("en") != fault.code
        assert fault.as_dict("zh")["line"] == fault.line


def test_without_a_catalogue_only_the_rules_are_judged() -> None:
    assert lint(engine(clerk("a", ' when { principal.ofice.contains("A") }'))) == []


# --- what can ---


def in_force(rules: str, model: RoleModel = MODEL) -> PolicyInForce:
    return PolicyInForce(name="x", version=1, sha256="0" * 64, engine=engine(rules), model=model)


def able(policy: PolicyInForce, *roles: str, **changes: object) -> list[tuple[object, ...]]:
    facts = Facts(roles=frozenset(roles), attributes={})
    found = what_can(policy, Subject(entity="uscc:1"), facts, at=T, **changes)  # type: ignore[arg-type]
    return [(each.action, each.resource_type, each.rules, each.is_certain, each.depends_on) for each in found]


def test_what_somebody_can_do_and_on_what_it_depends() -> None:
    rules = (
        clerk("reads")
        + clerk("files", ' when { resource.amount < 5 && context.channel == "desk" }',
                'action == Action::"file"', "resource is Form")
        + clerk("late", f" when {{ context.now < {int(T.timestamp())} }}", 'action == Action::"past"')
        + '@id("never") forbid(principal, action == Action::"burn", resource);\n'
        + clerk("burns", "", 'action == Action::"burn"', "resource is Form")
    )  # fmt: skip
    policy = in_force(rules)
    assert able(policy, CHIEF) == [
        ("read", "*", ("reads",), True, ()),
        ("file", "Form", ("files",), False, ("resource.amount", "context.channel")),
    ]
    assert able(policy, LOST) == []


def test_roles_that_exclude_each_other_can_nothing_together() -> None:
    model = RoleModel(exclusions=(Exclusion("apart", frozenset({CLERK, LOST})),))
    policy = in_force(clerk("reads"), model)
    assert able(policy, CLERK, LOST) == []
    assert len(able(policy, CLERK, LOST, use_roles=frozenset({CLERK}))) == 1


# --- values as rules read them ---


@pytest.mark.parametrize(
    ("syntax", "value", "texts"),
    [
        ("utf8", "税务", ["税务"]),
        ("integer", 5, ["5"]),
        ("boolean", True, ["true"]),
        ("ietf", "clerks", ["clerks"]),
        ("ietf", {"kind": "string", "values": ["a", "b"]}, ["a", "b"]),
        ("ietf", {"kind": "string", "values": ["a"], "authority": [{"uri": "urn:x"}]}, ["urn:x|a"]),
        ("clearance", {"policy": "1.2.3"}, ["1.2.3:unclassified"]),
        ("clearance", {"policy": "1.2.3", "classes": ["secret", 7]}, ["1.2.3:secret", "1.2.3:7"]),
        ("service", {"service": {"uri": "urn:x"}}, ['{"service":{"uri":"urn:x"}}']),
    ],
)
def test_values_become_texts(syntax: str, value: object, texts: list[str]) -> None:
    assert list(texts_of(syntax, value)) == texts


def test_no_attribute_takes_the_name_of_what_is_known_of_everybody() -> None:
    model = RoleModel(registered={"entity": ("1.2.3.4", "utf8"), "group": ("1.2.3.5", "utf8")})
    assert "entity" not in model.attributes
    assert model.attributes == STANDARD.keys() - {"role"}
    assert RoleModel.from_dict(MODEL.as_dict()) == MODEL
