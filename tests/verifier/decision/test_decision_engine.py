"""What a compiled policy answers: default deny, forbid wins, an error never permits."""

from __future__ import annotations

import json
from typing import Any

import cedarpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onecert.verifier import CouldNotCheckError
from onecert.verifier.decision import (
    Exclusion,
    PolicyEngine,
    PolicySource,
    Question,
    Resource,
    Result,
    RoleModel,
    compile_policy,
)
from onecert.verifier.decision.engine import answer

ROLE = "urn:x:role:approver"


def engine(rules: str) -> PolicyEngine:
    return compile_policy(PolicySource(name="x", rules=rules, schema="", cases=(), content={}))


def question(**changes: Any) -> Question:
    values: dict[str, Any] = {
        "subject": "uscc:91440300MA5DEM004J",
        "roles": frozenset({ROLE}),
        "action": "approve",
        "resource": Resource(type="Form", id="7", attributes={"amount": 5}),
    }
    return Question(**{**values, **changes})


def form(number: str = "7", **attributes: Any) -> Resource:
    return Resource(type="Form", id=number, attributes=attributes)


def test_default_is_deny() -> None:
    given = engine('@id("a") permit(principal in Role::"urn:x:role:y", action, resource);').decide(question())
    assert given.result is Result.NOT_APPLICABLE
    assert given.result.decision == "deny"


def test_forbid_wins_over_permit_and_names_the_rule() -> None:
    both = (
        '@id("yes") @obligation("write") permit(principal, action, resource);'
        '@id("no") forbid(principal, action, resource) when { resource.amount > 3 };'
    )
    given = engine(both).decide(question())
    assert (given.result, given.rules, given.obligations) == (Result.DENY, ("no",), ())
    given = engine(both).decide(question(resource=form(amount=3)))
    assert (given.result, given.rules, given.obligations) == (Result.PERMIT, ("yes",), ("write",))


@pytest.mark.parametrize(
    "condition",
    ["resource.missing > 3", "context.missing", "resource.amount.deeper", 'resource.amount < "5"'],
)
@pytest.mark.parametrize("effect", ["permit", "forbid"])
def test_an_error_never_permits(effect: str, condition: str) -> None:
    """One rule permits everything; another one cannot be evaluated. Cedar alone would permit."""
    rules = (
        f'@id("yes") permit(principal, action, resource); @id("odd") {effect}(principal, action, resource) '
    )
    given = engine(rules + f"when {{ {condition} }};").decide(question())
    assert given.result is Result.INDETERMINATE
    assert given.result.decision == "deny"
    assert given.errors
    if "missing" in condition and "resource" in condition:
        assert 'Form::"7"' in given.errors[0]


# --- what is left out, and what is remembered ---

RULES = [
    '@id("r0") permit(principal, action, resource) when { resource.amount > 5 };',
    '@id("r1") permit(principal in Role::"urn:x:role:1", action == Action::"a1", resource is Form);',
    '@id("r2") forbid(principal == Holder::"h", action in [Action::"a1", Action::"a2"], resource);',
    '@id("r3") permit(principal is Holder in Role::"urn:x:role:2", action, resource == Form::"8");',
    '@id("r4") permit(principal, action == Action::"a2", resource) when { principal.group.contains("g") };',
    '@id("r5") permit(principal, action, resource) unless { principal in [Role::"urn:x:role:1"] };',
    '@id("r6") forbid(principal, action, resource) when { context has late && context.late };',
    '@id("r7") permit(principal, action, resource) when { {Var: principal.entity, Value: 1}.Var == "e1" };',
    '@id("r8") forbid(principal, action, resource) when { resource.amount == 7 && resource has owner };',
    '@id("r9") permit(principal == Holder::"-", action, resource);',
    '@id("r10") permit(principal, action, resource) when { if resource has up then 3 < 4 else 2 < 1 };',
    '@id("r11") permit(principal, action, resource is Other);',
    '@id("r12") permit(principal, action, resource) when { principal != Holder::"i" && context.now < 2 };',
    '@id("r13") permit(principal, action == Action::"a3", resource) when { resource != Form::"8" };',
    '@id("r14") forbid(principal, action, resource) when { context == {now: 1} };',
    '@id("r16") permit(principal, action, resource) when { resource.amount <= 5 || 9 < resource.amount };',
    '@id("r17") forbid(principal, action, resource) when { resource has owner && resource.owner == "x" };',
    '@id("r18") permit(principal, action, resource) when { context.now >= 3 && context.now != 5 };',
    '@id("r19") forbid(principal, action, resource) when { principal.group.containsAll(["x", "g"]) };',
    '@id("r15") permit(principal, action, resource) when { [principal].contains(Holder::"j") };',
]


