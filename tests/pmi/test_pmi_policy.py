"""Policies: what is refused before it counts, what is signed, and that nothing wrong ever permits."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from onecert.pmi.decisions.cedar import CedarEngine, compile_policy
from onecert.pmi.decisions.policies import check_policy
from onecert.pmi.decisions.policy import PolicySource, Question, Resource, Result, read_plain, read_resource
from onecert.pmi.errors import DecisionLogError, NoPolicyError, PolicyTestsFailedError, PolicyWrongError
from onecert.pmi.models import policies

ROLE = "urn:onecert:role:tax.approver"
QUESTION = Question(
    subject="uscc:91440300MA5DEM004J",
    roles=frozenset({ROLE}),
    action="approve",
    resource=Resource(type="Form", id="7", attributes={"amount": 5}),
)


def engine(rules: str, schema: str = "") -> CedarEngine:
    return compile_policy(PolicySource(name="x", rules=rules, schema=schema, cases=(), content={}))


def test_default_is_deny() -> None:
    answer = engine('@id("a") permit(principal in Role::"urn:x:role:y", action, resource);').decide(QUESTION)
    assert answer.result is Result.NOT_APPLICABLE
    assert answer.result.decision == "deny"


def test_forbid_wins_over_permit_and_names_the_rule() -> None:
    both = '@id("yes") permit(principal, action, resource); @id("no") forbid(principal, action, resource);'
    answer = engine(both).decide(QUESTION)
    assert (answer.result, answer.rules) == (Result.DENY, ("no",))


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
    answer = engine(rules + f"when {{ {condition} }};").decide(QUESTION)
    assert answer.result is Result.INDETERMINATE
    assert answer.result.decision == "deny"
    assert answer.errors


@pytest.mark.parametrize(
    ("rules", "part"),
    [
        ("permit(", "unexpected"),
        ("", "no rule"),
        ("permit(principal, action, resource);", "no @id"),
        (
            '@id("a") permit(principal, action, resource); @id("a") permit(principal, action, resource);',
            "2 times",
        ),
        ('@id("a") permit(principal == ?principal, action, resource);', "template"),
    ],
)
def test_rules_that_are_not_taken(rules: str, part: str) -> None:
    with pytest.raises(PolicyWrongError, match=part):
        engine(rules)


def test_a_schema_is_held(lab) -> None:
    schema = """
    entity Role; entity Holder in [Role]; entity Form = { amount: Long };
    action approve appliesTo { principal: [Holder], resource: [Form], context: {} };
    """
    good = '@id("a") permit(principal, action == Action::"approve", resource) when { resource.amount < 9 };'
    assert engine(good, schema).rules == ["a"]
    with pytest.raises(PolicyWrongError, match="amunt"):
        engine(good.replace("amount", "amunt"), schema)


def test_leaving_out_rules_that_cannot_match_changes_no_answer() -> None:
    """The slice for one question against all rules at once, over many questions."""
    parts = []
    for number in range(30):
        effect = "forbid" if number % 7 == 0 else "permit"
        principal = [
            "principal",
            f'principal in Role::"urn:x:role:{number % 5}"',
            'principal == Holder::"h"',
        ][number % 3]
        action = ["action", f'action == Action::"a{number % 4}"', 'action in [Action::"a1", Action::"a2"]'][
            number % 3
        ]
        when = "" if number % 4 else f" when {{ resource.amount > {number} }}"
        parts.append(f'@id("r{number}") {effect}({principal}, {action}, resource){when};')
    compiled = engine("\n".join(parts))
    for action in ("a0", "a1", "a2", "a3", "other"):
        for roles in ([], ["urn:x:role:0"], ["urn:x:role:1", "urn:x:role:4"]):
            for subject in ("h", "i"):
                question = Question(
                    subject=subject,
                    roles=frozenset(roles),
                    action=action,
                    resource=Resource(type="Form", id="7", attributes={"amount": 11}),
                )
                sliced = compiled.decide(question)
                compiled._slice = lambda *_: __import__("cedarpy").PolicySet.from_str("\n".join(parts))
                whole = compiled.decide(question)
                del compiled._slice
                compiled._slice = compiled._make_slice
                assert (sliced.result, sliced.rules) == (whole.result, whole.rules)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    subject=st.text(max_size=30),
    action=st.text(max_size=30),
    role=st.text(max_size=30),
    kind=st.text(max_size=10),
    value=st.one_of(st.text(), st.integers(), st.none(), st.floats(), st.lists(st.integers()), st.binary()),
)
def test_whatever_is_asked_only_the_rule_permits(subject, action, role, kind, value) -> None:
    """Odd characters and types anywhere: an answer, and never a permit without the role."""
    compiled = engine(f'@id("a") permit(principal in Role::"{ROLE}", action == Action::"approve", resource);')
    question = Question(
        subject=subject,
        roles=frozenset({role}),
        action=action,
        resource=Resource(type=kind, id="7", attributes={"value": value}),
        context={"value": value},
    )
    answer = compiled.decide(question)
    assert answer.result is not Result.PERMIT or (role == ROLE and action == "approve")


def test_nobody_becomes_a_resource_of_the_engine_itself() -> None:
    compiled = engine('@id("a") permit(principal, action, resource);')
    question = Question(subject="h", roles=frozenset(), action="x", resource=Resource(type="Role", id=ROLE))
    assert compiled.decide(question).result is Result.INDETERMINATE


@pytest.mark.parametrize(
    "value",
    [{"a": None}, {"a": 1.5}, {"a": {"b": 1}}, {"a": [1]}, {"__entity": "x"}, {1: "x"}, [], {"a": 2**63}],
)
def test_attributes_are_plain(value: object) -> None:
    with pytest.raises(ValueError, match="attributes"):
        read_plain(value, "attributes")


@pytest.mark.parametrize(
    "value", ["Form", "Fo rm::7", {"type": "Form"}, {"type": "Form", "id": ""}, 7, "::7"]
)
def test_resources_that_are_none(value: object) -> None:
    with pytest.raises(ValueError, match=r"resource|text"):
        read_resource(value)
    assert read_resource('Form::"7"').id == "7"


# --- files, publishing, loading ---


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (('name = "tax"', ""), "name is missing"),
        (("[[tests]]", "[[test]]"), "unknown key"),
        (('expect = "permit"', 'expect = "yes"'), "expect is"),
        (('action = "approve"', "action = 7"), "action"),
        (("name =", "name"), "="),
    ],
)
def test_files_with_faults(lab, change: tuple[str, str], part: str) -> None:
    with pytest.raises(PolicyWrongError, match=part):
        PolicySource.from_toml(lab.POLICY.replace(*change).encode())


def test_a_policy_whose_test_fails_is_not_published(lab) -> None:
    wrong = lab.POLICY.replace("amount = 500", "amount = 50000", 1)
    with pytest.raises(PolicyTestsFailedError, match="expected permit, got not_applicable"):
        check_policy(PolicySource.from_toml(wrong.encode()))


def test_a_policy_without_tests_is_not_published(lab) -> None:
    with pytest.raises(PolicyWrongError, match="test"):
        PolicySource.from_toml(lab.POLICY[: lab.POLICY.index("[[tests]]")].encode())


@pytest.mark.token
def test_publishing_counts_versions_and_replaces(pmi_on_both, lab) -> None:
    pmi = pmi_on_both
    pmi.grant(lab.APPROVER_ROLE)
    assert pmi.decide(amount=5000).decision == "permit"
    second = pmi.publish_policy(lab.POLICY.replace("<= 10000", "<= 1000"))
    assert second.version == 2
    decided = pmi.decide(amount=5000)
    assert (decided.decision, decided.policy.sha256) == ("deny", second.sha256)


@pytest.mark.token
def test_only_what_the_token_key_signed_decides(pmi, lab) -> None:
    """Somebody writes another policy into the database: nothing is decided by it."""
    pmi.grant(lab.APPROVER_ROLE)
    with pmi.database.transaction() as connection:
        document = connection.exec_driver_sql("SELECT document FROM pmi_policies").scalar()
        opened = json.loads(document)
        opened["payload"] = opened["payload"][:-4] + "AAAA"
        connection.execute(update(policies).values(document=json.dumps(opened).encode(), sha256="0" * 64))
    with pytest.raises(NoPolicyError):
        pmi.decide()


@pytest.mark.token
def test_without_a_policy_nothing_is_decided(bare_pmi) -> None:
    with pytest.raises(NoPolicyError):
        bare_pmi.decide()


# --- the decision log ---


@pytest.mark.token
def test_a_decision_is_one_line_without_names(pmi, lab, tmp_path) -> None:
    grant = pmi.grant(lab.APPROVER_ROLE)
    decided = pmi.decide()
    pmi.decide(holder=pmi.other)
    lines = (tmp_path / "decisions" / "2026-11-21.jsonl").read_text().splitlines()
    first, second = map(json.loads, lines)
    assert first["decision_id"] == decided.id
    assert first["policy_sha256"] == decided.policy.sha256
    assert first["attribute_certificates"] == [
        {"serial": grant.serial, "authority": "tax-office", "findings": []}
    ]
    assert (first["result"], first["rules"]) == ("permit", ["approver-approves"])
    assert first["subject"].startswith("uscc:#")
    assert first["subject"] != second["subject"]
    assert "91440300" not in lines[0]
    assert "张三" not in lines[0]


@pytest.mark.token
def test_a_decision_that_cannot_be_logged_is_not_given(pmi, lab, monkeypatch: pytest.MonkeyPatch) -> None:
    pmi.grant(lab.APPROVER_ROLE)
    pmi.decide()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("onecert.pmi.decisions.log.os.write", full)
    with pytest.raises(DecisionLogError):
        pmi.decide()