def whole_answer(rules: str, asked: Question) -> tuple[str, list[str], bool]:
    """Cedar's own answer by all rules at once, to the question as it was asked."""
    roles = [{"type": "Role", "id": role} for role in sorted(asked.roles)]
    holder, thing = {"type": "Holder", "id": asked.subject}, {"type": "Form", "id": asked.resource.id}
    entities = [
        {"uid": holder, "attrs": dict(asked.attributes), "parents": roles},
        {"uid": thing, "attrs": dict(asked.resource.attributes), "parents": []},
        *({"uid": role, "attrs": {}, "parents": []} for role in roles),
    ]
    request = {"principal": holder, "action": {"type": "Action", "id": asked.action}, "resource": thing}
    result = cedarpy.is_authorized({**request, "context": dict(asked.context)}, rules, json.dumps(entities))
    names = result.diagnostics.id_annotations_by_reason
    return result.decision.value, sorted(names.values()), bool(result.diagnostics.errors)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_leaving_out_and_remembering_changes_no_answer(data: st.DataObject) -> None:
    """Rules and questions drawn; each asked twice, so that the second answer is a remembered one."""
    rules = "\n".join(data.draw(st.lists(st.sampled_from(RULES), min_size=1, unique=True)))
    compiled = engine(rules)
    for _ in range(4):
        attributes: dict[str, Any] = {
            "amount": data.draw(
                st.sampled_from([-3, 1, 5, 6, 7, 9, 10, 2**63 - 1, -(2**63), True, "7", [], ["7"]])
            )
        }
        attributes |= data.draw(
            st.sampled_from([{}, {"owner": "h"}, {"owner": "x"}, {"owner": 7}, {"up": 1}])
        )
        asked = question(
            subject=data.draw(st.sampled_from(["h", "i", "j", "-", "--"])),
            roles=frozenset(data.draw(st.sets(st.sampled_from(["urn:x:role:1", "urn:x:role:2"])))),
            action=data.draw(st.sampled_from(["a1", "a2", "a3"])),
            resource=form(data.draw(st.sampled_from(["7", "8"])), **attributes),
            attributes={"group": data.draw(st.sampled_from([[], ["g"], ["x", "g"]])), "entity": "e1"},
            context={
                "now": data.draw(st.sampled_from([1, 2, 3, 4, 5, 6])),
                **data.draw(st.sampled_from([{}, {"late": True}])),
            },
        )
        decision, names, has_errors = whole_answer(rules, asked)
        for _again in range(2):
            found = compiled.decide(asked)
            assert (found.result is Result.INDETERMINATE) == has_errors
            if not has_errors:
                assert (found.result is Result.PERMIT) == (decision == "Allow")
                assert list(found.rules) == names


def test_true_is_not_one_to_the_memory() -> None:
    compiled = engine('@id("a") permit(principal, action, resource) when { resource.amount == 1 };')
    results = [compiled.decide(question(resource=form(amount=value))).result for value in (1, True, 1, False)]
    assert results == [Result.PERMIT, Result.NOT_APPLICABLE, Result.PERMIT, Result.NOT_APPLICABLE]


def test_many_questions_are_answered_in_their_order() -> None:
    compiled = engine('@id("a") permit(principal, action, resource) when { resource.amount < 3 };')
    found = compiled.decide_many(question(resource=form(amount=number)) for number in (1, 5, 1))
    assert [each.result for each in found] == [Result.PERMIT, Result.NOT_APPLICABLE, Result.PERMIT]


def test_what_rules_read_is_known() -> None:
    compiled = engine("\n".join(RULES[:6]))
    reads = compiled.reads("a1", "Form")
    assert reads.roles == {"urn:x:role:1", "urn:x:role:2"}
    assert reads.holders == {"h"}
    assert reads.resource == {"amount"}
    assert reads.whole == frozenset()
    assert [rule.id for rule in compiled.candidates("a1", "Other")] == ["r0", "r2", "r5"]


# --- whatever is asked ---

VALUES = st.one_of(
    st.text(), st.integers(), st.none(), st.floats(), st.binary(), st.booleans(),
    st.lists(st.one_of(st.text(), st.integers())), st.dictionaries(st.text(), st.text(), max_size=3),
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    subject=st.text(max_size=30),
    action=st.text(max_size=30),
    role=st.text(max_size=30),
    kind=st.one_of(st.sampled_from(["Form", "Role", "Holder", "Action"]), st.text(max_size=10)),
    number=st.one_of(st.text(max_size=20), st.integers()),
    value=VALUES,
    name=st.one_of(st.text(max_size=10), st.sampled_from(["__entity", "__extn", "type"])),
)
def test_whatever_is_asked_only_the_rule_permits(subject, action, role, kind, number, value, name) -> None:
    """Odd characters and types anywhere: an answer, and never a permit without the role."""
    compiled = engine(
        f'@id("a") permit(principal in Role::"{ROLE}", action == Action::"approve", resource is Form);'
        '@id("b") forbid(principal, action, resource) when { context has stop && context.stop };'
    )
    asked = question(
        subject=subject,
        roles=frozenset({role}),
        action=action,
        resource=Resource(type=kind, id=number, attributes={name: value}),
        context={name: value, "stop": value},
        attributes={"group": [role]},
    )
    found = compiled.decide(asked)
    assert found.result is not Result.PERMIT or (role == ROLE and action == "approve" and kind == "Form")


@pytest.mark.parametrize("kind", ["Role", "Holder", "Action"])
def test_nobody_becomes_a_resource_of_the_engine_itself(kind: str) -> None:
    compiled = engine('@id("a") permit(principal, action, resource);')
    asked = question(resource=Resource(type=kind, id=ROLE))
    assert compiled.decide(asked).result is Result.INDETERMINATE


def test_references_to_entities_do_not_come_in_by_an_attribute() -> None:
    compiled = engine('@id("a") permit(principal, action, resource) when { resource.owner == principal };')
    asked = question(resource=form(owner={"__entity": {"type": "Holder", "id": question().subject}}))
    assert compiled.decide(asked).result is Result.INDETERMINATE


def test_what_is_huge_is_denied() -> None:
    compiled = engine('@id("a") permit(principal, action, resource);')
    for context in ({"a": "x" * 10**6}, {f"a{number}": 1 for number in range(1000)}):
        assert compiled.decide(question(context=context)).result is Result.INDETERMINATE


# --- the catalogue: hierarchy and exclusions ---

MODEL = RoleModel(
    includes={"urn:x:role:chief": (ROLE, "urn:x:role:reader"), "urn:x:role:a": ("urn:x:role:b",),
              "urn:x:role:b": ("urn:x:role:a",)},
    exclusions=(Exclusion("order-and-pay", frozenset({"urn:x:role:orders", "urn:x:role:pays", ROLE})),),
    registered={"office": ("1.2.3.4", "utf8"), "entity": ("1.2.3.5", "utf8")},
)  # fmt: skip
APPROVES = f'@id("a") permit(principal in Role::"{ROLE}", action, resource);'


def test_a_role_gives_what_it_includes() -> None:
    compiled = engine(APPROVES)
    for role, result in (("chief", Result.PERMIT), ("reader", Result.NOT_APPLICABLE)):
        asked = question(roles=frozenset({f"urn:x:role:{role}"}))
        assert answer(compiled, MODEL, asked).result is result
    assert MODEL.with_included(["urn:x:role:a"]) == {"urn:x:role:a", "urn:x:role:b"}


def test_two_roles_of_one_exclusion_are_not_used_together() -> None:
    """Also when one of them is only included in another."""
    compiled = engine('@id("a") permit(principal, action, resource);')
    for others in ("orders", "chief"):
        roles = frozenset({"urn:x:role:pays", f"urn:x:role:{others}"})
        given = answer(compiled, MODEL, question(roles=roles))
        assert (given.result, given.exclusions, given.rules) == (Result.DENY, ("order-and-pay",), ())
        given = answer(compiled, MODEL, question(roles=roles), frozenset({"urn:x:role:pays"}))
        assert given.result is Result.PERMIT


def test_only_proved_roles_can_be_used() -> None:
    compiled = engine(APPROVES)
    held = frozenset({"urn:x:role:reader"})
    assert answer(compiled, MODEL, question(roles=held), frozenset({ROLE})).result is Result.NOT_APPLICABLE
    assert MODEL.activate(held, frozenset({ROLE})).not_held == (ROLE,)
    chief = question(roles=frozenset({"urn:x:role:chief"}))
    assert answer(compiled, MODEL, chief, frozenset({"urn:x:role:reader"})).result is Result.NOT_APPLICABLE
    assert answer(compiled, MODEL, chief, frozenset({ROLE})).result is Result.PERMIT


def test_an_attribute_that_is_lacking_is_empty_and_a_wrong_name_is_an_error() -> None:
    for name, result in (("office", Result.PERMIT), ("ofice", Result.INDETERMINATE)):
        rules = f'@id("a") permit(principal, action, resource) unless {{ principal.{name}.contains("x") }};'
        assert answer(engine(rules), MODEL, question()).result is result


def test_without_the_engine_nothing_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onecert.verifier.decision.engine._ENGINE", "onecert.verifier.decision.no_engine")
    with pytest.raises(CouldNotCheckError) as caught:
        engine(APPROVES)
    assert caught.value.code == "DECISION_EXTRA_MISSING"
    assert "onecert-verifier[decide]" in caught.value.hint("en")
